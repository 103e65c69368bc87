"""Ticking as a worker runs it: beside serving, woken when schedules change on the server."""

from collections.abc import Sequence

from ..wire.keys import Keys
from ..wire.scripts import Execute
from .kept import Kept
from .ticker import Ticker


class Ticking:
    """Ticks the schedules of the queues that a worker serves.

    Args:
        schedules: declared in code or settings.
        queues: those that the worker serves.
    """

    def __init__(self, schedules: Sequence[Kept], queues: Sequence[Keys]) -> None:
        self._schedules = schedules
        self._queues = queues
        self._ticker: Ticker | None = None
        self.prefixes = tuple(keys.schedule_changes for keys in queues)

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Look at the list of changes when it is among the keys, or when news may have been missed."""
        if self._ticker is not None and (not keys or any(key.decode() in self.prefixes for key in keys)):
            self._ticker.note_changed()

    async def run(self, execute: Execute) -> None:
        """Tick until cancelled."""
        self._ticker = Ticker(execute, self._schedules, queues=self._queues)
        await self._ticker.run()
