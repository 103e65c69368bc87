"""Awaiting what must not be left half done, also when the one who waits is cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Awaitable[T]) -> T:
    """Await work to its end; a cancellation that comes meanwhile is raised after it."""
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        if not running.cancelled():
            running.exception()  # the cancellation is what is told
        raise cancelled
    return running.result()


async def in_thread(call: Callable[[], T]) -> T:
    """Call what blocks in a thread, and see it end: what it opens must be known to be closed again."""
    return await to_the_end(asyncio.to_thread(call))
