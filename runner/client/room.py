"""Callers that wait for room in a full queue: in line, and one of the process looks for all of them."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

from ..errors import RunnerError
from ..wire.passing import TROUBLE

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0


class Room:
    """The line before one queue.

    Args:
        look: asks the server how many jobs may come in now.
    """

    def __init__(self, look: Callable[[], Awaitable[int]]) -> None:
        self._look = look
        self._line: deque[asyncio.Future[None]] = deque()
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody stands in line."""
        return any(not turn.done() for turn in self._line)

    async def turn(self, *, is_first: bool = False) -> None:
        """Wait until there seems to be room; ``is_first`` for who had a turn and found it taken."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if is_first:
            self._line.appendleft(turn)
        else:
            self._line.append(turn)
        if self._looking is None:
            self._looking = loop.create_task(self._look_on())
        await turn

    def close(self) -> None:
        """Stop looking, and tell whoever stands in line."""
        if self._looking is not None:
            self._looking.cancel()
        for turn in self._line:
            if not turn.done():
                turn.set_exception(
                    RunnerError("the runner was closed while a job waited for room: not enqueued")
                )

    async def _look_on(self) -> None:
        pause_s = FIRST_PAUSE_S
        try:
            while self.is_awaited:
                await asyncio.sleep(random.uniform(pause_s / 2, pause_s))
                try:
                    free = await self._look()
                except TROUBLE:
                    free = 0  # it is told to those who enqueue, when the line has gone on
                pause_s = FIRST_PAUSE_S if free else min(LONGEST_PAUSE_S, pause_s * 1.5)
                self._let_on(free)
        finally:
            self._looking = None

    def _let_on(self, free: int) -> None:
        while free > 0 and self._line:
            turn = self._line.popleft()
            if not turn.done():  # else its caller has given up
                turn.set_result(None)
                free -= 1
