"""Enqueues of one moment become one script call.

Every caller waits for the server's answer about its own job; those that come while a call is in flight share the next
one. A cancelled caller only stops listening: its job may still be made.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ..wire.keys import Keys
from ..wire.scripts import MAX_BATCH, Entry

MAX_BATCH_BYTES = 4 * 1024 * 1024

Send = Callable[[Keys, Sequence[Entry]], Awaitable[list[bool]]]


class Inbox:
    """Collects the jobs for one queue.

    Args:
        keys: of the queue.
        send: enqueues up to 500 of them; safe to call twice.
    """

    __slots__ = ("_keys", "_send", "_sending", "_waiting")

    def __init__(self, keys: Keys, send: Send) -> None:
        self._keys = keys
        self._send = send
        self._waiting: list[tuple[Entry, asyncio.Future[bool]]] = []
        self._sending: asyncio.Task[None] | None = None

    def put(self, entry: Entry) -> asyncio.Future[bool]:
        """Add a job to the next call; await whether it was made (False: its id was taken)."""
        loop = asyncio.get_running_loop()
        made: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((entry, made))
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        return made

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                try:
                    answers = await self._send(self._keys, [entry for entry, _ in batch])
                except Exception as error:  # noqa: BLE001 - each caller gets it
                    for _, made in batch:
                        if not made.done():
                            made.set_exception(error)
                    continue
                for (_, made), answer in zip(batch, answers, strict=True):
                    if not made.done():
                        made.set_result(answer)
        finally:
            self._sending = None

    def _take(self) -> list[tuple[Entry, "asyncio.Future[bool]"]]:
        size, count = 0, 0
        for entry, _ in self._waiting[:MAX_BATCH]:
            size += len(entry.payload)
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch
