"""arq's own worker and client beside ours, on the same keys."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import arq.worker
import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, JobStatus, ResultNotFound
from redis.asyncio import ConnectionPool

from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.errors import GiveUp, JobFailed
from runner.tasks import task
from runner.wire import deserialize, serialize

StockWorker = arq.worker.Worker
Wait = Callable[..., Awaitable[Any]]


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[ArqRedis]:
    """arq's own client, told to speak JSON."""
    pool = ConnectionPool.from_url(redis_url)
    yield ArqRedis(pool, job_serializer=serialize, job_deserializer=deserialize)
    await pool.aclose()


def ours(client: ArqRedis, *coroutines: Any, **options: Any) -> Worker:
    functions = [function_of(task(max_tries=4)(coroutine)) for coroutine in coroutines]
    options = {"burst": True, "max_jobs": 50, "engine": EngineOptions(speaks_json=True), **options}
    return _worker(Worker, client, functions, **options)


def stock(client: ArqRedis, *coroutines: Any, **options: Any) -> Any:
    options = {"burst": True, "max_jobs": 50, "poll_delay": 0.01, **options}
    functions = [arq.worker.func(coroutine, name=coroutine.__name__) for coroutine in coroutines]
    return _worker(StockWorker, client, functions, **options)


def _worker(kind: Any, client: ArqRedis, functions: list[Any], **options: Any) -> Any:
    return kind(
        functions,
        redis_pool=ArqRedis(client.connection_pool, job_serializer=serialize, job_deserializer=deserialize),
        handle_signals=False,
        job_serializer=serialize,
        job_deserializer=deserialize,
        **options,
    )


@asynccontextmanager
async def serving(worker: Any) -> AsyncIterator[Any]:
    running = asyncio.ensure_future(worker.main())
    yield worker
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await worker.close()


async def double(ctx: Any, number: int) -> int:
    return number * 2


async def test_no_job_runs_twice_beside_a_stock_worker(client: ArqRedis) -> None:
    """500 jobs, two workers of each kind on one queue: each job runs once, in a worker of either kind."""
    runs: Counter[int] = Counter()
    kinds: set[str] = set()
    both = asyncio.Event()

    async def count(ctx: Any, number: int) -> int:
        runs[number] += 1
        kinds.add("ours" if hasattr(ctx, "job_id") else "stock")
        if len(kinds) == 2:
            both.set()
        await both.wait()  # nobody can drain the queue before the other kind has begun
        return number

    jobs = [await client.enqueue_job("count", number) for number in range(500)]
    workers = [stock(client, count), ours(client, count), stock(client, count), ours(client, count)]
    await asyncio.gather(*(worker.main() for worker in workers))
    assert runs == dict.fromkeys(range(500), 1)
    results = [
        await Job(job.job_id, client, _deserializer=deserialize).result(timeout=30) for job in jobs if job
    ]
    assert results == list(range(500))
    assert await client.zcard("arq:queue") == 0
    left = {key async for key in client.scan_iter() if b"result" not in key and b"health" not in key}
    assert {key for key in left if not key.startswith(b"runner:worker")} == set()
    for worker in workers:
        await worker.close()


async def test_each_kind_retries_what_the_other_began(client: ArqRedis) -> None:
    """Attempts are one count: a job retried by one kind of worker goes on where the other left it."""
    tries: list[tuple[str, int]] = []

    async def stubborn(ctx: Any) -> str:
        tries.append(("ours" if hasattr(ctx, "job_id") else "stock", ctx["job_try"]))
        if ctx["job_try"] < 4:
            raise arq.worker.Retry(defer=0)
        return "done"

    job = await client.enqueue_job("stubborn")
    assert job
    for make in (ours, stock, ours, stock):
        worker = make(client, stubborn, max_burst_jobs=1)
        await worker.main()
        await worker.close()
    assert tries == [("ours", 1), ("stock", 2), ("ours", 3), ("stock", 4)]
    assert await job.result(timeout=30) == "done"


