"""What a worker says of itself, for people and dashboards: a record that vanishes when the worker does."""

import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ..clock import SYSTEM_CLOCK
from ..wire import keys
from ..wire.scripts import Execute
from .sharing import ServedQueue

PRESENCE_MS = 60_000


def default_name() -> str:
    """Give ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Described(Protocol):
    """What arq's constructor leaves on a worker, as far as people ask."""

    @property
    def functions(self) -> Mapping[str, Any]: ...
    @property
    def max_jobs(self) -> int: ...


def about(worker: Described, queues: Iterable[ServedQueue]) -> Mapping[str, Any]:
    """Give what does not change while a worker serves."""
    return {
        "queues": {queue.keys.name: queue.weight for queue in queues},
        "tasks": sorted(worker.functions),
        "versions": {
            name: version for name, each in worker.functions.items() if (version := _version(each)) > 1
        },
        "max_jobs": worker.max_jobs,
        "started_at_ms": SYSTEM_CLOCK.now_ms(),
    }


def _version(function: Any) -> int:
    task = getattr(function, "task", None)
    return 1 if task is None else task.version


@dataclass(frozen=True)
class Presence:
    """Writes and removes the record ``runner:worker:<name>``.

    Attributes:
        execute: sends one command.
        name: the worker's.
        about: what does not change: queues, tasks, max_jobs, started_at_ms.
    """

    execute: Execute
    name: str
    about: Mapping[str, Any]

    async def tell(self, *, running: int, completed: int, failed: int, retried: int, now_ms: int) -> None:
        """Write the record; two commands in one trip."""
        record = {
            **self.about,
            "running": running,
            "completed": completed,
            "failed": failed,
            "retried": retried,
        }
        written = self.execute("SET", keys.worker(self.name), msgspec.json.encode(record), "PX", PRESENCE_MS)
        listed = self.execute("ZADD", keys.WORKERS, now_ms, self.name)
        await written
        await listed

    async def leave(self) -> None:
        """Remove the record."""
        removed = self.execute("DEL", keys.worker(self.name))
        unlisted = self.execute("ZREM", keys.WORKERS, self.name)
        await removed
        await unlisted
