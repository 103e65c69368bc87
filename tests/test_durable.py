"""`ctx.step`, `ctx.sleep`, `ctx.wait_for` and `runner.signal`, over a real worker."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import (
    Concurrency,
    Context,
    InvalidArguments,
    Job,
    JobFailed,
    JobState,
    Lock,
    PayloadTooLarge,
    Retry,
    Runner,
    Settings,
    SignalRefused,
    SignalTimeout,
    backoff,
    task,
)
from runner.settings.model import LimitsGroup, RedisGroup, WorkerGroup

Make = Callable[..., Runner]
Until = Callable[..., Any]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any, max_jobs: int = 10, steps: int = 4096, payload: int = 4096) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=redis_url),
            worker=WorkerGroup(grace=0, max_jobs=max_jobs),
            limits=LimitsGroup(steps=steps, payload=payload),
            tasks=(),
        )
        return Runner(settings, tasks=tasks)

    return runner


@dataclass
class Rates:
    day: datetime
    euro: float


def at_once(**options: Any) -> Any:
    return task(retry=backoff.constant(0), max_tries=3, **options)


async def held(job: Job[Any], wait_until: Until) -> str:
    """Wait until a job waits for something; gives what."""
    why = ""

    async def is_held() -> bool:
        nonlocal why
        info = await job.info()
        why = info.waits_for
        return bool(why) and info.state is JobState.SCHEDULED

    await wait_until(is_held, "the job to be held")
    return why


async def let_time_pass(redis: Redis, job: Job[Any], slot: str) -> None:
    """Make the time of a wait be over."""
    await redis.hset(f"runner:job:{job.id}", slot, "?1")
    await redis.zadd("arq:queue", {job.id: 1})


async def test_a_step_runs_once_over_all_attempts(make: Make) -> None:
    """A retry is given what was recorded, as the annotation says, just as the first attempt was."""
    calls: list[str] = []
    seen: list[Any] = []

    async def fetch(day: datetime, *, euro: float = 1.0) -> Rates:
        calls.append("fetch")
        return Rates(day, euro)

    async def pair() -> Any:
        calls.append("pair")
        return (1, 2)

    @at_once()
    async def work(ctx: Context) -> float:
        rates = await ctx.step("fetch", fetch, datetime(2026, 1, 2, tzinfo=UTC), euro=1.5)
        seen.append((rates, await ctx.step("pair", pair)))
        if ctx.attempt < 3:
            raise Retry(0)
        return rates.euro

    runner = make(work)
    async with runner.worker():
        assert await (await runner.enqueue(work)).result(30) == 1.5
    assert calls == ["fetch", "pair"]
    assert seen == [(Rates(datetime(2026, 1, 2, tzinfo=UTC), 1.5), [1, 2])] * 3


async def test_a_step_that_fails_is_not_recorded(make: Make) -> None:
    """It runs again with the next attempt; the ones before it do not."""
    calls: list[str] = []

    async def effect(name: str, number: int) -> None:
        calls.append(name)
        if name == "b" and number < 3:
            raise ConnectionError

    @at_once()
    async def work(ctx: Context) -> None:
        for name in "abc":
            await ctx.step(f"effect {name}", effect, name, ctx.attempt)

    runner = make(work)
    async with runner.worker():
        await (await runner.enqueue(work)).result(30)
    assert calls == ["a", "b", "b", "b", "c"]


async def test_steps_side_by_side_are_told_apart_by_name(make: Make) -> None:
    """No order is asked of steps."""

    async def double(n: int) -> int:
        return n * 2

    @at_once()
    async def work(ctx: Context) -> list[int]:
        order = range(20) if ctx.attempt == 1 else reversed(range(20))
        got = await asyncio.gather(*(ctx.step(f"double {n}", double, n) for n in order))
        if ctx.attempt == 1:
            raise Retry(0)
        return got

    runner = make(work)
    async with runner.worker():
        assert await (await runner.enqueue(work)).result(30) == [n * 2 for n in reversed(range(20))]


async def nothing() -> None: ...
async def much() -> str:
    return "x" * 5000


async def odd() -> Any:
    return object()


@pytest.mark.parametrize(
    ("names", "fn", "message"),
    [
        (("a", "a"), nothing, "step 'a' was asked for twice in one attempt: give each a name of its own"),
        (("a",), much, "may record 4,096 bytes \\(limits.steps\\).* the result of step 'a' takes 5,002"),
        (("a",), odd, "step 'a' has run, and its result cannot be recorded: object"),
        (("a",), len, "step 'a' takes a coroutine function and its arguments, not <built-in"),
        (("",), nothing, "the name of a step is 1 to 200 printable characters, not ''"),
        (("a\n",), nothing, "printable characters"),
    ],
    ids=["twice", "large", "odd", "no coroutine", "empty", "unprintable"],
)
async def test_a_step_that_cannot_be_is_not_tried_again(
    make: Make, names: tuple[str, ...], fn: Any, message: str
) -> None:
    """Another attempt would make its effect again and end the same: the job is dead at once, and says why."""
    attempts: list[int] = []

    @at_once()
    async def work(ctx: Context) -> None:
        attempts.append(ctx.attempt)
        for name in names:
            await ctx.step(name, fn, *([()] if fn is len else []))

    runner = make(work)
    async with runner.worker():
        job = await runner.enqueue(work)
        with pytest.raises(JobFailed, match=message):
            await job.result(30)
        assert [letter.reason for letter in (await runner.dead.find()).letters] == ["invalid_step"]
    assert attempts == [1]


async def test_a_sleeping_job_holds_no_slot(make: Make, redis: Redis, wait_until: Until) -> None:
    """Another job runs in the only slot meanwhile; later it goes on behind its sleeps, no attempt spent."""
    begun: list[int] = []

    @at_once()
    async def nap(ctx: Context) -> int:
        begun.append(ctx.attempt)
        with contextlib.suppress(Exception):  # what sleeps is no Exception: this does not keep it awake
            await ctx.sleep("2d")
        await ctx.sleep(0)
        await ctx.sleep("1h", name="cool down")
        return ctx.attempt

    @task
    async def other(ctx: Context) -> str:
        return "done"

    runner = make(nap, other, max_jobs=1)
    async with runner.worker():
        job = await runner.enqueue(nap)
        now = datetime.now(UTC)
        until = datetime.fromisoformat((await held(job, wait_until))[15:34] + "+00:00")
        assert abs((until - now).total_seconds() - 2 * 86_400) < 60
        assert await (await runner.enqueue(other)).result(30) == "done"
        await let_time_pass(redis, job, "sleep:#1")
        await wait_until(lambda: len(begun) == 2, "the first sleep to be over")
        assert (await held(job, wait_until)).startswith("sleeping until ")
        await let_time_pass(redis, job, "sleep:cool down#1")
        assert await job.result(30) == 1
    assert begun == [1, 1, 1]
    assert await redis.keys("runner:job:*") == []


async def test_a_signal_wakes_its_job_at_once(make: Make, wait_until: Until) -> None:
    """With its data, by handle or by id; early ones are kept for their waits, in order."""

    @at_once()
    async def order(ctx: Context) -> list[Any]:
        return [
            await ctx.wait_for("paid", timeout="3d"),
            await ctx.wait_for("item", timeout="3d"),
            await ctx.wait_for("item", timeout="3d"),
        ]

    runner = make(order)
    async with runner.worker():
        job = await runner.enqueue(order)
        why = await held(job, wait_until)
        assert why.startswith("waiting for signal 'paid' until ")
        assert why in str(await job.explain())
        await job.signal("item", 1)
        await runner.signal(job.id, "paid", {"by": "card"}, key="evt_1")
        assert (await held(job, wait_until)).startswith("waiting for signal 'item'")
        await runner.signal(job.id, "item", 2)
        assert await job.result(30) == [{"by": "card"}, 1, 2]


async def test_a_wait_in_vain_ends_in_an_error_that_stays(make: Make) -> None:
    """Whoever catches it goes the other way in every attempt, whatever comes later."""

    @at_once()
    async def ask(ctx: Context) -> str:
        try:
            return await ctx.wait_for("approved", timeout=0)
        except SignalTimeout:
            if ctx.attempt == 1:
                await runner.signal(ctx.job_id, "approved", "too late")
                raise Retry(0) from None
            return "not approved"

    runner = make(ask)
    async with runner.worker():
        assert await (await runner.enqueue(ask)).result(30) == "not approved"


async def test_a_wait_in_vain_is_waited_anew_by_a_replay(make: Make, redis: Redis, wait_until: Until) -> None:
    """Uncaught it is final at once: another attempt would find the same. The letter says what was missing."""
    made: list[str] = []

    async def effect() -> None:
        made.append("effect")

    @at_once()
    async def ask(ctx: Context) -> str:
        await ctx.step("effect", effect)
        return await ctx.wait_for("approved", timeout="3d")

    runner = make(ask)
    async with runner.worker():
        job = await runner.enqueue(ask)
        await held(job, wait_until)
        await let_time_pass(redis, job, "wait:approved#1")
        with pytest.raises(JobFailed, match="signal 'approved' did not come within 3d"):
            await job.result(30)
        letters = (await runner.dead.find()).letters
        assert [(letter.reason, letter.attempts) for letter in letters] == [("no_signal", 1)]
        with pytest.raises(SignalRefused, match=f"no job {job.id} in queue 'default'.*it has ended"):
            await job.signal("approved")
        await runner.dead.replay(job.id)
        await held(job, wait_until)
        await job.signal("approved", "yes")
        assert await job.result(30) == "yes"
    assert made == ["effect"]


async def test_waits_in_a_task_group_end_with_the_first_that_comes(make: Make, wait_until: Until) -> None:
    """The attempt is suspended, not failed, and each of the waits wakes it."""
    begun: list[int] = []

    @at_once()
    async def both(ctx: Context) -> list[Any]:
        begun.append(1)
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(ctx.wait_for(name, timeout="1d")) for name in ("a", "b")]
        return [wait.result() for wait in waits]

    runner = make(both)
    async with runner.worker():
        job = await runner.enqueue(both)
        await held(job, wait_until)
        await job.signal("b", 2)
        await wait_until(lambda: len(begun) == 2, "the second signal to wake it")
        await held(job, wait_until)
        await job.signal("a", 1)
        assert await job.result(30) == [1, 2]


async def test_a_sleeping_job_is_cancelled_and_gives_its_lock_back(
    make: Make, redis: Redis, wait_until: Until
) -> None:
    """It is nobody's while it sleeps: cancelled at once, its lock is free, its records go."""

    @at_once(lock=Lock("till"))
    async def nap(ctx: Context, delay: str) -> None:
        await ctx.sleep(delay)

    runner = make(nap)
    async with runner.worker():
        job = await runner.enqueue(nap, "2d")
        await held(job, wait_until)
        await (await runner.enqueue(nap, "0s")).result(30)
        assert await job.cancel()
        assert await job.status() is JobState.CANCELLED
    assert await redis.keys("runner:job:*") == []


