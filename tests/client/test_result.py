"""How a caller learns how its job ended: as a value, or as exactly one of five errors."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from arq import Worker as StockWorker
from arq import func
from arq.connections import ArqRedis
from redis.asyncio import Redis

from runner import (
    Context,
    GiveUp,
    JobCancelled,
    JobExpired,
    JobFailed,
    JobState,
    ResultGone,
    ResultTimeout,
    Runner,
    RunnerError,
    task,
)
from runner.wire import deserialize, serialize


@dataclass
class Receipt:
    total: Decimal
    at: datetime


@task
async def pay(ctx: Context, total: Decimal) -> Receipt:
    return Receipt(total, datetime(2030, 1, 1, tzinfo=UTC))


@task(max_tries=1)
async def fail(ctx: Context) -> None:
    raise LookupError("no such order")


@task(keep_result=0)
async def forget(ctx: Context) -> str:
    return "unseen"


@task(keep_result=0, max_tries=1)
async def fail_unseen(ctx: Context) -> None:
    raise GiveUp("closed")


@task
async def hang(ctx: Context) -> None:
    await asyncio.Event().wait()


async def test_a_result_comes_back_as_annotated(make_runner: Callable[..., Runner]) -> None:
    """A waiting caller gets what the task returned, as its annotation says; a bare handle, plain JSON."""
    async with make_runner(pay) as runner, runner.worker():
        job = await runner.enqueue(pay, Decimal("9.99"))
        assert await job.result(30) == Receipt(Decimal("9.99"), datetime(2030, 1, 1, tzinfo=UTC))
        assert await runner.job(job.id).result(30) == {"total": "9.99", "at": "2030-01-01T00:00:00Z"}
        assert await runner.job(job.id, task=pay).result(30) == await job.result()


async def test_a_failure_carries_the_remote_error(make_runner: Callable[..., Runner]) -> None:
    """JobFailed has the class, the message and the traceback of the worker's side, as text."""
    async with make_runner(fail) as runner, runner.worker():
        job = await runner.enqueue(fail)
        with pytest.raises(JobFailed, match="LookupError: no such order") as failed:
            await job.result(30)
        assert (failed.value.type, failed.value.message) == ("LookupError", "no such order")
        assert 'raise LookupError("no such order")' in failed.value.traceback
        assert await job.status() == JobState.DEAD


async def test_a_failure_without_a_kept_result_is_read_from_its_dead_letter(
    make_runner: Callable[..., Runner],
) -> None:
    """``keep_result=0`` costs a failed job's caller nothing: the dead letter still says what it was."""
    async with make_runner(fail_unseen) as runner, runner.worker():
        job = await runner.enqueue(fail_unseen)
        with pytest.raises(JobFailed, match=r"runner\.errors\.GiveUp: closed"):
            await job.result(30)


async def test_a_cancelled_job_says_so(make_runner: Callable[..., Runner], wait_until: Any) -> None:
    """JobCancelled for a job that waited as well as for one that ran."""
    async with make_runner(hang) as runner:
        waiting = await runner.enqueue(hang)
        result = asyncio.create_task(waiting.result(30))
        assert await waiting.cancel()
        with pytest.raises(JobCancelled, match=waiting.id):
            await result
        async with runner.worker():
            running = await runner.enqueue(hang)

            async def is_running() -> bool:
                return await running.status() == JobState.RUNNING

            await wait_until(is_running, "the job runs")
            assert await running.cancel()
            with pytest.raises(JobCancelled, match=running.id):
                await running.result(30)


