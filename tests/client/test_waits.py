"""A wait for a result outlives whatever happens to worker, server and pushes; it never hangs."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Context, JobState, ResultTimeout, Runner, ServerError, task

WAITERS = 2000


@task
async def echo(ctx: Context, number: int) -> int:
    return number


@task
async def answer(ctx: Context) -> str:
    return "from the second worker"


DOOMED = """
import asyncio, sys
from runner import Runner, Settings, task
from runner.settings.model import RedisGroup, WorkerGroup

@task
async def answer(ctx) -> str:
    print("running", flush=True)
    await asyncio.Event().wait()

async def main() -> None:
    worker = WorkerGroup(lease=1)
    settings = Settings(redis=RedisGroup(url=sys.argv[1]), worker=worker, tasks=())
    async with Runner(settings, tasks=[answer]).worker():
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_wait_outlives_the_worker(make_runner: Callable[..., Runner], redis_url: str) -> None:
    """A worker is killed while it runs the job; the caller gets the result of the worker that takes over."""
    async with make_runner(answer, lease=1) as runner:
        job = await runner.enqueue(answer)
        wait = asyncio.create_task(job.result(30))
        doomed = subprocess.Popen(
            [sys.executable, "-c", DOOMED, redis_url], stdout=subprocess.PIPE, text=True
        )
        assert doomed.stdout is not None
        assert await asyncio.to_thread(doomed.stdout.readline) == "running\n"
        doomed.send_signal(signal.SIGKILL)
        doomed.communicate()
        async with runner.worker():
            assert await wait == "from the second worker"


async def test_a_wait_outlives_a_restart_of_the_server(
    make_runner: Callable[..., Runner], restartable_server: Any, wait_until: Any
) -> None:
    """The server is killed and started again while many wait: each gets its result."""
    async with make_runner(echo, url=restartable_server.url) as runner:
        jobs = [await runner.enqueue(echo, number) for number in range(50)]
        waits = [asyncio.create_task(job.result(30)) for job in jobs]
        await wait_until(lambda: runner.client._tracking.is_on, "it is told of changes")
        restartable_server.kill9()
        restartable_server.start()
        async with runner.worker():
            assert await asyncio.gather(*waits) == list(range(50))


async def test_a_wait_without_pushes_looks_by_itself(
    make_runner: Callable[..., Runner], wait_until: Any
) -> None:
    """The connection that brings pushes is cut and refused again and again: results come within seconds."""
    async with make_runner(echo) as runner:
        job = await runner.enqueue(echo, 7)
        wait = asyncio.create_task(job.result(30))
        await wait_until(lambda: runner.client._tracking.is_on, "it is told of changes")
        await runner.client._tracking.close()
        async with runner.worker():
            assert await wait == 7


async def test_a_job_that_is_lost_ends_the_wait(
    make_runner: Callable[..., Runner], redis: Redis, wait_until: Any
) -> None:
    """Somebody deletes the job from the server: whoever waits hears it at once, pushed."""
    async with make_runner(echo) as runner:
        job = await runner.enqueue(echo, 7)
        wait = asyncio.create_task(job.result(30))
        await wait_until(lambda: runner.client._tracking.is_on, "it is told of changes")
        await redis.flushdb()
        with pytest.raises(Exception, match=f"job {job.id}: it has ended, or never was"):
            await wait


async def test_two_thousand_wait_at_once(make_runner: Callable[..., Runner]) -> None:
    """2,000 callers wait for 1,000 jobs, two for each: every one gets its own result."""
    async with make_runner(echo) as runner:
        jobs = await asyncio.gather(*(runner.enqueue(echo, number) for number in range(WAITERS // 2)))
        waits = asyncio.gather(*(job.result(30) for job in (*jobs, *jobs)))
        async with runner.worker():
            assert await waits == [*range(WAITERS // 2)] * 2
        assert runner.client._results._waits == {}
        assert runner.client._results._by_key == {}


async def test_many_waits_for_one_job_are_one(make_runner: Callable[..., Runner]) -> None:
    """One caller of many gives up, by timeout or cancellation: the others' wait goes on."""
    async with make_runner(echo) as runner:
        job = await runner.enqueue(echo, 7)
        waits = [asyncio.create_task(job.result(30)) for _ in range(100)]
        with pytest.raises(ResultTimeout):
            await job.result(0.01)
        waits[3].cancel()
        async with runner.worker():
            results = await asyncio.gather(*waits, return_exceptions=True)
    assert results.count(7) == 99
    assert isinstance(results[3], asyncio.CancelledError)


async def test_a_server_that_refuses_to_answer_is_said(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """A result key that is no string: the wait ends with the server's words."""
    await redis.rpush("arq:result:odd", "x")
    async with make_runner(echo) as runner:
        with pytest.raises(ServerError, match="refuses: WRONGTYPE"):
            await runner.job("odd").result(30)
        with pytest.raises(ServerError, match="refuses: WRONGTYPE"):
            await runner.job("odd").info()


async def test_a_bare_look_at_a_waiting_job_costs_one_command_for_hundreds(
    make_runner: Callable[..., Runner], redis: Redis, wait_until: Any
) -> None:
    """While nothing happens, 500 waits cost one EXISTS a second, not a thousand reads."""
    async with make_runner(echo) as runner:
        jobs = await asyncio.gather(*(runner.enqueue(echo, number) for number in range(500)))
        waits = [asyncio.create_task(job.result(30)) for job in jobs]
        results = runner.client._results
        await wait_until(
            lambda: runner.client._tracking.is_on and results._looking is None and len(results._waits) == 500,
            "all wait, and nobody looks",
        )
        await redis.config_resetstat()
        await results._sweep()
        stats = await redis.info("commandstats")
        assert stats["cmdstat_exists"]["calls"] <= 2
        assert "cmdstat_get" not in stats
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert await jobs[0].status() == JobState.READY
