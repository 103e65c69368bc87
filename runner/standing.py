"""What runs, and what waits longer than it should: read from the server, for reports."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from .inspector import QueueStanding
from .inspector.together import standing_of, together
from .wire import codec
from .wire.keys import PARKED, Keys, Layout, keys_of
from .wire.queue_scripts import QueueScripts
from .wire.scripts import Execute

MAX_JOBS = 1000
"""Running jobs of a queue that are looked at."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that a worker has.

    Attributes:
        id: the job's.
        queue: name of its queue.
        task: name of its task; empty when the payload cannot be read.
        worker: who has it.
        for_s: how long.
    """

    id: str
    queue: str
    task: str
    worker: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue whose first job is overdue: due, and not claimed.

    Attributes:
        queue: its name.
        id: that job.
        for_s: how long it has been due.
        jobs: how many are due, this one among them.
    """

    queue: str
    id: str
    for_s: float
    jobs: int


async def depths(execute: Execute, queues: Iterable[str], layout: Layout) -> list[QueueStanding]:
    """Say how each of these queues stands, by their shards; one round trip."""
    scripts = QueueScripts(execute)
    keys = [keys_of(name, layout) for name in queues]
    found = await asyncio.gather(*(scripts.standing(each) for each in keys))
    return together(standing_of(each.name, raw) for each, raw in zip(keys, found, strict=True))


async def claimed(
    execute: Execute, queues: Iterable[str], layout: Layout, *, at_least_s: float
) -> list[Claimed]:
    """Give the jobs that have run for so long, longest first; of each queue at most 1,000 are looked at."""
    now_us, found = await _now_us(execute), list[Claimed]()
    for keys in (keys_of(name, layout) for name in queues):
        _, flat = await execute("HSCAN", keys.running, 0, "COUNT", MAX_JOBS)
        for job_id, entry in zip(flat[::2], flat[1::2], strict=True):
            # A fence is the claim's time in microseconds, or a little more.
            _, fence, worker = entry.decode().rsplit(" ", 1)[0].split(" ", 2)
            for_s = (now_us - int(fence)) / 1e6
            if for_s >= at_least_s:
                task = _task(await execute("GET", keys.job(job_id.decode())))
                found.append(Claimed(job_id.decode(), keys.name, task, worker, for_s))
    return sorted(found, key=lambda each: -each.for_s)


async def overdue(
    execute: Execute, queues: Iterable[str], layout: Layout, *, at_least_s: float
) -> list[Waiting]:
    """Give the queues whose first due job has waited for so long."""
    now_ms, found = await _now_us(execute) // 1000, list[Waiting]()
    for keys in (keys_of(name, layout) for name in queues):
        latest = now_ms - round(at_least_s * 1000)
        first, jobs = await _ready(execute, keys, now_ms, latest)
        if first:
            found.append(Waiting(keys.name, first[1], (now_ms - first[0]) / 1000, jobs))
    return found


async def _ready(
    execute: Execute, keys: Keys, now_ms: int, latest_ms: int
) -> tuple[tuple[float, str] | None, int]:
    """Give the first job that was due at the latest then (due ms, id), and how many are due now.

    Those without a lane stand at their due time, those in one far behind.
    """
    found, jobs = list[tuple[float, str]](), 0
    for start, added in (("-inf", 0), (PARKED, PARKED)):
        asked = ("ZRANGE", keys.queue, start, added + latest_ms, "BYSCORE", "LIMIT", 0, 1, "WITHSCORES")
        flat, count = await asyncio.gather(
            execute(*asked), execute("ZCOUNT", keys.queue, start, added + now_ms)
        )
        jobs += int(count)
        if flat:
            found.append((float(flat[1]) - added, flat[0].decode()))
    return min(found, default=None), jobs


async def _now_us(execute: Execute) -> int:
    seconds, micros = await execute("TIME")
    return int(seconds) * 1_000_000 + int(micros)


def _task(payload: bytes | None) -> str:
    try:
        return codec.decode_job(payload or b"").f
    except ValueError:
        return ""
