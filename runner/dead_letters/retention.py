"""How long dead letters stay, and the bounded step that deletes what does not."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..wire.dead_scripts import MAX_LETTERS, DeadScripts
from ..wire.keys import Keys

STEPS = 10
"""Calls one trim makes at most: 1,000 letters a queue."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What stays of each queue's dead letters; the oldest go first, and are counted.

    Attributes:
        keep_s: a letter goes when it is older.
        max_count: how many stay.
        max_bytes: how many bytes stay.
        keep_forever: names of queues that are never trimmed.
    """

    keep_s: float = 30 * 86_400.0
    max_count: int = 100_000
    max_bytes: int = 1024**3
    keep_forever: AbstractSet[str] = frozenset()


async def trim(scripts: DeadScripts, keys: Keys, retention: Retention) -> int:
    """Delete what is beyond retention in one queue, at most 1,000 letters; how many."""
    if keys.name in retention.keep_forever:
        return 0
    trimmed = 0
    for _ in range(STEPS):
        gone = await scripts.trim(
            keys,
            keep_ms=round(retention.keep_s * 1000),
            max_count=retention.max_count,
            max_bytes=retention.max_bytes,
        )
        trimmed += gone
        if gone < MAX_LETTERS:
            break
    return trimmed
