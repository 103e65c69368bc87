"""Cancellation as arq's clients ask for it: before the start, while running, of an id that is not there."""

import asyncio
from typing import Any

from arq.jobs import Job

from runner import task


@task
async def sleeps(ctx: Any) -> None:
    ctx["started"].set()
    await asyncio.Event().wait()


@task
async def returns(ctx: Any) -> int:
    return 1


def arq_job(yard: Any, job_id: str) -> Job:
    from runner.wire import deserialize

    return Job(job_id, yard.pool(), _deserializer=deserialize)


async def test_a_job_cancelled_before_its_start_never_starts(yard: Any, wait_until: Any) -> None:
    """A plain client's abort of a deferred job: cancelled at claim, whatever its due time was."""
    job = await yard.put(returns, delay_ms=3_600_000)
    # arq makes the job due first and asks for its end second: a worker that claims in between runs it.
    aborting = asyncio.ensure_future(arq_job(yard, job).abort(timeout=30, poll_delay=0.01))
    await wait_until(lambda: yard.redis.zscore(yard.keys.abort, job), "it has been asked for")
    async with yard.serving(returns):
        assert await aborting is True
    assert await yard.state(job) == "cancelled"
    assert await yard.leftovers_of_jobs() == []


async def test_a_running_job_is_cancelled_at_once(yard: Any) -> None:
    """Pushed, not polled: a poll, or a look at what is leased, would come in an hour."""
    options = {"lease_s": 3 * 3600, "safety_poll_s": 3600}
    for _ in range(3):
        started = asyncio.Event()
        async with yard.serving(sleeps, ctx={"started": started}, options=options):
            job = await yard.put(sleeps)
            await asyncio.wait_for(started.wait(), 30)
            assert await arq_job(yard, job).abort(timeout=30, poll_delay=0.001) is True
        assert await yard.state(job) == "cancelled"
    assert await yard.leftovers_of_jobs() == []


async def test_a_cancellation_of_nothing_does_not_meet_the_next_job_of_that_id(
    yard: Any, wait_until: Any
) -> None:
    """arq keeps it for ever: the next job of that id is 'aborted before start' without anybody asking."""
    async with yard.serving(returns, options={"lease_s": 10_800, "safety_poll_s": 3600}):
        await yard.redis.zadd(yard.keys.abort, {"ghost": 1})
        await wait_until(lambda: nothing_asked(yard), "the request is dropped")
        await yard.pool().enqueue_job("returns", _job_id="ghost")
        await wait_until(lambda: has_result(yard, "ghost"), "the job of that id")
    assert await yard.state("ghost") == "succeeded"


async def nothing_asked(yard: Any) -> bool:
    return not await yard.redis.exists(yard.keys.abort)


async def has_result(yard: Any, job: str) -> bool:
    return await yard.result(job) is not None


async def test_a_job_that_swallows_its_cancellation_does_not_keep_its_slot(
    yard: Any, wait_until: Any
) -> None:
    """It is cancelled for everybody else; its code may go on, its slot is free and its outcome decided."""
    free = asyncio.Event()

    @task
    async def deaf(ctx: Any) -> None:
        ctx["started"].set()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    started = asyncio.Event()
    options = {"stuck_after_s": 0.05}
    async with yard.serving(deaf, returns, ctx={"started": started}, options=options, max_jobs=1):
        job = await yard.put(deaf)
        await asyncio.wait_for(started.wait(), 30)
        await yard.redis.zadd(yard.keys.abort, {job: 1})
        await wait_until(lambda: has_result(yard, job), "cancelled although it does not stop")
        assert await yard.state(job) == "cancelled"
        other = await yard.put(returns)
        await wait_until(lambda: has_result(yard, other), "its slot is used again")
        free.set()


async def test_without_allow_abort_jobs_arqs_settings_do_not_cancel(yard: Any, wait_until: Any) -> None:
    """Built with arq's parameters our Worker behaves as arq's: allow_abort_jobs decides."""
    from runner.engine.worker import EngineOptions, Worker

    worker = Worker([returns.fn], redis_pool=yard.pool(), handle_signals=False, engine=EngineOptions())
    assert worker.allow_abort_jobs is False
    await worker._cancel_aborted_jobs()
    await yard.redis.zadd(yard.keys.abort, {"x": 1})
    await worker._cancel_aborted_jobs()
    assert await yard.redis.zscore(yard.keys.abort, "x") == 1
    await worker.close()
