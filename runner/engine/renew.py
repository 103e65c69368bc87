"""Keeps the leases of what runs; an attempt whose lease is lost is cancelled: it makes no more effects.

In the event loop on purpose: a worker whose loop is blocked must lose its leases.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from ..job import Attempt
from ..wire.keys import Keys
from ..wire.scripts import MAX_BATCH, Scripts


async def renew(
    scripts: Scripts,
    attempts: Iterable[Attempt],
    keys_by_queue: Mapping[str, Keys],
    *,
    lease_ms: int,
    on_lost: Callable[[Attempt], None],
) -> None:
    """Move the ends of these leases; one call per queue and 500 of them, all in one trip.

    Raises:
        redis.exceptions.RedisError: the server did not answer; nothing is known to be lost.
    """
    held: dict[str, dict[str, Attempt]] = defaultdict(dict)
    for attempt in attempts:
        held[attempt.queue][attempt.job_id] = attempt
    calls = [
        _renew_some(scripts, keys_by_queue[queue], dict(some), lease_ms, on_lost)
        for queue, mine in held.items()
        for some in _chunks(list(mine.items()))
    ]
    await asyncio.gather(*calls)


async def _renew_some(
    scripts: Scripts,
    keys: Keys,
    attempts: dict[str, Attempt],
    lease_ms: int,
    on_lost: Callable[[Attempt], None],
) -> None:
    leases = [(job_id, attempt.token) for job_id, attempt in attempts.items()]
    for job_id in await scripts.renew(keys, leases, lease_ms=lease_ms):
        on_lost(attempts[job_id])


def _chunks(items: list[tuple[str, Attempt]]) -> Iterable[list[tuple[str, Attempt]]]:
    return (items[i : i + MAX_BATCH] for i in range(0, len(items), MAX_BATCH))
