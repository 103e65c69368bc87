"""What a task sees of its job and asks of the worker: every attribute of ``ctx``."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from runner import Context, JobFailed, Retry, Runner, RunnerError, Settings, task
from runner.clock import FixedClock
from runner.job import Attempt


async def test_ctx_says_what_it_is_about(make_runner: Callable[..., Runner]) -> None:
    """arq's keys and the typed attributes say the same of job, attempt, time and what is shared."""
    seen: dict[str, Any] = {}

    @task(timeout=60)
    async def look(ctx: Context) -> None:
        seen.update(ctx)
        seen["attributes"] = (ctx.job_id, ctx.attempt, ctx.fence > 0, ctx.clock.now_ms() > 0)
        seen["left"], seen["client"], seen["config"] = ctx.remaining(), ctx.http, ctx.settings

    async with make_runner(look) as runner, runner.worker():
        job = await runner.enqueue(look)
        await job.result(30)
    assert (seen["job_id"], seen["job_try"]) == (job.id, 1)
    assert seen["attributes"] == (job.id, 1, True, True)
    assert isinstance(seen["enqueue_time"], datetime)
    assert abs(seen["score"] - datetime.now(UTC).timestamp() * 1000) < 120_000
    assert 50 < seen["left"] <= 60
    assert isinstance(seen["client"], httpx.AsyncClient)
    assert isinstance(seen["config"], Settings)


async def test_the_fence_rises_with_every_attempt(make_runner: Callable[..., Runner]) -> None:
    """Each attempt of a job has a higher fence than the one before, and its number counts up."""
    seen: list[tuple[int, int]] = []

    @task(max_tries=3)
    async def again(ctx: Context) -> None:
        seen.append((ctx.attempt, ctx.fence))
        if ctx.attempt < 3:
            raise Retry(0)

    async with make_runner(again) as runner, runner.worker():
        await (await runner.enqueue(again)).result(30)
    assert [number for number, _ in seen] == [1, 2, 3]
    assert sorted(fence for _, fence in seen) == [fence for _, fence in seen]
    assert len({fence for _, fence in seen}) == 3


async def test_progress_is_seen_while_the_job_runs(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """``ctx.progress`` is what ``job.info().progress`` shows as soon as it returns; it goes with the job."""
    told, go_on = asyncio.Event(), asyncio.Event()

    @task
    async def work(ctx: Context) -> None:
        await ctx.progress(0.4, "four of ten")
        told.set()
        await go_on.wait()

    async with make_runner(work) as runner, runner.worker():
        job = await runner.enqueue(work)
        await told.wait()
        assert (await job.info()).progress == {"done": 0.4, "note": "four of ten"}
        go_on.set()
        await job.result(30)
        assert (await job.info()).progress == {}
    assert await redis.exists(f"runner:job:{job.id}") == 0


async def test_reports_of_one_moment_share_a_round_trip(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """Of many reports of one job at once the last one counts, and no more are written than jobs report."""

    @task
    async def work(ctx: Context) -> None:
        await asyncio.gather(*(ctx.progress(n / 1000, f"{n}") for n in range(501)))
        before = await redis.info("commandstats")
        await asyncio.gather(*(ctx.progress(n / 1000, f"{n}") for n in range(501)))
        after = await redis.info("commandstats")
        ctx["written"].append(after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"])
        ctx["written"].append((await runner.job(ctx.job_id).info()).progress["note"])

    written: list[Any] = []
    async with make_runner(work) as runner, runner.worker() as worker:
        worker.ctx["written"] = written
        await (await runner.enqueue(work)).result(30)
    assert written[0] <= 5
    assert written[1] == "500"


@pytest.mark.parametrize("done", [-0.1, 1.1, 50, math.nan, math.inf])
async def test_progress_is_a_share(make_runner: Callable[..., Runner], done: float) -> None:
    """Per cent or NaN is a mistake in the task, and said as one."""

    @task(max_tries=1)
    async def work(ctx: Context) -> None:
        await ctx.progress(done)

    async with make_runner(work) as runner, runner.worker():
        with pytest.raises(JobFailed, match="ValueError: progress is a share from 0 to 1, not"):
            await (await runner.enqueue(work)).result(30)


async def test_a_server_that_is_away_costs_the_report_not_the_job(
    make_runner: Callable[..., Runner], restartable_server: Any
) -> None:
    """The server is down while a task reports: the task goes on, and its result arrives."""

    @task
    async def work(ctx: Context) -> str:
        restartable_server.kill9()
        await ctx.progress(0.5)
        restartable_server.start()
        return "done"

    async with make_runner(work, url=restartable_server.url) as runner, runner.worker():
        assert await (await runner.enqueue(work)).result(30) == "done"


async def test_a_task_enqueues_another(make_runner: Callable[..., Runner]) -> None:
    """``ctx.enqueue`` makes a job of another task's call, placed as any."""

    @task
    async def child(ctx: Context, number: int) -> int:
        return number + 1

    @task
    async def parent(ctx: Context, number: int) -> str:
        job = await ctx.enqueue(child.using(key="the-child", queue="critical"), number)
        return job.id

    async with make_runner(parent, child) as runner, runner.worker():
        job = await runner.enqueue(parent, 1)
        assert await job.result(30) == "the-child"
        assert await runner.job("the-child", queue="critical", task=child).result(30) == 2


async def test_ctx_snooze_ends_the_attempt(make_runner: Callable[..., Runner]) -> None:
    """``ctx.snooze`` comes back later and spends no attempt; a naive datetime is refused."""
    tries: list[int] = []

    @task(max_tries=1)
    async def work(ctx: Context) -> int:
        tries.append(ctx.attempt)
        if len(tries) < 3:
            ctx.snooze(0.01)
        with pytest.raises(ValueError, match="aware datetime"):
            ctx.snooze(until=datetime(2030, 1, 1))
        return len(tries)

    async with make_runner(work) as runner, runner.worker():
        assert await (await runner.enqueue(work)).result(30) == 3
    assert tries == [1, 1, 1]


async def only_declared(ctx: Context) -> None: ...


def context(clock: FixedClock) -> Context:
    attempt = Attempt(
        job_id="j", queue="arq:queue", number=1, token="t", fence=1, due_at_ms=0, payload=None, clock=clock
    )
    return Context({}, attempt)


def test_remaining_is_none_without_a_hard_timeout() -> None:
    """``ctx.remaining()`` counts down to the hard timeout by the worker's clock; None when there is none."""
    clock = FixedClock()
    ctx = context(clock)
    assert ctx.remaining() is None
    ctx.running.deadline = clock.monotonic() + 10
    clock.advance(4)
    assert ctx.remaining() == pytest.approx(6)


async def test_a_ctx_of_another_worker_says_what_is_missing() -> None:
    """Under a user's own arq settings nothing put our things into ctx: that is said, not a KeyError."""
    ctx = context(FixedClock())
    for look in (lambda: ctx.http, lambda: ctx.settings):
        with pytest.raises(
            RunnerError, match=r"ctx has no '\w+': this worker was not made by runner.WorkerSettings"
        ):
            look()
    with pytest.raises(RunnerError, match="ctx has no 'report_progress'"):
        await ctx.progress(0.5)
    with pytest.raises(RunnerError, match="ctx has no 'runner'"):
        await ctx.enqueue(task(only_declared))
