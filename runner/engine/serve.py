"""The loop of a worker: a round when there is work, sleep when there is none, patience with the server."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..wire.outage import OTHERS_RENEW_S, Outage
from ..wire.scripts import Execute
from .claim import Rounds
from .running import Running
from .survive import TROUBLE, Patience, is_passing
from .upkeep import Upkeep
from .wake import Wake

logger = logging.getLogger("arq.worker")

BEAT_S = 1.0
CRON_BEAT_S = 0.5
"""How often arq's heart beats; its cron enqueues from there."""
POLL_WITHOUT_PUSHES_S = 0.25
"""How often an idle worker looks while the server does not push."""
SHORTEST_POLL_S = 0.01
SMALLEST_HALF = 25
"""A claim takes half of the slots, so that one half runs while the server works on the other; of few slots it
takes more: what a trip costs is shared by its jobs."""
TURNS_TO_ASK = 3
"""Turns of the loop until what a call asks first is on its way: the call, its batch, the link."""
SHORTEST_PAUSE_S = 0.25
"""A server that lets itself be connected to and refuses all commands is asked no more often."""


class Limits(Protocol):
    """What the loop reads of arq's worker, at each turn: tests and signals change it."""

    allow_pick_jobs: bool
    burst: bool
    max_burst_jobs: int
    max_jobs: int
    poll_delay_s: float

    @property
    def queue_read_limit(self) -> int: ...
    @property
    def cron_jobs(self) -> Sequence[Any]: ...

    async def heart_beat(self) -> None: ...


