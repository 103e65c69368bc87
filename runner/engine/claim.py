"""Due to leased: rounds that write what ended and lease what is due, in one trip to the server.

Deciding is synchronous (``plan``), carrying out is one ``gather``: calls of one loop iteration share a round
trip on the Link, and the finishes of a queue travel before its claim. While a round is in flight, what the
last one claimed begins and outcomes gather for the next; nothing ever waits on a timer to be written.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..wire.keys import Keys
from ..wire.scripts import Claim, Claimed, End, Scripts, Verdict
from .dead import tell

logger = logging.getLogger("arq.worker")

ROUND_JOBS = 100
"""Jobs one call of a round carries. More would not be faster, and the first would wait for the last: with 100
the server is busy for 3 ms, and what was claimed runs while it works on the next."""

_COMES_BACK = ("again", "later", "suspend", "back", "sort")


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
        lost_claim: token of a claim whose answer was lost; sent again until answered.
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
    lost_claim: str = ""
    lanes_wait: bool = False
    is_isolating: bool = False


OnClaimed = Callable[[ServedQueue, list[Claimed], str, int], None]


def share(queues: Sequence[ServedQueue], slots: int, *, strict: bool) -> dict[str, int]:
    """Divide free slots among the queues that may have due jobs.

    Smooth weighted round robin (the method nginx uses for upstreams): over any stretch each hungry queue gets
    its weight's share, so none starves. Strict gives everything to the first.

    Returns:
        Slots by the queue's name, or its shard's; those without any are left out.
    """
    by_name: dict[str, list[ServedQueue]] = {}
    for queue in queues:
        if queue.may_have_due:
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


class Rounds:
    """Settles and claims over the queues of one worker.

    Args:
        scripts: how to reach the server.
        queues: in strict order.
        worker: this worker's name.
        lease_ms: length of a lease.
        strict: the first queue with work gets everything.
        on_claimed: called with (queue, jobs, token, server's now ms) for each claim that gave jobs.
        on_settled: called with a queue and the ends of a call that was answered, refused ones included.
        on_cancels: called when a claim asked jobs to stop: no push tells a worker what it wrote itself.
        before_ends: gives what to await before ends are written, or None: effects are known to be done before
            their jobs are.
    """

    def __init__(
        self,
        scripts: Scripts,
        queues: Sequence[ServedQueue],
        *,
        worker: str,
        lease_ms: int,
        strict: bool,
        on_claimed: OnClaimed,
        on_settled: Callable[[ServedQueue, Sequence[End]], None],
        on_cancels: Callable[[], None] = lambda: None,
        before_ends: Callable[[], Awaitable[None] | None] = lambda: None,
    ) -> None:
        self._scripts = scripts
        self.queues = list(queues)
        self._worker = worker
        self._lease_ms = lease_ms
        self._strict = strict
        self._on_claimed = on_claimed
        self._on_settled = on_settled
        self._before_ends = before_ends
        self._on_cancels = on_cancels
        self._round = 0
        self._by_queue: Mapping[str, ServedQueue] = {queue.keys.queue: queue for queue in self.queues}

    def add(self, queue_key: str, end: End) -> None:
        """Keep an outcome for the next round."""
        queue = self._by_queue[queue_key]
        queue.ends.append(end)
        queue.may_have_due = queue.may_have_due or queue.lanes_wait

    @property
    def unwritten(self) -> int:
        """How many outcomes wait to be written."""
        return sum(len(queue.ends) for queue in self.queues)

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Look again at the queues behind these keys; at all of them when there are none."""
        for key in keys:
            queue = self._by_queue.get(key.decode())
            if queue is not None:
                queue.may_have_due = True
        if not keys:
            for queue in self.queues:
                queue.may_have_due = True

    def note_time(self, now: float) -> None:
        """Look again at queues whose next job has fallen due."""
        for queue in self.queues:
            if queue.due_at is not None and queue.due_at <= now:
                queue.may_have_due, queue.due_at = True, None

    def next_due_at(self) -> float | None:
        """Give the loop time at which some queue's next job falls due."""
        return min((queue.due_at for queue in self.queues if queue.due_at is not None), default=None)

    def has_lost_claim(self) -> bool:
        """Say whether some claim's answer was lost: it may have leased jobs nobody here knows of."""
        return any(queue.lost_claim for queue in self.queues)

    def has_work(self, *, in_flight: int, slots: int) -> bool:
        """Say whether a round is worth a trip; the arguments are those of ``run``."""
        if any(queue.ends for queue in self.queues):
            return True
        if slots <= 0:
            return False
        if any(queue.is_isolating for queue in self.queues):
            return in_flight == 0
        return any(queue.may_have_due for queue in self.queues)

    def plan(self, *, in_flight: int, slots: int) -> tuple[dict[str, int], bool]:
        """Decide how many jobs to claim from which queue, and whether the worker may take a suspect, alone.

        Claims whose answer was lost come first: the jobs they may have leased wait for nobody else.
        """
        if slots <= 0:
            return {}, False
        if lost := [queue for queue in self.queues if queue.lost_claim]:
            return share(lost, slots, strict=False), False
        isolating = next((queue for queue in self.queues if queue.is_isolating), None)
        if isolating is not None:
            return ({isolating.keys.at: 1}, True) if in_flight == 0 else ({}, False)
        quotas = share(self.queues, slots, strict=self._strict)
        return quotas, in_flight == 0 and len(quotas) == 1

    async def run(self, *, in_flight: int, slots: int, beside: Awaitable[None] | None = None) -> None:
        """Write every outcome and claim jobs for the free slots. One round at a time, but for ``_settle``.

        Args:
            in_flight: attempts whose outcome is not decided.
            slots: how many more may start; 0 or less: claim nothing.
            beside: what the worker does while the server works on the round; its own questions travel along.

        Raises:
            redis.exceptions.RedisError: of the first call that failed; what was not written is kept.
        """
        quotas, is_idle = self.plan(in_flight=in_flight, slots=slots)
        calls: list[Awaitable[None]] = [self._settle(queue) for queue in self.queues if queue.ends]
        asked = [(queue, quotas.get(queue.keys.at, 0)) for queue in self.queues]
        self._round += 1
        calls += [self._claim(queue, quota, is_idle=is_idle) for queue, quota in asked if quota]
        if beside is not None:
            calls.append(beside)  # after the others: it begins when their commands are on their way
        if len(calls) == 1:
            await calls[0]
            return
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer

    async def _settle(self, queue: ServedQueue) -> None:
        ends, queue.ends = queue.ends[:ROUND_JOBS], queue.ends[ROUND_JOBS:]
        if not ends:  # a round by hand at the same time took them
            return
        try:
            if (first := self._before_ends()) is not None:
                await first
            verdicts = await self._scripts.finish(queue.keys, ends)
        except BaseException:
            queue.ends[:0] = ends
            raise
        for end, verdict in zip(ends, verdicts, strict=True):
            if verdict == Verdict.LOST:
                logger.warning("job %s: its outcome was refused, another worker holds it now", end.job_id)
            elif end.verb == "dead":
                tell(queue.keys.name, end, self._worker)
            elif end.verb in _COMES_BACK:
                self._note_due(queue, 0 if end.verb in ("back", "sort") else end.ms)
        self._on_settled(queue, ends)

    async def _claim(self, queue: ServedQueue, limit: int, *, is_idle: bool) -> None:
        # Upkeep reads the length out of the token: to know a lease that the clock's going back made too long.
        token = queue.lost_claim or f"{secrets.token_hex(12)}.{self._lease_ms}"
        is_resent, queue.lost_claim = bool(queue.lost_claim), ""
        queue.claimed_in = self._round
        queue.may_have_due = is_resent  # what the lost one leased is due again, not all of it given here
        try:
            claim = await self._scripts.claim(
                queue.keys,
                token=token,
                worker=self._worker,
                limit=limit,
                lease_ms=self._lease_ms,
                is_idle=is_idle,
                is_resent=is_resent,
            )
        except BaseException:
            queue.may_have_due, queue.lost_claim = True, token
            raise
        self._note(queue, claim)
        if claim.jobs:
            self._on_claimed(queue, claim.jobs, token, claim.now_ms)

    def _note(self, queue: ServedQueue, claim: Claim) -> None:
        queue.is_isolating, queue.lanes_wait, queue.has_more = claim.isolate, claim.lanes_wait, claim.more
        if claim.cancels:
            self._on_cancels()
        if claim.more or any(job.alone for job in claim.jobs):
            queue.may_have_due = True
        if claim.next_due_ms >= 0:
            queue.due_at = None
            self._note_due(queue, claim.next_due_ms)

    def _note_due(self, queue: ServedQueue, in_ms: int) -> None:
        """Look again when a job falls due; pushes leave out what this worker wrote itself."""
        due_at = asyncio.get_running_loop().time() + in_ms / 1000
        queue.due_at = due_at if queue.due_at is None else min(queue.due_at, due_at)
