"""Locks around jobs: one holder, in turn, whatever happens to it."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from runner import Context, InvalidArguments, InvalidTask, Job, Lock, Runner, Settings, task
from runner.settings import RedisGroup, WorkerGroup

Make = Callable[..., Runner]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any, lease: float = 15.0, max_jobs: int = 100) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=redis_url),
            worker=WorkerGroup(lease=lease, max_jobs=max_jobs, grace=0),
            tasks=(),
        )
        return Runner(settings, tasks=tasks)

    return runner


async def is_in(job: Job[Any], state: str) -> bool:
    return await job.status() == state


async def test_skip_ends_as_succeeded_and_says_so(make: Make, wait_until: Any) -> None:
    """A job that finds its lock taken ends at once; one with another name runs."""
    release = asyncio.Event()

    @task(lock=Lock("sync:{user_id}", on_busy="skip"))
    async def sync(ctx: Context, user_id: str) -> str:
        await release.wait()
        return f"synced {user_id}"

    runner = make(sync)
    async with runner.worker():
        first = await runner.enqueue(sync, "ann")
        await wait_until(lambda: is_in(first, "running"), "the first one runs")
        second, other = await runner.enqueue(sync, "ann"), await runner.enqueue(sync, "bob")
        assert await second.result(30) == {"status": "skipped", "reason": "already_running"}
        release.set()
        assert (await first.result(30), await other.result(30)) == ("synced ann", "synced bob")


async def test_waiters_get_the_lock_in_turn(make: Make) -> None:
    """First come, first served, one at a time, each with a higher fence than the one before."""
    inside, order, fences = 0, [], []

    @task(lock=Lock("one door"))
    async def enter(ctx: Context, number: int) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        order.append(number)
        fences.append(ctx.lock_fence)
        await asyncio.sleep(0.002)
        inside -= 1

    runner = make(enter)
    async with runner.worker():
        calls = [(enter.using(key=f"{number:02}"), number) for number in range(50)]
        jobs = [await runner.enqueue(call, number) for call, number in calls]
        for job in jobs:
            await job.result(30)
    assert order == sorted(order)
    assert fences == sorted(set(fences))


async def test_waiting_costs_next_to_nothing(make: Make, redis: Redis, wait_until: Any) -> None:
    """No polling storm: while 80 jobs wait, the server sees a few calls a second, not 80."""
    release = asyncio.Event()

    @task(lock=Lock("one door"))
    async def enter(ctx: Context) -> None:
        await release.wait()

    runner = make(enter)
    async with runner.worker():
        jobs = [await runner.enqueue(enter) for _ in range(81)]

        async def all_wait() -> bool:
            return await redis.zcard("runner:waiters:one door") == 80

        await wait_until(all_wait, "80 jobs stand in line")
        before = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
        await asyncio.sleep(1)
        assert (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before < 20
        release.set()
        for job in jobs:
            await job.result(30)
    assert await redis.keys("runner:wait*") == []


async def test_snooze_leaves_the_slot_and_spends_no_attempt(make: Make, wait_until: Any) -> None:
    """The one slot is free for others meanwhile, and the job runs later as its first attempt."""
    attempts: list[int] = []

    @task
    async def holder(ctx: Context) -> None:
        async with ctx.lock("door"):
            await wait_until(lambda: looked, "the other job ran while the snoozed one was away")

    @task(lock=Lock("door", on_busy="snooze"))
    async def snoozer(ctx: Context) -> None:
        attempts.append(ctx.attempt)

    looked: list[int] = []

    @task
    async def looker(ctx: Context) -> None:
        looked.append(1)

    runner = make(holder, snoozer, looker, max_jobs=2)
    async with runner.worker():
        first = await runner.enqueue(holder)
        await wait_until(lambda: is_in(first, "running"), "the first one runs")
        second = await runner.enqueue(snoozer)
        await wait_until(lambda: is_in(second, "scheduled"), "the second one is snoozed")
        await runner.enqueue(looker)
        await first.result(30)
        await second.result(30)
    assert attempts == [1]


async def test_losing_the_lock_cancels_the_attempt(make: Make, redis: Redis, wait_until: Any) -> None:
    """The heartbeat finds another holder: the call is cancelled, the job comes back, no attempt is spent."""
    seen: list[int] = []

    @task(lock=Lock("door"))
    async def work(ctx: Context) -> str:
        seen.append(ctx.attempt)
        if len(seen) == 1:
            await asyncio.sleep(60)
        return "done"

    runner = make(work, lease=1)
    async with runner.worker():
        job = await runner.enqueue(work)
        await wait_until(lambda: seen, "it runs")
        await redis.set("runner:lock:door", msgspec.msgpack.encode(["t 1 thief", "0", "1", ""])[1:])
        assert await job.result(30) == "done"
    assert seen == [1, 1]


async def test_a_lock_held_longer_than_its_lease_is_kept(make: Make, wait_until: Any, outlast: Any) -> None:
    """Nothing guesses how long a job takes: the heartbeat renews while it runs."""
    running, may_end = list[str](), asyncio.Event()

    @task
    async def hold(ctx: Context, name: str) -> None:
        async with ctx.lock("door"):
            running.append(name)
            await may_end.wait()
            running.append(name)

    runner = make(hold, lease=1)
    async with runner.worker():
        long = await runner.enqueue(hold, "long")
        await wait_until(lambda: running, "the long one holds it")
        short = await runner.enqueue(hold, "short")
        await outlast(1)
        may_end.set()
        await long.result(30)
        await short.result(30)
    assert running == ["long", "long", "short", "short"]


async def test_a_lock_inside_itself_is_the_same_hold(make: Make, redis: Redis) -> None:
    """A job cannot lock itself out, and the outer hold outlives the inner one."""

    @task(lock=Lock("door"))
    async def nested(ctx: Context) -> bool:
        async with ctx.lock("door") as inner:
            pass
        return inner == ctx.lock_fence and ctx.job_id.encode() in await redis.get("runner:lock:door")

    runner = make(nested)
    async with runner.worker():
        assert await (await runner.enqueue(nested)).result(30)


async def test_a_failed_call_frees_its_lock(make: Make) -> None:
    """Whatever ends the block ends the hold: the next job does not wait for a lease."""

    @task(max_tries=1)
    async def fails(ctx: Context) -> None:
        async with ctx.lock("door"):
            raise ValueError("no")

    @task(lock=Lock("door", on_busy="skip"))
    async def follows(ctx: Context) -> str:
        return "ran"

    runner = make(fails, follows)
    async with runner.worker():
        with pytest.raises(Exception, match="no"):
            await (await runner.enqueue(fails)).result(30)
        assert await (await runner.enqueue(follows)).result(30) == "ran"


async def test_a_killed_holder_is_followed_after_its_lease(
    make: Make, redis: Redis, redis_url: str, wait_until: Any, forks: Any
) -> None:
    """kill -9: nobody releases, the lease does; the next holder's fence is higher."""
    script = Path(__file__).with_name("effects_process.py")
    await redis.set("hangs", 1)

    @task
    async def under_a_lock(ctx: Context) -> int:
        async with ctx.lock("till", wait=10) as fence:
            return fence

    runner = make(under_a_lock, lease=1)
    async with runner:
        await runner.enqueue(under_a_lock)
        process = forks.start(script, redis_url, "1", "10")
        await wait_until(lambda: redis.exists("inside"), "the process holds the lock")
        forks.end(process)
        follower = await runner.enqueue(under_a_lock)
        async with runner.worker():
            fence = await follower.result(30)
    assert fence > int(await redis.lindex("fences", 0))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sync:{user}", "'{user}' is not one of the task's parameters (user_id)"),
        ("sync:{}", "name the parameter inside the braces"),
        ("sync:{0}", "name the parameter inside the braces"),
        ("", "1 to 512 printable characters"),
        ("a\nb", "1 to 512 printable characters"),
    ],
)
def test_a_lock_name_that_cannot_be_made_is_refused_where_it_is_declared(name: str, says: str) -> None:
    """A template with a missing field fails at import, not with the first job."""
    with pytest.raises((InvalidTask, ValueError)) as caught:

        @task(lock=Lock(name))
        async def sync(ctx: Context, user_id: str) -> None: ...

    assert says in str(caught.value)


def test_an_unknown_on_busy_is_refused() -> None:
    """The message says what there is."""
    with pytest.raises(ValueError, match="'skip', 'snooze' or 'wait', not 'drop'"):
        Lock("a", on_busy="drop")  # type: ignore[arg-type]


async def test_a_name_too_long_is_refused_at_enqueue(make: Make) -> None:
    """What the worker could not lock is not enqueued."""

    @task(lock=Lock("sync:{user_id}"))
    async def sync(ctx: Context, user_id: str) -> None: ...

    async with make(sync) as runner:
        with pytest.raises(InvalidArguments, match="cannot be made of its arguments"):
            await runner.enqueue(sync, "x" * 600)
