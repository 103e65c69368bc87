"""How a queue stands, by what the script says of each of its shards."""

from collections.abc import Iterable
from dataclasses import replace

from ..wire.queue_scripts import RawStanding
from .values import QueueStanding


def standing_of(queue: str, raw: RawStanding) -> QueueStanding:
    """Make a value of what the script says of a queue, or a shard of it."""
    return QueueStanding(
        queue=queue,
        at_ms=raw.now_ms,
        ready=raw.ready,
        scheduled=raw.scheduled,
        running=raw.running,
        dead=raw.dead,
        suspects=raw.suspects,
        gates=raw.gates,
        ready_since_ms=None if raw.ready_since_ms < 0 else raw.ready_since_ms,
        paused_at_ms=raw.paused_at_ms or None,
        paused_by=raw.paused_by.decode(errors="replace"),
    )


def together(standings: Iterable[QueueStanding]) -> list[QueueStanding]:
    """Add up those of one queue; it is paused when one of its shards is."""
    found: dict[str, QueueStanding] = {}
    for each in standings:
        known = found.get(each.queue)
        found[each.queue] = each if known is None else _sum(known, each)
    return list(found.values())


def _sum(one: QueueStanding, other: QueueStanding) -> QueueStanding:
    since = [ms for ms in (one.ready_since_ms, other.ready_since_ms) if ms is not None]
    paused = one if one.is_paused else other
    return replace(
        one,
        at_ms=max(one.at_ms, other.at_ms),
        ready=one.ready + other.ready,
        scheduled=one.scheduled + other.scheduled,
        running=one.running + other.running,
        dead=one.dead + other.dead,
        suspects=one.suspects + other.suspects,
        gates=one.gates + other.gates,
        ready_since_ms=min(since, default=None),
        paused_at_ms=paused.paused_at_ms,
        paused_by=paused.paused_by,
    )