async def test_an_expired_job_says_so(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """JobExpired, also when its result is not kept any more and only the dead letter is left."""
    past = datetime.now(UTC) - timedelta(hours=1)
    async with make_runner(pay) as runner:
        job = await runner.enqueue(pay.using(until=past, expires=1), Decimal(1))
        async with runner.worker():
            with pytest.raises(JobExpired, match=f"job {job.id}: not started by "):
                await job.result(30)
            await redis.delete(f"arq:result:{job.id}")
            with pytest.raises(JobExpired, match=f"job {job.id}: it did not start in time"):
                await job.result(30)


async def test_a_wait_that_ends_first_leaves_the_job_alone(make_runner: Callable[..., Runner]) -> None:
    """ResultTimeout is a TimeoutError, and the job is waited for again and gives its result."""
    async with make_runner(pay) as runner:
        job = await runner.enqueue(pay, Decimal(1))
        with pytest.raises(
            ResultTimeout, match=f"job {job.id} has not ended within 0.01 s; it goes on"
        ) as late:
            await job.result(0.01)
        assert isinstance(late.value, TimeoutError)
        with pytest.raises(ResultTimeout):
            await job.result(timedelta(milliseconds=1))
        async with runner.worker():
            assert (await job.result(30)).total == 1


@pytest.mark.parametrize("timeout", [-1, float("nan")])
async def test_a_timeout_is_a_time(make_runner: Callable[..., Runner], timeout: float) -> None:
    """A negative timeout, or one that is no number, is refused before anything is awaited."""
    async with make_runner(pay) as runner:
        with pytest.raises(ValueError, match="finite number of seconds, zero or more"):
            await runner.job("any").result(timeout)


async def test_what_is_not_kept_is_gone(make_runner: Callable[..., Runner]) -> None:
    """ResultGone at once, for a job whose result is not kept and for one that never was."""
    async with make_runner(forget) as runner, runner.worker():
        job = await runner.enqueue(forget)
        with pytest.raises(
            ResultGone, match=f"job {job.id}: it has ended, or never was, and no result of it"
        ):
            await job.result(30)
        with pytest.raises(ResultGone, match="job never-was"):
            await runner.job("never-was").result(30)


async def test_a_result_that_cannot_be_read_is_gone_and_holds_up_nobody(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """Rubbish, a pickle, and JSON nested without end under a result key end their own waits only."""
    deep = b'{"s":true,"r":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for name, data in {
        "rubbish": b"\xff\x00",
        "pickle": b"\x80\x04K\x01.",
        "deep": deep,
        "list": b"[]",
    }.items():
        await redis.set(f"arq:result:{name}", data)
    async with make_runner(pay) as runner, runner.worker():
        waits = [runner.job(name).result(30) for name in ("rubbish", "pickle", "deep", "list")]
        job = await runner.enqueue(pay, Decimal(1))
        *gone, receipt = await asyncio.gather(*waits, job.result(30), return_exceptions=True)
        assert receipt == Receipt(Decimal(1), datetime(2030, 1, 1, tzinfo=UTC))
        assert [type(each) for each in gone] == [ResultGone] * 4
        assert all("its result cannot be read here" in str(each) for each in gone)


async def test_a_stock_workers_results_are_understood(
    make_runner: Callable[..., Runner], arq_pool: ArqRedis
) -> None:
    """Our jobs that a plain arq worker with our serializer ran: value, failure, and a result not kept."""

    async def stock_pay(ctx: dict[str, Any], total: str) -> dict[str, Any]:
        return {"total": total, "at": "2030-01-01T00:00:00Z"}

    async def stock_fail(ctx: dict[str, Any]) -> None:
        raise LookupError("no such order")

    async def stock_forget(ctx: dict[str, Any]) -> None: ...

    functions = [
        func(stock_pay, name="pay"),
        func(stock_fail, name="fail"),
        func(stock_forget, name="forget", keep_result=0),
    ]
    async with make_runner(pay, fail, forget) as runner:
        jobs = [
            await runner.enqueue(pay, Decimal(5)),
            await runner.enqueue(fail),
            await runner.enqueue(forget),
        ]
        waits = asyncio.gather(*(job.result(30) for job in jobs), return_exceptions=True)
        worker = StockWorker(
            functions,
            redis_pool=arq_pool,
            burst=True,
            poll_delay=0.01,
            handle_signals=False,
            job_serializer=serialize,
            job_deserializer=deserialize,
        )
        await worker.main()
        receipt, failed, gone = await waits
    assert receipt == Receipt(Decimal(5), datetime(2030, 1, 1, tzinfo=UTC))
    assert isinstance(failed, JobFailed)
    assert str(failed) == "LookupError: no such order"
    assert isinstance(gone, ResultGone)


async def test_a_stock_workers_pickled_result_is_gone_not_loaded(
    make_runner: Callable[..., Runner], arq_pool: ArqRedis
) -> None:
    """A plain arq worker that writes pickles: the caller hears that it cannot be read, at once."""

    async def stock_forget(ctx: dict[str, Any]) -> str:
        return "pickled"

    async with make_runner(forget) as runner:
        job = await runner.enqueue(forget)
        wait = asyncio.create_task(job.result(30))
        worker = StockWorker(
            [func(stock_forget, name="forget")],
            redis_pool=arq_pool,
            burst=True,
            poll_delay=0.01,
            handle_signals=False,
            job_deserializer=deserialize,
        )
        await worker.main()
        with pytest.raises(ResultGone, match="cannot be read here"):
            await wait


async def test_closing_ends_every_wait(make_runner: Callable[..., Runner]) -> None:
    """Who still waits when the runner is closed is told so, and a handle of then does not connect again."""
    async with make_runner(pay) as runner:
        job = await runner.enqueue(pay, Decimal(1))
        waits = [asyncio.create_task(job.result()) for _ in range(3)]
        while not runner.client._results._waits:
            await asyncio.sleep(0)
    for wait in waits:
        with pytest.raises(RunnerError, match=f"closed while the result of job {job.id} was awaited"):
            await wait
    for late in (job.result(30), job.info(), job.cancel()):
        with pytest.raises(RunnerError, match="connection is closed"):
            await late
