"""Due to leased: rounds that write what ended and lease what is due, in one trip to the server.

Deciding is synchronous (``plan``), carrying out is one ``gather``: calls of one loop iteration share a round
trip on the Link, and the finishes of a queue travel before its claim. While a round is in flight, what the
last one claimed begins and outcomes gather for the next; nothing ever waits on a timer to be written.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ..wire.scripts import Claim, Claimed, End, Scripts, Verdict
from .dead import tell
from .sharing import ROUND_JOBS, ServedQueue, share

logger = logging.getLogger("arq.worker")

_COMES_BACK = ("again", "later", "suspend", "back", "sort")


ALL_SLOTS = 1_000_000
"""What a claim of an idle worker fills: it may bring a suspect, which is to have the worker to itself."""

OnClaimed = Callable[[ServedQueue, list[Claimed], str, int], None]


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

    Attributes:
        fresh: outcomes that came since whoever sends rounds set it to 0.
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
        self._round = self.fresh = 0
        self._by_queue: Mapping[str, ServedQueue] = {queue.keys.queue: queue for queue in self.queues}

    def add(self, queue_key: str, end: End) -> None:
        """Keep an outcome for the next round."""
        queue = self._by_queue[queue_key]
        queue.ends.append(end)
        self.fresh += 1
        queue.may_have_due = queue.may_have_due or queue.lanes_wait

    @property
    def unwritten(self) -> int:
        """How many outcomes wait to be written."""
        return sum(len(queue.ends) for queue in self.queues)

    @property
    def claiming(self) -> int:
        """How many slots the claims under way may fill."""
        return sum(slots for queue in self.queues for slots in queue.claiming.values())

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
        return any(queue.lost_claims for queue in self.queues)

    def has_work(self, *, in_flight: int, slots: int) -> bool:
        """Say whether a round is worth a trip; the arguments are those of ``run``."""
        if any(queue.ends for queue in self.queues):
            return True
        if slots <= 0:
            return False
        if any(queue.is_isolating for queue in self.queues):
            return in_flight == 0
        return any(queue.is_hungry for queue in self.queues)

    def plan(self, *, in_flight: int, slots: int) -> tuple[dict[str, int], bool]:
        """Decide how many jobs to claim from which queue, and whether the worker may take a suspect, alone.

        Claims whose answer was lost come first: the jobs they may have leased wait for nobody else.
        """
        if slots <= 0:
            return {}, False
        if lost := [queue for queue in self.queues if queue.lost_claims]:
            return share(lost, slots, strict=False), False
        isolating = next((queue for queue in self.queues if queue.is_isolating), None)
        if isolating is not None:
            return ({isolating.keys.at: 1}, True) if in_flight == 0 else ({}, False)
        quotas = share(self.queues, slots, strict=self._strict)
        return quotas, in_flight == 0 and len(quotas) == 1

    async def run(self, *, in_flight: int, slots: int, beside: Awaitable[None] | None = None) -> None:
        """Write every outcome and claim jobs for the free slots. Several may be under way.

        Args:
            in_flight: attempts whose outcome is not decided, and those that claims under way may bring.
            slots: how many more may start; 0 or less: claim nothing.
            beside: what the worker does while the server works on the round; its own questions travel along.

        Raises:
            redis.exceptions.RedisError: of the first call that failed; what was not written is kept.
        """
        quotas, is_idle = self.plan(in_flight=in_flight, slots=slots)
        self._round = number = self._round + 1
        calls: list[Awaitable[None]] = [self._settle(queue) for queue in self.queues if queue.ends]
        asked = [(queue, quota) for queue in self.queues if (quota := quotas.get(queue.keys.at, 0))]
        calls += [self._claim(number, queue, quota, is_idle=is_idle) for queue, quota in asked]
        if beside is not None:
            calls.append(beside)  # after the others: it begins when their commands are on their way
        for queue, quota in asked:
            queue.claiming[number] = ALL_SLOTS if is_idle else quota
        try:
            if len(calls) == 1:
                await calls[0]
                return
            for answer in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(answer, BaseException):
                    raise answer
        finally:
            for queue, _ in asked:
                queue.claiming.pop(number, None)

    async def return_lost(self) -> None:
        """Give back what claims have leased whose answers were lost, and claim nothing.

        Raises:
            redis.exceptions.RedisError: what was not given back is kept in mind.
        """
        for queue in self.queues:
            while queue.lost_claims:
                await self._claim(self._round, queue, 0, is_idle=False)

    async def _settle(self, queue: ServedQueue) -> None:
        ends, queue.ends = queue.ends[:ROUND_JOBS], queue.ends[ROUND_JOBS:]
        if not ends:  # another round took them meanwhile
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

    async def _claim(self, number: int, queue: ServedQueue, limit: int, *, is_idle: bool) -> None:
        # Upkeep reads the length out of the token: to know a lease that the clock's going back made too long.
        is_resent = bool(queue.lost_claims)
        token = queue.lost_claims.pop() if is_resent else f"{secrets.token_hex(12)}.{self._lease_ms}"
        queue.claimed_in = number
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
            queue.may_have_due = True
            queue.lost_claims.append(token)
            raise
        queue.claiming.pop(number, None)
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
