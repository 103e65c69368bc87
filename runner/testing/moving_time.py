"""Time that a test moves: the clock that scripts read, this process's, and what expires on the server."""

import contextlib
from collections.abc import Generator
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from ..clock import SYSTEM_CLOCK, SystemClock
from ..errors import Delay, seconds
from ..settings.units import parse_duration
from .doorway import Doorway

_REAL = SystemClock()
_PAGE = 500


class MovingTime:
    """Goes on by itself, as time does, and ahead when told.

    Args:
        doorway: through which scripts get the time.
        redis: the test's database.
    """

    def __init__(self, doorway: Doorway, redis: Any) -> None:
        self._doorway = doorway
        self._redis = redis

    def now_ms(self) -> int:
        """Give what the clock says now, in milliseconds since the epoch."""
        return _REAL.now_ms() + self._doorway.ahead_ms

    def monotonic(self) -> float:
        """Give seconds on a clock that never goes back."""
        return _REAL.monotonic() + self._doorway.ahead_ms / 1000

    async def advance(self, span: Delay | str) -> None:
        """Let this much time pass at once; what expires meanwhile is gone.

        Jobs that fall due run at the next ``drain``, as do schedules' ticks. Timers of the event loop
        (timeouts of a call, ``asyncio.sleep``) are not moved: advance while nothing runs.

        Args:
            span: such as ``"3d"``, ``"1h30m"``, seconds, or a timedelta.
        """
        delay_s = seconds(span) if isinstance(span, timedelta) else parse_duration(span)
        self._doorway.ahead_ms += round(delay_s * 1000)
        await self._expire(round(delay_s * 1000))

    async def _expire(self, ms: int) -> None:
        page: list[bytes] = []
        async for key in self._redis.scan_iter(count=_PAGE):
            page.append(key)
            if len(page) == _PAGE:
                await self._age(page, ms)
                page = []
        await self._age(page, ms)

    async def _age(self, keys: list[bytes], ms: int) -> None:
        reading = self._redis.pipeline(transaction=False)
        writing = self._redis.pipeline(transaction=False)
        for key in keys:
            reading.pttl(key)
        for key, left_ms in zip(keys, await reading.execute(), strict=True):
            if left_ms >= 0:
                writing.pexpire(key, max(0, left_ms - ms))
        await writing.execute()

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Let this process's clock be this one."""
        with patch.multiple(SYSTEM_CLOCK, now_ms=self.now_ms, monotonic=self.monotonic):
            yield