@dataclass(kw_only=True)
class Serving:
    """Serves until told to stop.

    Attributes:
        limits: how much may run.
        running: what does.
        rounds: settles and claims.
        wake: ends the sleep.
        upkeep: renews leases first thing after an outage.
        look_for_aborts: cancels running jobs that somebody asked to abort.
        jobs_started: by this worker so far, those that run included.
        is_pushed: whether the server tells of changes by itself.
        execute: sends one command.
        queues: ZSETs that are empty when nothing is left to do: they hold what runs too.
        back: ends a pause: a connection was made, or a cluster has changed.
        must_look_for_aborts: somebody may have asked for a cancellation.
        is_closing: the loop shall end.
        under_way: rounds, and calls that begin beside them; whoever cancels the loop waits for them.
        may_be_overtaken: a round may be sent before the last one is answered: not where calls ask first,
            which would wait behind it.
        next_beat: loop time of arq's next heartbeat.
        outage: what is known of one, shared with what the jobs hold. While others are to renew nothing is
            claimed: it would count as the death of every worker. What has ended is written at once all the
            same: a record of an effect that nobody renews any more would run out, and somebody else make the
            effect again.
    """

    limits: Limits
    running: Running
    rounds: Rounds
    wake: Wake
    upkeep: Upkeep
    look_for_aborts: Callable[[], Awaitable[None]]
    jobs_started: Callable[[], int]
    is_pushed: Callable[[], bool]
    execute: Execute
    queues: Sequence[str]
    back: Wake = field(default_factory=Wake)
    must_look_for_aborts: bool = True
    is_closing: bool = False
    under_way: list[asyncio.Task[None]] = field(default_factory=list["asyncio.Task[None]"])
    may_be_overtaken: bool = True
    next_beat: float = 0.0
    outage: Outage = field(init=False)

    async def run(self) -> None:
        """Serve; in burst mode until the queues are empty.

        Raises:
            redis.exceptions.RedisError: what does not pass by itself, as wrong credentials.
        """
        patience = Patience()
        while not self.is_closing:
            try:
                if patience.failures:
                    await self.upkeep.reach()
                    self.outage.end()
                if await self._step():
                    patience.reset()
                elif self.limits.burst and await self._is_burst_over():
                    return
                else:
                    patience.reset()
                    await self._sleep()
            except TROUBLE as error:
                if not is_passing(error):
                    logger.error("%s: %s. The worker stops: %s", type(error).__name__, error, _CURE)
                    raise
                if patience.failures == 0:
                    self.outage.begin()
                    kind = type(error).__name__
                    logger.warning("the server is away (%s: %s); running jobs go on", kind, error)
                self._start(self.running.begin(self._half()))
                await self._pause(patience.next_delay_s())

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Take into account that these keys have changed; without any, that news may have been missed."""
        if any(key.endswith(b"abort") for key in keys) or (not keys and self.running.tasks):
            self.must_look_for_aborts = True
        if not keys:
            self.back.set()

    async def _pause(self, seconds: float) -> None:
        """Wait before the next try; shorter where a server was found, or others would claim what runs."""
        if self.running.attempts:
            seconds = min(seconds, OTHERS_RENEW_S / 2)
        await asyncio.sleep(min(seconds, SHORTEST_PAUSE_S))
        if seconds > SHORTEST_PAUSE_S:
            await self.back.sleep(seconds - SHORTEST_PAUSE_S)

    def free_slots(self) -> int:
        """Give how many more jobs may start; less than 1 when none may."""
        limits = self.limits
        if not limits.allow_pick_jobs or self.running.is_one_alone() or self.outage.left_s():
            return -1
        claiming = self.rounds.claiming
        slots = min(limits.max_jobs - self.running.in_flight - claiming, limits.queue_read_limit)
        slots = min(slots, self._half())
        if limits.burst and limits.max_burst_jobs >= 0:
            slots = min(slots, limits.max_burst_jobs - self.jobs_started() - claiming)
        return slots

    def _half(self) -> int:
        return max(self.limits.max_jobs // 2, SMALLEST_HALF)

    async def _step(self) -> bool:
        """Do what is to be done now; False when there was nothing."""
        now = asyncio.get_running_loop().time()
        self.rounds.note_time(now)
        if now >= self.next_beat or self.must_look_for_aborts:
            self._start(self.running.begin(self._half()))
            await self._look_around(now)
        if self.running.held or self.rounds.has_work(**self._room()):
            self.rounds.fresh = 0
            self._start(self._round())
        elif not self.under_way:
            return False
        await self._until_another_may_go()
        return True

    def _room(self) -> dict[str, int]:
        return {"in_flight": self.running.in_flight + self.rounds.claiming, "slots": self.free_slots()}

    async def _round(self) -> None:
        """Let what was claimed begin, and write and claim meanwhile.

        Who has to ask first does so before the round is sent, which then gives the server work: so that it is
        answered, and runs, meanwhile.
        """
        asking = self.running.ask(self._half())
        asked = None if asking is None else asyncio.get_running_loop().create_task(asking)
        self.may_be_overtaken = asked is None and (self.may_be_overtaken or bool(self.running.ready))
        for _ in range(TURNS_TO_ASK if asked else 0):
            await asyncio.sleep(0)
        beside = self.running.begin(0) if self.running.ready else None
        try:
            await self.rounds.run(**self._room(), beside=beside)
        finally:
            if asked is not None:
                await asked
        if not any(queue.ends or queue.has_more for queue in self.rounds.queues):
            await self.running.begin()  # no trip is sure to follow: a lone job starts at once

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self.wake.set())
        self.under_way.append(task)

    async def _until_another_may_go(self) -> None:
        """Wait until no round is under way, or one only, and a half of the jobs has ended beside it."""
        while True:
            await self.wake.sleep(BEAT_S)
            await self._collect()
            if not self.under_way or self._may_overtake():
                return
            if (
                self.running.held and self.may_be_overtaken
            ):  # the server has work: that is the time to run them
                self._start(self.running.begin(self._half()))

    def _may_overtake(self) -> bool:
        return len(self.under_way) == 1 and self.may_be_overtaken and self.rounds.fresh >= SMALLEST_HALF

    async def _collect(self) -> None:
        """Let go of what is done; where something has failed, of all, once it is."""
        if any(each.done() and each.exception() for each in self.under_way):
            await asyncio.wait(self.under_way)
        done = [each for each in self.under_way if each.done()]
        self.under_way = [each for each in self.under_way if not each.done()]
        errors = [error for each in done if (error := each.exception())]
        if errors:
            raise errors[0]

    async def _look_around(self, now: float) -> None:
        if now >= self.next_beat:
            self.next_beat = now + (CRON_BEAT_S if self.limits.cron_jobs else BEAT_S)
            await self.limits.heart_beat()
        if self.must_look_for_aborts:
            self.must_look_for_aborts = False
            await self.look_for_aborts()

    async def _sleep(self) -> None:
        now = asyncio.get_running_loop().time()
        until = min(self.next_beat, self.rounds.next_due_at() or self.next_beat)
        if left_s := self.outage.left_s():
            until = min(until, now + left_s)
        if not self.is_pushed():
            until = min(until, now + POLL_WITHOUT_PUSHES_S)
        if self.limits.burst:
            until = min(until, now + max(self.limits.poll_delay_s or 0, SHORTEST_POLL_S))
        await self.wake.sleep(max(0.001, until - now))
        if not self.is_pushed():
            self.rounds.note_changed([])

    async def _is_burst_over(self) -> bool:
        if self.running.attempts:
            return False
        if 0 <= self.limits.max_burst_jobs <= self.jobs_started():
            return True
        return not any([await self.execute("ZCARD", queue) for queue in self.queues])


_CURE = (
    "check the user, password and permissions in the server's address, and the types of the keys named above"
)
