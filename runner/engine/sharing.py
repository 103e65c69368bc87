"""The queues that a worker serves, and how its free slots are divided among them: pure arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..wire.keys import Keys
from ..wire.scripts import End

ROUND_JOBS = 100
"""Jobs one call of a round carries. More would not be faster, and the first would wait for the last: with 100
the server is busy for 3 ms, and what was claimed runs while it works on the next."""


@dataclass(slots=True)
class ServedQueue:
    """One queue of this worker, or one shard of it.

    Attributes:
        keys: its keys.
        weight: the queue's share of claims among those that have work.
        may_have_due: whether a claim is worth a trip.
        has_more: the last claim did not get all that was due.
        claimed_in: number of the round that claimed last; of shards that are alike the one goes first which
            waited longest.
        due_at: loop time at which the next job falls due; None for nothing in sight.
        credit: what smooth weighted round robin owes it.
        ends: outcomes to write.
        claiming: slots that claims under way may fill, by the number of their round.
        lost_claims: tokens of claims whose answers were lost; sent again until answered.
        lanes_wait: lanes wait under gates: what ends here may let one go on, so a claim is worth a trip.
        is_isolating: this worker was chosen to run the queue's suspects: claim nothing until idle, then here.
    """

    keys: Keys
    weight: int
    may_have_due: bool = True
    has_more: bool = False
    claimed_in: int = 0
    due_at: float | None = None
    credit: int = 0
    ends: list[End] = field(default_factory=list[End])
    claiming: dict[int, int] = field(default_factory=dict[int, int])
    lost_claims: list[str] = field(default_factory=list[str])
    lanes_wait: bool = False
    is_isolating: bool = False

    @property
    def is_hungry(self) -> bool:
        """Whether a claim is worth a trip; while one is under way, what the last answer said still counts."""
        return self.may_have_due or (self.has_more and bool(self.claiming))


def share(queues: Sequence[ServedQueue], slots: int, *, strict: bool) -> dict[str, int]:
    """Divide free slots among the queues that may have due jobs.

    Smooth weighted round robin (the method nginx uses for upstreams): over any stretch each hungry queue gets
    its weight's share, so none starves. Strict gives everything to the first.

    Returns:
        Slots by the queue's name, or its shard's; those without any are left out.
    """
    by_name: dict[str, list[ServedQueue]] = {}
    for queue in queues:
        if queue.is_hungry:
            by_name.setdefault(queue.keys.name, []).append(queue)
    hungry, slots = list(by_name.values()), min(slots, ROUND_JOBS)
    if not hungry or slots <= 0:
        return {}
    if strict or len(hungry) == 1:
        return _among_shards(hungry[0], slots)
    heads = {queue.keys.name: queue for queue in reversed(queues)}  # a queue's credit is its first shard's
    rivals = [(heads[name], name) for name in by_name]
    won: dict[str, int] = {}
    total = sum(queue.weight for queue, _ in rivals)
    for _ in range(slots):
        for queue, _ in rivals:
            queue.credit += queue.weight
        winner, name = max(rivals, key=lambda rival: rival[0].credit)
        winner.credit -= total
        won[name] = won.get(name, 0) + 1
    given: dict[str, int] = {}
    for name, quota in won.items():
        given |= _among_shards(by_name[name], quota)
    return given


def _among_shards(shards: Sequence[ServedQueue], slots: int) -> dict[str, int]:
    """Divide a queue's slots among its shards that may have due jobs.

    A call that brings many jobs costs each of them little. So of the shards that are known to have more than
    one gets, one has its turn a round; those of which nothing is known have a small part beside it.
    """
    if len(shards) == 1:
        return {shards[0].keys.at: slots}
    waiting = sorted(shards, key=lambda shard: shard.claimed_in)
    rich = [shard for shard in waiting if shard.has_more][:1]
    chosen = [*rich, *(shard for shard in waiting if not shard.has_more)]
    chosen = sorted(chosen, key=lambda shard: shard.claimed_in)[:slots]
    first = rich[0] if rich and rich[0] in chosen else chosen[0]
    part = max(1, slots // len(chosen) // (2 if first.has_more else 1))
    given = {shard.keys.at: part for shard in chosen}
    given[first.keys.at] += slots - part * len(chosen)
    return given