async def test_a_stock_client_gets_results(client: ArqRedis) -> None:
    """enqueue, status and result of arq's client work against our worker."""
    job = await client.enqueue_job("double", 21)
    assert job
    assert await job.status() == JobStatus.queued
    async with serving(ours(client, double, burst=False)):
        assert await job.result(timeout=30, poll_delay=0.01) == 42
        assert await job.status() == JobStatus.complete
    info = await job.result_info()
    assert info
    assert (info.function, info.args, info.success, info.result, info.job_try) == (
        "double",
        (21,),
        True,
        42,
        1,
    )
    assert info.queue_name == "arq:queue"
    assert [result.job_id for result in await client.all_job_results()] == [job.job_id]


async def test_a_stock_client_defers(client: ArqRedis, wait_until: Wait) -> None:
    """A deferred job waits with arq's status for it, then runs."""
    async with serving(ours(client, double, burst=False)):
        far = await client.enqueue_job("double", 1, _defer_by=timedelta(hours=1))
        near = await client.enqueue_job("double", 2, _defer_by=timedelta(milliseconds=100))
        assert far
        assert near
        assert await near.result(timeout=30, poll_delay=0.01) == 4
        assert await far.status() == JobStatus.deferred
    assert {job.function for job in await client.queued_jobs()} == {"double"}


async def test_a_stock_client_sees_a_running_job(client: ArqRedis, wait_until: Wait) -> None:
    """in_progress while it runs."""
    go = asyncio.Event()

    async def wait(ctx: Any) -> str:
        await go.wait()
        return "went"

    job = await client.enqueue_job("wait")
    assert job
    async with serving(ours(client, wait, burst=False)):

        async def is_running() -> bool:
            return await job.status() == JobStatus.in_progress

        await wait_until(is_running, "the job runs")
        go.set()
        assert await job.result(timeout=30, poll_delay=0.01) == "went"


async def test_a_job_id_is_taken_until_its_result_is_gone(client: ArqRedis) -> None:
    """arq's rule of one job an id holds while it waits and while its result is kept."""
    assert await client.enqueue_job("double", 1, _job_id="one")
    assert await client.enqueue_job("double", 2, _job_id="one") is None
    worker = ours(client, double)
    await worker.main()
    assert await client.enqueue_job("double", 3, _job_id="one") is None
    await client.delete("arq:result:one")
    assert await client.enqueue_job("double", 4, _job_id="one")
    await worker.main()
    assert await Job("one", client, _deserializer=deserialize).result(timeout=30) == 8
    await worker.close()


async def test_a_stock_client_aborts(client: ArqRedis, wait_until: Wait) -> None:
    """abort() ends a running job and a deferred one, and says so; the function sees its cancellation."""
    seen: list[str] = []

    async def wait(ctx: Any) -> None:
        seen.append("began")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    running = await client.enqueue_job("wait")
    deferred = await client.enqueue_job("wait", _defer_by=3600)
    assert running
    assert deferred
    async with serving(ours(client, wait, burst=False, allow_abort_jobs=True)):
        await wait_until(lambda: seen, "the job runs")
        assert await running.abort(timeout=30, poll_delay=0.01) is True
        assert await deferred.abort(timeout=30, poll_delay=0.01) is True
    assert seen == ["began", "cancelled"]
    assert await client.zcard("arq:abort") == 0
    assert await client.zcard("arq:queue") == 0


async def test_a_stock_client_gets_the_error(client: ArqRedis) -> None:
    """A failure is raised at the client with the remote type and text; an unknown id is not found."""

    async def fail(ctx: Any) -> None:
        raise GiveUp("no such order")

    job = await client.enqueue_job("fail")
    assert job
    worker = ours(client, fail)
    await worker.main()
    await worker.close()
    with pytest.raises(JobFailed, match="no such order") as caught:
        await job.result(timeout=30, poll_delay=0.01)
    assert caught.value.type == "runner.errors.GiveUp"
    with pytest.raises(ResultNotFound):
        await Job("never", client, _deserializer=deserialize).result(timeout=30)
