"""The first jobs of a queue, looked at one by one: what is wrong with any of them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..wire.keys import Keys
from ..wire.peek import task_in
from ..wire.queue_scripts import MAX_PAGE, QueueScripts
from ..wire.scripts import Execute


@dataclass(frozen=True, slots=True)
class Sample:
    """What was found among the first 100 jobs of a queue, by due.

    Attributes:
        queue: its name.
        looked: how many there were.
        missing: ids without a payload.
        expiring: ids whose payload the server will delete.
        pickled: how many payloads are pickles.
        tasks: how many jobs wait by the name of their task.
        leaseless: entries of running jobs, of 100, that nobody holds a lease of: their workers are gone.
        doubled: ids that stand in two places at once, each with the key of the other one.
    """

    queue: str
    looked: int
    missing: tuple[str, ...]
    expiring: tuple[str, ...]
    pickled: int
    tasks: Mapping[str, int]
    leaseless: int
    doubled: Mapping[str, str] = field(default_factory=dict[str, str])


async def read_sample(execute: Execute, keys: Keys, others: Sequence[str] = ()) -> Sample:
    """Look at the first 100 jobs of a queue, and at 100 that run.

    Args:
        execute: sends one command.
        keys: of the queue.
        others: ZSETs of queues that share their jobs' keys with it: an id is a job of one of them.
    """
    scripts = QueueScripts(execute)
    _, named = await scripts.page(keys, limit=MAX_PAGE)
    ids = [job.job_id for job in named]
    _, rows = await scripts.rows(keys, ids) if ids else (0, [])
    rows = [row for row in rows if row.due_ms is not None]  # others have ended since they were named
    left = await asyncio.gather(*(execute("PTTL", keys.job(_text(row.job_id))) for row in rows))
    texts = [_text(row.job_id) for row in rows]
    return Sample(
        queue=keys.name,
        looked=len(rows),
        missing=tuple(text for text, row in zip(texts, rows, strict=True) if not row.size),
        expiring=tuple(text for text, ms in zip(texts, left, strict=True) if ms >= 0),
        pickled=sum(row.head[:1] == b"\x80" for row in rows),
        tasks=Counter(task_in(row.head) for row in rows if row.size),
        leaseless=await _leaseless(execute, keys),
        doubled=await _doubled(execute, keys.queue, ids, (keys.dead, *others)),
    )


async def _leaseless(execute: Execute, keys: Keys) -> int:
    """Count running jobs without a lease; asked again in one step, as one may have ended meanwhile."""
    held = await execute("HRANDFIELD", keys.running, MAX_PAGE)
    leases = await asyncio.gather(*(execute("EXISTS", keys.lease(_text(each))) for each in held))
    count = 0
    for job_id in (each for each, lease in zip(held, leases, strict=True) if not lease):
        is_running, is_leased = await asyncio.gather(
            execute("HEXISTS", keys.running, job_id), execute("EXISTS", keys.lease(_text(job_id)))
        )
        count += bool(is_running and not is_leased)
    return count


def _text(job_id: bytes) -> str:
    return job_id.decode(errors="replace")


async def _doubled(
    execute: Execute, queue: str, ids: Sequence[bytes], places: Sequence[str]
) -> dict[str, str]:
    """Find jobs that another place has, too; asked again in one step, as one may have moved meanwhile."""
    found: dict[str, str] = {}
    for place in places:
        scores = await asyncio.gather(*(execute("ZSCORE", place, job_id) for job_id in ids))
        for job_id, score in zip(ids, scores, strict=True):
            if score is None:
                continue
            both = await asyncio.gather(execute("ZSCORE", place, job_id), execute("ZSCORE", queue, job_id))
            if None not in both:
                found[_text(job_id)] = place
    return found
