"""What runs beside serving: background work of a worker, such as ticking schedules."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from ..wire.scripts import Execute

logger = logging.getLogger("runner.engine")

AGAIN_AFTER_S = 5.0


class Beside(Protocol):
    """Work that runs while a worker serves.

    Attributes:
        prefixes: of keys whose changes it wants to know.
    """

    @property
    def prefixes(self) -> Sequence[str]: ...

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Keys that some worker asked about have changed; none named: news may have been missed."""
        ...

    async def run(self, execute: Execute) -> None:
        """Work until cancelled."""
        ...


class Companions:
    """Runs such work: logs what it raises and starts it again, until the worker leaves.

    Args:
        members: what is to run.
        execute: sends one command.
    """

    def __init__(self, members: Sequence[Beside], execute: Execute) -> None:
        self._members = members
        self._execute = execute
        self._running: list[asyncio.Task[None]] = []
        self.prefixes = tuple(prefix for each in members for prefix in each.prefixes)

    def start(self) -> None:
        """Start all of it."""
        self._running = [asyncio.create_task(self._keep(each)) for each in self._members]

    def hearing(self, listener: Callable[[list[bytes]], None]) -> Callable[[list[bytes]], None]:
        """Give a listener to news of keys that tells this one and all of the work."""

        def tell(keys: list[bytes]) -> None:
            listener(keys)
            for each in self._members:
                each.note_changed(keys)

        return tell

    async def end(self) -> None:
        """Cancel all of it, and wait until it has ended."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []

    async def _keep(self, member: Beside) -> None:
        while True:
            try:
                await member.run(self._execute)
            except Exception:
                logger.exception("%s failed; it starts again in %g s", type(member).__name__, AGAIN_AFTER_S)
            await asyncio.sleep(AGAIN_AFTER_S)
