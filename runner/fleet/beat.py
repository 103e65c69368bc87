"""What a worker process tells its parent each second, over an inherited pipe: that it serves, and counts."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import msgspec

logger = logging.getLogger("runner.fleet")

VARIABLE = "ARQ_RUNNER_FLEET_PIPE"
PLACE = "ARQ_RUNNER_FLEET_PLACE"
"""Not RUNNER_…: those are settings."""
EVERY_S = 1.0


class Beat(NamedTuple):
    """One line of the pipe.

    Attributes:
        jobs: begun so far.
        running: now.
    """

    jobs: int
    running: int


class Serving(Protocol):
    """What of a worker is told, and where its life begins and ends."""

    jobs_complete: int
    jobs_failed: int
    jobs_retried: int
    on_startup: Any
    on_shutdown: Any

    @property
    def tasks(self) -> Mapping[str, Any]: ...


def pipe_of(environment: Mapping[str, str]) -> int | None:
    """Give the pipe that a parent left to this process; None when there is no parent that listens."""
    value = environment.get(VARIABLE, "")
    return int(value) if value.isdigit() else None


def place_of(environment: Mapping[str, str]) -> int:
    """Give this process's place among its siblings, from 1; 0 when it has none."""
    value = environment.get(PLACE, "")
    return int(value) if value.isdigit() else 0


def read_beat(line: bytes) -> Beat | None:
    """Read a line; None for one that is none, as of a process that died while writing."""
    try:
        return msgspec.json.decode(line, type=Beat)
    except msgspec.DecodeError:
        return None


def beat_while_serving(worker: Serving, pipe: int) -> None:
    """Let a worker tell its parent, from its own startup hook to its own shutdown hook.

    The beats come from the worker's event loop: when that is blocked, they stop. A worker whose parent was
    killed drains, as if it had got SIGTERM.
    """
    startup, shutdown = worker.on_startup, worker.on_shutdown
    beating: list[asyncio.Task[None]] = []

    async def start(ctx: Any) -> None:
        if startup is not None:
            await startup(ctx)
        beating.append(asyncio.create_task(_beat(worker, pipe)))

    async def stop(ctx: Any) -> None:
        for task in beating:
            task.cancel()
        if shutdown is not None:
            await shutdown(ctx)

    worker.on_startup, worker.on_shutdown = start, stop


async def _beat(worker: Serving, pipe: int) -> None:
    os.set_blocking(pipe, False)
    while True:
        running = len(worker.tasks)
        ended = worker.jobs_complete + worker.jobs_failed + worker.jobs_retried
        try:
            os.write(pipe, msgspec.json.encode(Beat(ended + running, running)) + b"\n")
        except BlockingIOError:
            pass  # a parent that does not read is not waited for
        except OSError:
            logger.warning("the parent of this worker is gone: it drains and ends")
            os.kill(os.getpid(), signal.SIGTERM)
            return
        await asyncio.sleep(EVERY_S)