async def test_a_waiting_job_gives_its_slot_under_a_limit_back(make: Make, wait_until: Until) -> None:
    """Another job of the same concurrency limit runs meanwhile; the signal still wakes the first at once."""

    @at_once(concurrency=Concurrency("till", 1))
    async def serve(ctx: Context, waits: bool) -> Any:
        return await ctx.wait_for("paid", timeout="2d") if waits else "served"

    runner = make(serve)
    async with runner.worker():
        job = await runner.enqueue(serve, True)
        await held(job, wait_until)
        assert await (await runner.enqueue(serve, False)).result(30) == "served"
        await job.signal("paid", "cash")
        assert await job.result(30) == "cash"


async def test_a_job_that_has_begun_does_not_expire_in_its_sleep(
    make: Make, redis: Redis, wait_until: Until, outlast: Any
) -> None:
    """`expires` is about starting; a signal that came early does not count as a start."""

    @at_once()
    async def nap(ctx: Context) -> str:
        await ctx.sleep("2d")
        return "woken"

    runner = make(nap)
    async with runner:
        late = await runner.enqueue(nap.using(expires=0.001))
        await late.signal("early")
        await outlast(0.001)
        async with runner.worker():
            job = await runner.enqueue(nap.using(expires=2))
            await held(job, wait_until)
            await outlast(2)
            await let_time_pass(redis, job, "sleep:#1")
            assert await job.result(30) == "woken"
            assert await late.status() is JobState.EXPIRED


