"""Which schedules were made, changed, paused or removed on the server since the last look."""

from collections.abc import AsyncIterator, Sequence

from ..wire.keys import Keys
from ..wire.schedules import MAX_CHANGES, MAX_STATES, changes, definitions, newest
from ..wire.scripts import Execute

Definitions = dict[str, bytes | None]


class News:
    """Remembers, for each queue, the last change that was read.

    Args:
        execute: sends one command.
        queues: whose schedules are read.
    """

    def __init__(self, execute: Execute, queues: Sequence[Keys]) -> None:
        self._execute = execute
        self._queues = queues
        self._seen = dict.fromkeys((keys.queue for keys in queues), 0)

    async def everything(self) -> AsyncIterator[tuple[Keys, Definitions]]:
        """Give all definitions, some at a time."""
        for keys in self._queues:
            self._seen[keys.queue] = await newest(self._execute, keys)
            some: Definitions = {}
            async for name, data in definitions(self._execute, keys):
                some[name] = data
                if len(some) == MAX_STATES:
                    yield keys, some
                    some = {}
            yield keys, some

    async def changed(self) -> AsyncIterator[tuple[Keys, Definitions]]:
        """Give what changed since ``everything`` or the last call; one trip a queue when nothing did."""
        for keys in self._queues:
            found = MAX_CHANGES
            while found == MAX_CHANGES:
                some = await changes(self._execute, keys, self._seen[keys.queue])
                self._seen[keys.queue], found = some.seen, len(some.definitions)
                if some.definitions:
                    yield keys, some.definitions
