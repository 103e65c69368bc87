"""The end of a worker: jobs finish within the grace, the rest is given back, nothing is stuck."""

import asyncio
import contextlib
import signal
from functools import partial
from typing import Any

import pytest

from runner import backoff, task
from runner.wire.link import Link


@task
async def slow(ctx: Any) -> str:
    ctx["started"].append(ctx.job_id)
    await ctx["gate"].wait()
    return f"attempt {ctx.attempt}"


async def test_a_stop_gives_running_jobs_back_with_no_attempt_spent(yard: Any, wait_until: Any) -> None:
    """arq counts a deploy as a try; here the next worker starts the same attempt, ahead of the backlog."""
    started: list[str] = []
    shared = {"started": started, "gate": asyncio.Event()}
    job = await yard.put(slow)
    for n in range(1, 8):
        async with yard.serving(slow, ctx=shared):
            await wait_until(lambda n=n: len(started) == n, "it runs again")
        assert await yard.state(job) == "waiting"
    shared["gate"].set()
    await yard.drain(slow, ctx=shared)
    assert (await yard.result(job))["r"] == "attempt 1"
    assert await yard.leftovers_of_jobs() == []


async def test_the_grace_lets_jobs_finish_and_claims_nothing_new(yard: Any, wait_until: Any) -> None:
    """SIGTERM with job_completion_wait: what runs ends well, what waits stays."""
    shared = {"started": list[str](), "gate": asyncio.Event()}
    worker = yard.worker(slow, ctx=shared, job_completion_wait=20)
    serving = asyncio.ensure_future(worker.async_run())
    job = await yard.put(slow)
    await wait_until(lambda: shared["started"], "it runs")
    worker.handle_sig_wait_for_completion(signal.SIGTERM)
    late = await yard.put(slow)
    shared["gate"].set()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(serving, 30)
    await worker.close()
    assert await yard.state(job) == "succeeded"
    assert await yard.state(late) == "waiting"
    assert not await yard.redis.exists(yard.keys.retry(late))


async def test_a_second_signal_hurries(yard: Any, wait_until: Any) -> None:
    """The first waits for the jobs (an hour here), the second gives them back now."""
    shared = {"started": list[str](), "gate": asyncio.Event()}
    worker = yard.worker(slow, ctx=shared, job_completion_wait=3600)
    serving = asyncio.ensure_future(worker.async_run())
    job = await yard.put(slow)
    await wait_until(lambda: shared["started"], "it runs")
    worker.handle_sig_wait_for_completion(signal.SIGTERM)
    worker.handle_sig_wait_for_completion(signal.SIGTERM)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(serving, 30)
    await worker.close()
    assert await yard.state(job) == "waiting"
    assert await yard.redis.get(yard.keys.retry(job)) in (None, b"0")


async def test_a_process_that_gets_sigterm_ends_in_order(yard: Any, fleet: Any, wait_until: Any) -> None:
    """Real signals: within the grace the short job ends, the long one is given back; exit code 0."""
    name = fleet.start(lease_s=30, grace_s=1)
    short, long = await yard.put("work", 0.2), await yard.put("work", 600)
    await wait_until(lambda: len(fleet.events()) >= 2, "both run")
    fleet.send(name, signal.SIGTERM)
    await wait_until(lambda: fleet.workers[name].exitcode is not None, "it has ended")
    assert fleet.workers[name].exitcode == 0
    assert await yard.state(short) == "succeeded"
    assert await yard.state(long) == "waiting"
    assert await yard.redis.get(yard.keys.retry(long)) in (None, b"0")
    assert not await yard.redis.exists(yard.keys.lease(long), "runner:worker:" + name)


async def test_a_task_that_cleans_up_is_not_cancelled_twice(yard: Any, wait_until: Any) -> None:
    """Signal, drain and close all cancel; a call that answers the first with its clean-up may finish that."""
    seen: list[str] = []

    @task
    async def cleans(ctx: Any) -> None:
        ctx["started"].append(ctx.job_id)
        try:
            await asyncio.Event().wait()
        finally:
            for n in range(20):
                await asyncio.sleep(0.001)
                seen.append(f"step {n}")

    started: list[str] = []
    job = await yard.put(cleans)
    async with yard.serving(cleans, ctx={"started": started}):
        await wait_until(lambda: started, "it runs")
    assert seen[-1:] == ["step 19"]
    assert await yard.state(job) == "waiting"