async def test_what_cannot_be_signalled_is_refused(make: Make) -> None:
    """The caller is told what is wrong and what to do; nothing is written."""

    @task
    async def idle(ctx: Context) -> None: ...

    runner = make(idle, steps=200)
    async with runner:
        job = await runner.enqueue(idle)
        with pytest.raises(SignalRefused, match=r"no job nobody in queue 'default'.*another queue"):
            await runner.signal("nobody", "ok")
        with pytest.raises(SignalRefused, match="queue 'bulk'"):
            await runner.signal(job.id, "ok", queue="bulk")
        with pytest.raises(InvalidArguments, match="signal 'ok': its data cannot be encoded: object"):
            await job.signal("ok", object())
        with pytest.raises(PayloadTooLarge, match=r"5,002 bytes, more than limits\.payload = 4,096"):
            await job.signal("ok", "x" * 5000)
        with pytest.raises(ValueError, match="text of 1 to 1024 characters"):
            await job.signal("")
        await job.signal("ok", "x" * 50)
        with pytest.raises(SignalRefused, match=r"holds as many .* \(limits.steps\); 'ok' was not added"):
            await job.signal("ok", "x" * 50)


async def test_a_wait_longer_than_anybody_means_is_refused(make: Make) -> None:
    """A number of seconds too many is found out at the call."""

    @task(max_tries=1)
    async def nap(ctx: Context) -> None:
        await ctx.sleep("4000d")

    runner = make(nap)
    async with runner.worker():
        with pytest.raises(JobFailed, match="ten years at most, not '4000d'"):
            await (await runner.enqueue(nap)).result(30)
