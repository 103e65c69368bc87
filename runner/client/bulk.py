"""Enqueueing very many calls: in chunks, with bounded memory, and resumable."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidTask
from ..tasks import Call
from ..wire.scripts import MAX_BATCH
from .intake import Counts

REMEMBERED_S = 7 * 86_400

Calls = Iterable[Call[Any]] | AsyncIterable[Call[Any]]


@dataclass(frozen=True, slots=True)
class Bulk:
    """What ``enqueue_many`` did.

    Attributes:
        created: jobs made by this call.
        duplicates: calls whose job existed already, or one that does the same (``Unique``).
        skipped: calls an earlier, interrupted run of the same ``bulk_id`` had already enqueued.
        replaced: calls whose arguments a job that waited has now (``Unique``).
    """

    created: int
    duplicates: int
    skipped: int
    replaced: int = 0


def cursor_key(bulk_id: str) -> str:
    """Name what keeps how far a run has come."""
    return f"runner:bulk-cursor:{bulk_id}"


async def enqueue_chunks(
    calls: Calls,
    *,
    done: int,
    send: Callable[[Sequence[Call[Any]], int], Awaitable[Counts]],
    note: Callable[[int], Awaitable[None]],
    on_progress: Callable[[int], None] | None,
) -> Bulk:
    """Send the calls from number ``done`` on, a chunk at a time.

    Args:
        calls: all of them, those that are done included.
        done: how many of them an earlier run has enqueued.
        send: enqueues a chunk whose first call has the number given; says what became of it.
        note: writes down how many calls are done.
        on_progress: called with that number, after each round trip.
    """
    position, created, replaced, sent = 0, 0, 0, 0
    async for chunk in _chunks(calls):
        start, position = position, position + len(chunk)
        rest = chunk[max(0, done - start) :]
        if not rest:
            continue
        counts = await send(rest, position - len(rest))
        created, replaced = created + counts.created, replaced + counts.replaced
        sent += len(rest)
        await note(position)
        if on_progress is not None:
            on_progress(position)
    return Bulk(created, sent - created - replaced, position - sent, replaced)


async def _chunks(calls: Calls) -> AsyncIterator[list[Call[Any]]]:
    chunk: list[Call[Any]] = []
    async for call in _each(calls):
        if not isinstance(call, Call):  # pyright: ignore[reportUnnecessaryIsInstance]
            msg = f"enqueue_many takes calls, as task.call(…), not {call!r}"
            raise InvalidTask(msg)
        chunk.append(call)
        if len(chunk) == MAX_BATCH:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _each(calls: Calls) -> AsyncIterator[Call[Any]]:
    if isinstance(calls, AsyncIterable):
        async for call in calls:
            yield call
    else:
        for call in calls:
            yield call
