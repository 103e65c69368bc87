"""The workers, by the records they leave."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..wire import keys
from ..wire.scripts import Execute
from .values import Totals, WorkerStanding

MAX_WORKERS = 1000
"""Workers that are looked at, those seen last first."""

_COUNTS = ("max_jobs", "running", "completed", "failed", "retried", "started_at_ms")


async def read_workers(execute: Execute, *, limit: int = MAX_WORKERS) -> list[WorkerStanding]:
    """Give the workers, the living first, by name; two round trips."""
    flat = await execute("ZREVRANGE", keys.WORKERS, 0, min(limit, MAX_WORKERS) - 1, "WITHSCORES")
    names = [name.decode(errors="replace") for name in flat[::2]]
    records = await asyncio.gather(*(execute("GET", keys.worker(name)) for name in names))
    found = [
        worker_of(name, int(float(seen)), record)
        for name, seen, record in zip(names, flat[1::2], records, strict=True)
    ]
    return sorted(found, key=lambda worker: (not worker.is_alive, worker.name))


def worker_of(name: str, seen_at_ms: int, record: bytes | None) -> WorkerStanding:
    """Make a value of a worker's record; what is missing or of another kind counts as empty."""
    said = _parsed(record)
    counts = {key: value for key in _COUNTS if isinstance(value := said.pop(key, 0), int)}
    queues, tasks = said.pop("queues", {}), said.pop("tasks", [])
    return WorkerStanding(
        name=name,
        seen_at_ms=seen_at_ms,
        is_alive=record is not None,
        queues=queues if isinstance(queues, dict) else {},
        tasks=[str(task) for task in tasks] if isinstance(tasks, list) else [],
        more=said,
        **counts,
    )


def totals_of(workers: Sequence[WorkerStanding]) -> Totals:
    """Add up what the living ones say."""
    living = [worker for worker in workers if worker.is_alive]
    return Totals(
        workers=len(living),
        slots=sum(worker.max_jobs for worker in living),
        running=sum(worker.running for worker in living),
        completed=sum(worker.completed for worker in living),
        failed=sum(worker.failed for worker in living),
        retried=sum(worker.retried for worker in living),
    )


def _parsed(record: bytes | None) -> dict[str, Any]:
    try:
        value: Mapping[str, Any] | Any = msgspec.json.decode(record or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return dict(value) if isinstance(value, dict) else {}
