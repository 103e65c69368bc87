"""Calls of one moment become one script call.

Every caller waits for the answer about its own entry; those that come while a call is in flight share the
next one, so a busy process sends few large calls and an idle one loses no time. A cancelled caller's entry is
not sent if it has not been yet; one on its way may still take effect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from ..errors import ServerError

Entry = TypeVar("Entry")
Answer = TypeVar("Answer")

MAX_BATCH = 500
MAX_BATCH_BYTES = 4 * 1024 * 1024


class Coalesced(Generic[Entry, Answer]):
    """Collects the entries of one kind of call.

    Args:
        send: carries up to 500 entries and gives an answer for each, in order; safe to call twice.
        size: bytes of an entry, where entries may be large: a call carries at most 4 MiB.
    """

    __slots__ = ("_send", "_sending", "_size", "_waiting")

    def __init__(
        self,
        send: Callable[[Sequence[Entry]], Awaitable[Sequence[Answer]]],
        *,
        size: Callable[[Entry], int] | None = None,
    ) -> None:
        self._send = send
        self._size = size
        self._waiting: list[tuple[Entry, asyncio.Future[Answer] | None]] = []
        self._sending: asyncio.Task[None] | None = None

    def put(self, entry: Entry) -> asyncio.Future[Answer]:
        """Add an entry to the next call; await its answer, or the error the call ended in."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((entry, answer))
        if self._sending is None:
            self._sending = loop.create_task(self._send_all())
        return answer

    def post(self, entry: Entry) -> None:
        """Add an entry to the next call and do not ask what became of it."""
        self._waiting.append((entry, None))
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                batch = self._take()
                if not batch:
                    return
                try:
                    answers = await self._send([entry for entry, _ in batch])
                except Exception as error:  # noqa: BLE001 - each caller gets it
                    for _, waiting in (*batch, *self._behind(error)):
                        if waiting is not None and not waiting.done():
                            waiting.set_exception(error)
                    continue
                for (_, waiting), answer in zip(batch, answers, strict=True):
                    if waiting is not None and not waiting.done():
                        waiting.set_result(answer)
        finally:
            self._sending = None

    async def settled(self) -> None:
        """Wait until nothing is on its way; the errors are the callers'."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    def _behind(self, error: Exception) -> "list[tuple[Entry, asyncio.Future[Answer] | None]]":
        """Give those that shall not wait their turn to hear the same: the server is away or full for all."""
        if not isinstance(error, ServerError):
            return []
        behind, self._waiting = self._waiting, []
        return behind

    def _take(self) -> "list[tuple[Entry, asyncio.Future[Answer] | None]]":
        self._waiting = [each for each in self._waiting if each[1] is None or not each[1].cancelled()]
        count = min(len(self._waiting), MAX_BATCH)
        if self._size is not None:
            count = fitting([entry for entry, _ in self._waiting[:count]], self._size)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch


def fitting(entries: Sequence[Entry], size: Callable[[Entry], int]) -> int:
    """Give how many of the entries, from the first, one call may carry; at least one."""
    if len(entries) <= MAX_BATCH and sum(map(size, entries)) <= MAX_BATCH_BYTES:
        return len(entries)
    total = 0
    for count, entry in enumerate(entries):
        total += size(entry)
        if count == MAX_BATCH or (count and total > MAX_BATCH_BYTES):
            return count
    return len(entries)
