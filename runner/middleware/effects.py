"""What a worker has so that effects happen once or one at a time: in ``ctx`` under ``effects``."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from ..effects import DEFAULT_TTL_S, digest_of_key, span
from ..errors import Delay
from ..fingerprint import digest
from ..job import Attempt
from ..wire.bell import Bell
from ..wire.keys import Layout
from .holds import Holds
from .idempotency import Effect, Once, idempotent
from .lock import locked


class Effects:
    """Locks and idempotency records of one process.

    Args:
        execute: sends one command.
        bell: tells when what is waited for has changed.
        layout: how keys are named.
        lease_s: how long something is kept when this process dies.
        address: what to call the server in errors.
        carrier_of: gives the asyncio task that carries an attempt, if it still does.
    """

    def __init__(
        self,
        execute: Callable[..., Awaitable[Any]],
        bell: Bell,
        *,
        layout: Layout = "classic",
        lease_s: float = 15.0,
        address: str = "?",
        carrier_of: Callable[[Attempt], asyncio.Task[Any] | None] = lambda _: None,
    ) -> None:
        self.holds = Holds(
            execute, bell, layout=layout, lease_s=lease_s, address=address, carrier_of=carrier_of
        )

    async def close(self) -> None:
        """Renew nothing any more."""
        await self.holds.close()

    def before_outcomes(self) -> Awaitable[None] | None:
        """Give what to await before outcomes of jobs are written, or None; see ``endings``."""
        return self.holds.endings.before_outcomes()

    def lock(
        self, attempt: Attempt, name: str, *, wait: Delay | str = 30.0
    ) -> AbstractAsyncContextManager[int]:
        """See ``Context.lock``."""
        return locked(self.holds, attempt, name, span(wait))

    def idempotent(
        self,
        attempt: Attempt,
        name: str,
        key: Any,
        *,
        request: Any = None,
        ttl: Delay | str = DEFAULT_TTL_S,
        wait: Delay | str = 5.0,
    ) -> AbstractAsyncContextManager[Once]:
        """See ``Context.idempotent``."""
        fingerprint = "" if request is None else digest(name, request)
        effect = Effect(self.holds, attempt, digest_of_key(name, key), fingerprint, round(span(ttl) * 1000))
        return idempotent(effect, what=f"'{name}' {key!r}", wait_s=span(wait))
