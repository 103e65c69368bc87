"""arq's hooks after a call: ``on_job_end``, and ``after_job_end`` once the outcome is written."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple

from ..job import Attempt

logger = logging.getLogger("runner.engine")


async def call_hook(name: str, hook: Callable[[Any], Awaitable[None]], attempt: Attempt) -> None:
    """Call a hook after the call: whatever it raises, a cancellation too, the outcome stands."""
    try:
        await hook(attempt.ctx)
    except (Exception, asyncio.CancelledError, SystemExit):
        text = "%s of job %s (%s) raised; the job's outcome stands"
        logger.exception(text, name, attempt.job_id, attempt.task)


class Closing(NamedTuple):
    """An attempt that waits to tell ``after_job_end``."""

    written: asyncio.Future[None]
    carrier: asyncio.Task[Any] | None


Closings = dict[tuple[str, str], Closing]
"""By (job id, token)."""


@contextlib.contextmanager
def closing_of(attempt: Attempt, closings: Closings) -> Generator[asyncio.Future[None]]:
    """List an attempt while the block runs; gives what is done once its outcome is written."""
    key = (attempt.job_id, attempt.token)
    closings[key] = Closing(asyncio.get_running_loop().create_future(), asyncio.current_task())
    try:
        yield closings[key].written
    finally:
        del closings[key]


def note_written(job_id: str, token: str, closings: Closings) -> None:
    """Let the attempt go on, if it waits."""
    closing = closings.get((job_id, token))
    if closing is not None and not closing.written.done():
        closing.written.set_result(None)
