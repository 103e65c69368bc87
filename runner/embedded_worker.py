"""A worker inside somebody else's event loop: signals and logging stay the host's."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any

from .engine.worker import Worker
from .uncancelled import to_the_end

logger = logging.getLogger("runner")


@contextlib.asynccontextmanager
async def embedded_worker(parameters: dict[str, Any], *, grace_s: float) -> AsyncGenerator[Worker]:
    """Serve while inside. At the end running jobs get the grace to end, and the rest is given back.

    A cancellation during the grace ends it, nothing else: jobs are given back and connections closed before
    it is passed on.

    Args:
        parameters: of our Worker.
        grace_s: seconds that running jobs get.

    Raises:
        Exception: the worker could not start, or has stopped by itself meanwhile; its own error.
    """
    started = asyncio.Event()
    given: dict[str, Any] = {**parameters, "on_startup": _Told(parameters["on_startup"], started)}
    worker = Worker(**given, handle_signals=False)
    serving = asyncio.create_task(worker.main(), name="runner worker")
    try:
        await _start(serving, started)
        serving.add_done_callback(_tell_failure)
        try:
            yield worker
        finally:
            await _finish(worker, grace_s)
    finally:
        await to_the_end(_close(worker, serving))
    serving.result()


class _Told:
    """Calls the startup hook, and tells that it is done."""

    def __init__(self, startup: Any, started: asyncio.Event) -> None:
        self._startup = startup
        self._started = started

    async def __call__(self, ctx: dict[str, Any]) -> None:
        await self._startup(ctx)
        self._started.set()


async def _start(serving: "asyncio.Task[None]", started: asyncio.Event) -> None:
    """Wait until the worker serves; raise what kept it from it."""
    waiting = asyncio.create_task(started.wait())
    try:
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if serving.done():
        serving.result()


async def _finish(worker: Worker, grace_s: float) -> None:
    """Claim nothing more and let running jobs end, at most this long; ``close`` gives the rest back."""
    worker.allow_pick_jobs = False
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + grace_s
    while worker.tasks and (left := give_up_at - loop.time()) > 0:
        await asyncio.wait(list(worker.tasks.values()), timeout=left)


async def _close(worker: Worker, serving: "asyncio.Task[None]") -> None:
    await worker.close()
    await asyncio.wait([serving])


def _tell_failure(serving: "asyncio.Task[None]") -> None:
    if not serving.cancelled() and (error := serving.exception()) is not None:
        logger.error("the embedded worker has stopped: %s: %s", type(error).__name__, error)