@task(retry=backoff.constant(0), max_tries=3)
async def steps(ctx: Any, n: int) -> int:
    for _ in range(n % 4):
        await asyncio.sleep(0)
    if n % 5 == 0 and ctx.attempt == 1:
        raise ValueError("once")
    return n


class CuttingLink(Link):
    """Cancels the worker's main at its n-th command: as it is sent, or some turns after its answer."""

    left = 0
    turns: int | None = None
    main: "asyncio.Task[Any]"

    def execute(self, *command: Any) -> "asyncio.Future[Any]":
        reply = super().execute(*command)
        type(self).left -= 1
        if self.left == 0:
            if self.turns is None:
                self.main.cancel()
            else:
                reply.add_done_callback(lambda _: self.later(self.turns))
        return reply

    def later(self, turns: int | None) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self.later, turns - 1)
        else:
            self.main.cancel()


@pytest.mark.parametrize("hooks", [False, True])
@pytest.mark.parametrize("turns", [None, 0, 1, 2, 4])
async def test_a_cancellation_at_any_moment_leaves_nothing_stuck(
    yard: Any, hooks: bool, turns: int | None, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off at the n-th command, for every n: each job is there, unharmed, or has ended; then all end."""
    monkeypatch.setattr("runner.wire.opening.Link", CuttingLink)

    async def hook(ctx: Any) -> None:
        await asyncio.sleep(0)

    arq_hooks = {"on_job_start": hook, "on_job_end": hook, "after_job_end": hook} if hooks else {}
    ended: list[int] = []
    for n in range(1, 25):
        jobs = [await yard.put(steps, number) for number in range(8)]
        worker = yard.worker(steps, max_jobs=5, options={"lease_s": 3600}, **arq_hooks)
        CuttingLink.left, CuttingLink.turns = n, turns
        CuttingLink.main = main = asyncio.ensure_future(worker.main())
        await wait_until(partial(is_over, main, worker), f"cut {n}")
        main.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(main, 30)
        await worker.close()
        ended.append(await check(yard, worker, jobs, n))
        await asyncio.wait_for(yard.drain(steps), 30)
        assert {(await yard.result(job))["t"] for job in jobs} <= {1, 2}, f"cut {n} spent an attempt"
        await yard.redis.flushdb()
    assert ended[0] < 8
    assert ended[-1] == 8


def is_over(main: "asyncio.Task[Any]", worker: Any) -> bool:
    return main.done() or worker.jobs_complete == 8


async def check(yard: Any, worker: Any, jobs: list[str], n: int) -> int:
    """Nothing is held by anybody, here or on the server; gives how many jobs have ended."""
    running = worker._running
    assert (running.attempts, running.tasks, running.closing, worker._rounds.unwritten) == ({}, {}, {}, 0), n
    states = [await yard.state(job) for job in jobs]
    assert set(states) <= {"succeeded", "waiting"}, (n, states)
    assert not await yard.redis.hlen(yard.keys.running), n
    assert not [key async for key in yard.redis.scan_iter("arq:in-progress:*")], n
    return states.count("succeeded")


async def test_a_server_that_is_gone_does_not_hold_up_the_end_for_ever(
    yard: Any, restartable_server: Any, wait_until: Any, monkeypatch: Any
) -> None:
    """A stopping worker gives up after a while, hooks and all; leases bring its jobs back."""
    monkeypatch.setattr("runner.engine.drain.SETTLE_PATIENCE_S", 0.3)
    yard.url = restartable_server.url
    shared = {"started": list[str](), "gate": asyncio.Event()}

    async def after_job_end(ctx: Any) -> None:
        raise AssertionError("the outcome was never written")

    worker = yard.worker(slow, ctx=shared, after_job_end=after_job_end)
    await worker.pool.ping()
    serving = asyncio.ensure_future(worker.async_run())
    await worker.pool.enqueue_job("slow")
    await wait_until(lambda: shared["started"], "it runs")
    restartable_server.kill9()
    worker.handle_sig(signal.SIGTERM)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(serving, 30)
    await asyncio.wait_for(worker.close(), 30)
    assert worker._running.closing == {}
