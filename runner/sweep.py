"""Deletes what nobody needs any more and nothing else deletes."""

from collections.abc import Iterable
from dataclasses import dataclass

from .dead_letters import Retention
from .dead_letters.retention import trim
from .wire.dead_scripts import DeadScripts
from .wire.keys import WORKERS, Layout, keys_of
from .wire.scripts import Execute

MAX_STEPS = 1000
"""Bounded steps over one queue's dead letters; what is left waits for the next sweep."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How much was deleted: dead letters, entries of audits, workers that have not been seen."""

    dead_letters: int
    audit_entries: int
    workers: int


async def sweep(
    execute: Execute,
    queues: Iterable[str],
    layout: Layout,
    *,
    retention: Retention,
    audit_s: float,
    worker_s: float,
) -> Swept:
    """Delete what is old.

    Results, leases and answers of calls have a TTL of their own and are not looked at.

    Args:
        execute: sends one command.
        queues: names of those whose dead letters and audits.
        layout: how keys are named.
        retention: of dead letters.
        audit_s: age from which entries of an audit go.
        worker_s: how long ago a worker was seen last.
    """
    seconds, _ = await execute("TIME")
    letters = entries = 0
    for keys in (keys_of(name, layout) for name in queues):
        scripts = DeadScripts(execute)
        for _ in range(MAX_STEPS):
            gone = await trim(scripts, keys, retention)
            letters += gone
            if not gone:
                break
        oldest = round((int(seconds) - audit_s) * 1000)
        entries += int(await execute("XTRIM", keys.dead_audit, "MINID", max(0, oldest)))
    unseen = round((int(seconds) - worker_s) * 1000)
    workers = int(await execute("ZREMRANGEBYSCORE", WORKERS, "-inf", unseen))
    return Swept(letters, entries, workers)
