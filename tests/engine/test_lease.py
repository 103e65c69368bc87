"""Leases: a worker that was away too long has lost its jobs; jobs that kill workers are convicted alone."""

import asyncio
import signal
from typing import Any

from runner import task
from runner.wire.scripts import End, Verdict


@task
async def quick(ctx: Any) -> int:
    return ctx.attempt


async def has_result(yard: Any, job: str) -> bool:
    return await yard.result(job) is not None


async def steal(yard: Any, job: str) -> Any:
    """Let the lease run out and claim the job for another worker, as after a long pause."""
    after_ms = int(await yard.redis.zscore(yard.keys.queue, job)) + 1
    await yard.redis.delete(yard.keys.lease(job))
    claim = await yard.scripts.claim(
        yard.keys, token="thief", worker="thief", limit=1, lease_ms=60_000, is_idle=True, now_ms=after_ms
    )
    assert [each.job_id for each in claim.jobs] == [job]
    return claim.jobs[0]


async def test_an_attempt_whose_lease_is_lost_is_cancelled_and_told(yard: Any, wait_until: Any) -> None:
    """The call sees a cancellation that says LeaseLost; nothing it does afterwards is written."""
    told: list[Any] = []
    started = asyncio.Event()

    @task
    async def waits(ctx: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            told.append((cancelled.args, ctx.running.cancel_reason))
            raise

    async with yard.serving(waits, options={"lease_s": 60}) as worker:
        job = await yard.put(waits)
        await asyncio.wait_for(started.wait(), 30)
        stolen = await steal(yard, job)
        await worker._upkeep.renew()
        await wait_until(lambda: not worker._running.attempts, "the attempt is gone")
        assert await yard.state(job) == "running"
    assert told == [(("LeaseLost",), "lost")]
    end = End(job, "thief", stolen.fence, "done", -1, b"{}", "", stolen.attempt)
    assert await yard.scripts.finish(yard.keys, [end]) == [Verdict.WRITTEN]


async def test_an_outcome_that_comes_after_the_lease_is_refused(yard: Any, wait_until: Any) -> None:
    """The token decides: a stale worker's success changes nothing for the one that holds the job now."""
    gate, started = asyncio.Event(), asyncio.Event()

    @task
    async def slow(ctx: Any) -> str:
        started.set()
        await gate.wait()
        return "stale"

    async with yard.serving(slow, options={"lease_s": 60}) as worker:
        job = await yard.put(slow)
        await asyncio.wait_for(started.wait(), 30)
        await steal(yard, job)
        gate.set()
        await wait_until(lambda: not worker._running.attempts, "the outcome is decided")
        assert await yard.state(job) == "running"
        assert (await yard.redis.hget(yard.keys.running, job)).startswith(b"thief ")
        assert await yard.redis.get(yard.keys.lease(job)) == b"thief"
    assert await yard.state(job) == "running"


async def test_a_worker_that_claims_its_own_lost_job_runs_it_once(yard: Any, wait_until: Any) -> None:
    """After a pause a worker may find its own job due: the earlier attempt ends and touches nothing."""
    running: set[int] = set()
    most = 0

    @task
    async def counted(ctx: Any) -> int:
        nonlocal most
        running.add(ctx.attempt)
        most = max(most, len(running))
        try:
            await ctx["gate"].wait()
        finally:
            running.discard(ctx.attempt)
        return ctx.attempt

    gate = asyncio.Event()
    async with yard.serving(counted, ctx={"gate": gate}, options={"lease_s": 60}) as worker:
        job = await yard.put(counted)
        await wait_until(lambda: running == {1}, "the first attempt runs")
        await yard.redis.delete(yard.keys.lease(job))
        await yard.redis.zadd(yard.keys.queue, {job: 1})
        await wait_until(lambda: running == {2}, "only the second attempt runs")
        assert list(worker.tasks) == [job]
        gate.set()
        await wait_until(lambda: has_result(yard, job), "it ends")
    assert (await yard.result(job))["r"] == 2
    assert await yard.leftovers_of_jobs() == []


async def test_leases_are_renewed_while_a_job_runs(yard: Any, wait_until: Any) -> None:
    """A job may take longer than a lease: nobody else starts it."""
    starts: list[int] = []

    @task
    async def long(ctx: Any) -> int:
        starts.append(ctx.attempt)
        await ctx["gate"].wait()
        return 1

    gate = asyncio.Event()
    options = {"lease_s": 2}
    async with yard.serving(long, ctx={"gate": gate}, options={**options, "name": "a"}) as first:
        job = await yard.put(long)
        await wait_until(lambda: starts, "it runs")
        async with yard.serving(long, ctx={"gate": gate}, options={**options, "name": "b"}):
            before = await yard.redis.zscore(yard.keys.queue, job)
            await wait_until(lambda: moved(yard, job, before + 2100), "a lease has passed")
            gate.set()
            await wait_until(lambda: not first._running.attempts, "it ends")
    assert starts == [1]
    assert (await yard.result(job))["r"] == 1


async def moved(yard: Any, job: str, beyond_ms: float) -> bool:
    return await yard.redis.zscore(yard.keys.queue, job) > beyond_ms


async def test_a_stopped_worker_loses_its_jobs_and_its_late_outcomes(
    yard: Any, fleet: Any, wait_until: Any
) -> None:
    """SIGSTOP beyond the lease: another worker takes over; the first one's outcome is refused."""
    stopped = fleet.start(lease_s=1.5)
    await yard.put("work", 0.3, job_id="slow")
    await wait_until(lambda: fleet.events(), "it runs")
    fleet.send(stopped, signal.SIGSTOP)
    other = fleet.start(lease_s=1.5)
    await wait_until(lambda: has_result(yard, "slow"), "the other worker ends it")
    result = await yard.result("slow")
    fleet.send(stopped, signal.SIGCONT)
    after = await yard.put("work", 0, job_id="after")
    await wait_until(lambda: has_result(yard, after), "work goes on")
    fleet.send(stopped, signal.SIGTERM)
    fleet.workers[stopped].join(10)
    starts = [event for event in fleet.events() if event.job == "slow" and event.what == "start"]
    assert [event.worker for event in starts] == [stopped, other]
    assert await yard.result("slow") == result
    assert result["t"] == 2


async def test_a_job_that_kills_workers_dies_alone(yard: Any, fleet: Any, wait_until: Any) -> None:
    """Poison among innocents: dead after three deaths at most, the last one alone, no innocent with it."""
    poison = await yard.put("kills_its_worker", job_id="poison")
    innocents = [await yard.put("work", 0.05) for _ in range(30)]
    names = {fleet.start(lease_s=1.5, max_jobs=10) for _ in range(2)}
    deaths = 0

    async def over() -> bool:
        nonlocal deaths
        for _ in fleet.reap():
            deaths += 1
            names.add(fleet.start(lease_s=1.5, max_jobs=10))
        done = await yard.redis.exists(*(yard.keys.result(job) for job in innocents))
        return done == len(innocents) and await yard.redis.zcard(yard.keys.dead) == 1

    await wait_until(over, "poison dead, innocents done")
    letter = await yard.letter(poison)
    assert letter["reason"] == "poison"
    assert letter["payload"]
    assert deaths <= 3
    assert {await yard.state(job) for job in innocents} == {"succeeded"}
    last = [event for event in fleet.events() if event.job == "poison"][-1]
    beside = [
        e for e in fleet.events() if e.worker == last.worker and e.at_s >= last.at_s and e.job != "poison"
    ]
    assert beside == [], "the suspect did not run alone"
    assert await yard.redis.zcard(yard.keys.suspects) == 0


async def test_a_job_of_a_dead_worker_goes_before_the_backlog(yard: Any) -> None:
    """It has waited already; its due time, the end of its lease, would put it behind the backlog."""
    lost = await yard.put(quick)
    await yard.scripts.claim(yard.keys, token="dead", worker="dead", limit=1, lease_ms=60_000)
    waiting = [await yard.put(quick) for _ in range(5)]
    await yard.redis.delete(yard.keys.lease(lost))
    await yard.scripts.maintain(yard.keys, cursor=0)
    claim = await yard.scripts.claim(yard.keys, token="t", worker="w", limit=1, lease_ms=60_000)
    assert [job.job_id for job in claim.jobs] == [lost]
    assert await yard.redis.zcard(yard.keys.queue) == len(waiting) + 1
