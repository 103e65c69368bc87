"""What the simulated workers do: a task of each kind, and a ledger of what its calls did.

The ledger is the world's, as the other side of a payment is: it notes what happens, whoever does it.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from runner import Concurrency, Context, Idempotency, Lock, Snooze, backoff, task

from .world import World

LEASE_S = 6.0
GATE = 2
TILLS = 2
SOON = backoff.constant(1.0)
MANY = 60
"""Attempts: a job of the simulation dies of its own mistakes only."""


class Call(NamedTuple):
    """One call of a task's code that began."""

    job: str
    fence: int
    attempt: int
    process: str
    began_s: float


@dataclass
class Ledger:
    """What happened.

    Attributes:
        world: whose.
        reachable_since: when the server came to be so last.
        calls: that began.
        open: those that have not ended.
        lost: when those were lost to others.
        fences: highest that was written with, by what was written to.
        well: calls that came to their end.
        effects: for each key, the calls that made the effect.
        merged: results that callbacks got, by job.
        wrong: what must not be.
    """

    world: World
    reachable_since: Callable[[], float]
    calls: list[Call] = field(default_factory=list[Call])
    open: dict[tuple[str, int], Call] = field(default_factory=dict[tuple[str, int], Call])
    lost: dict[tuple[str, int], float] = field(default_factory=dict[tuple[str, int], float])
    well: set[Call] = field(default_factory=set[Call])
    fences: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    effects: dict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    merged: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    counts: Counter[str] = field(default_factory=Counter[str])
    wrong: list[str] = field(default_factory=list[str])

    def blame(self, what: str) -> None:
        self.wrong.append(f"at {self.world.now_s:.3f} s: {what}")
        self.world.note("WRONG", what)

    @contextlib.asynccontextmanager
    async def call(self, ctx: Context) -> AsyncIterator[Call]:
        loop: Any = asyncio.get_running_loop()
        call = Call(ctx.job_id, ctx.fence, ctx.attempt, loop.name, self.world.now_s)
        self.calls.append(call)
        self.open[call.job, call.fence] = call
        self.world.note(call.process, "begins", call.job, "attempt", call.attempt, "fence", call.fence)
        try:
            yield call
            self.well.add(call)
        finally:
            if not loop.is_dead and not self.world.is_over:
                self._look_at_lost(call, loop)
                del self.open[call.job, call.fence]
                self.world.note(call.process, "leaves", call.job, "fence", call.fence)

    def call_of(self, job: str, fence: int) -> Call | None:
        """Give the call that began with this fence."""
        return next((call for call in self.calls if (call.job, call.fence) == (job, fence)), None)

    def loop_of(self, call: Call) -> Any:
        """Give the process of a call, if it lives."""
        loops = (loop for loop in self.world.loops if loop.name == call.process)
        return next((loop for loop in loops if not loop.is_dead and not loop.main.done()), None)

    def lose(self, job: str, fence: int) -> None:
        """Note that somebody else may have a job now that is still being worked at."""
        if (job, fence) in self.open:
            self.lost.setdefault((job, fence), self.world.now_s)

    def _look_at_lost(self, call: Call, loop: Any) -> None:
        """A worker that is awake and reaches the server learns what it lost when it renews, and stops it."""
        if (call.job, call.fence) not in self.lost:
            return
        since = max(self.lost[call.job, call.fence], loop.paused_until, self.reachable_since() + LEASE_S)
        if self.world.now_s - since > LEASE_S / 3 + 1:
            self.blame(f"{call} went on for {self.world.now_s - since:.1f} s after it was lost")

    def make(self, effect: str, call: Call, *, is_recovering: bool) -> None:
        """Make an effect; whoever is told that it may have been made asks first, and leaves it so."""
        if is_recovering and self.effects[effect]:
            self.world.note(call.process, "finds", effect, "made")
        else:
            self.effects[effect].append(call)

    def write(self, what: str, fence: int) -> None:
        """Write to something that refuses lower fences; two holders of one lock have different ones."""
        if fence < self.fences[what]:
            self.counts["refused by fence"] += 1
        self.fences[what] = max(fence, self.fences[what])


LEDGER: list[Ledger] = []
"""The one of the seed that runs now."""


def ledger() -> Ledger:
    return LEDGER[-1]


@task(max_tries=MANY, retry=SOON)
async def quick(ctx: Context, seconds: float) -> str:
    async with ledger().call(ctx):
        await asyncio.sleep(seconds)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON)
async def ticked(ctx: Context, seconds: float) -> str:
    async with ledger().call(ctx):
        await asyncio.sleep(seconds)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON)
async def flaky(ctx: Context, failures: int, seconds: float) -> str:
    async with ledger().call(ctx):
        await asyncio.sleep(seconds)
        if ctx.attempt <= failures:
            raise ValueError("not yet")
    return ctx.job_id


@task(max_tries=3, retry=SOON)
async def broken(ctx: Context) -> None:
    async with ledger().call(ctx):
        await asyncio.sleep(0.05)
        raise ValueError("never")


@task(max_tries=MANY, retry=SOON)
async def snoozing(ctx: Context, times: int) -> str:
    async with ledger().call(ctx):
        if ctx.running.snoozes < times:
            raise Snooze(0.7)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON, concurrency=Concurrency("gate", GATE), tenant="{tenant}")
async def gated(ctx: Context, tenant: str, seconds: float) -> str:
    async with ledger().call(ctx):
        await asyncio.sleep(seconds)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON, lock=Lock("till {till}", wait=5))
async def locked(ctx: Context, till: int, seconds: float) -> str:
    async with ledger().call(ctx):
        ledger().write(f"till {till}", ctx.lock_fence)
        await asyncio.sleep(seconds)
        ledger().write(f"till {till}", ctx.lock_fence)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON, idempotency=Idempotency(key=lambda order: order))
async def paying(ctx: Context, order: str, seconds: float) -> str:
    async with ledger().call(ctx) as call:
        await asyncio.sleep(seconds / 2)
        ledger().make(order, call, is_recovering=ctx.once.is_recovering)
        await asyncio.sleep(seconds / 2)
    return ctx.job_id


@task(max_tries=MANY, retry=SOON)
async def part(ctx: Context, number: int, seconds: float) -> int:
    async with ledger().call(ctx):
        await asyncio.sleep(seconds)
        if ctx.attempt == 1 and number == 1:
            raise ValueError("once")
    return number


@task(max_tries=MANY, retry=SOON)
async def merge(ctx: Context, numbers: list[int]) -> int:
    async with ledger().call(ctx):
        ledger().merged[ctx.job_id] = list(numbers)
        await asyncio.sleep(0.1)
    return sum(numbers)


TASKS = (quick, ticked, flaky, broken, snoozing, gated, locked, paying, part, merge)
FAILS = frozenset({broken.name})
