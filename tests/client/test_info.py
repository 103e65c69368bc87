"""What is known of a job in each state, and what cancelling does in each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Context, GiveUp, JobState, Retry, Runner, Snooze, task


class Gate:
    """Tells that a job runs, and holds it until it may go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()

    async def pass_through(self) -> None:
        self.reached.set()
        await self.open.wait()


async def test_a_waiting_job(make_runner: Callable[..., Runner]) -> None:
    """``ready`` or ``scheduled``: task, queue and due time are known, no attempt is counted."""

    @task
    async def work(ctx: Context) -> None: ...

    async with make_runner(work) as runner:
        ready = await (await runner.enqueue(work)).info()
        later = await (await runner.enqueue(work.using(delay=60, queue="bulk"))).info()
    assert (ready.state, ready.task, ready.queue, ready.attempts) == (JobState.READY, "work", "default", 0)
    assert (later.state, later.task, later.queue) == (JobState.SCHEDULED, "work", "bulk")
    assert ready.due_at_ms is not None
    assert later.due_at_ms is not None
    assert 50_000 < later.due_at_ms - ready.due_at_ms < 120_000
    assert (ready.result, ready.error, ready.history, ready.progress) == (None, {}, [], {})


async def test_a_running_job(make_runner: Callable[..., Runner]) -> None:
    """``running``: the attempt is counted, and the due time is the end of its lease."""
    gate = Gate()

    @task
    async def work(ctx: Context) -> str:
        await gate.pass_through()
        return "done"

    async with make_runner(work) as runner, runner.worker():
        job = await runner.enqueue(work)
        await gate.reached.wait()
        info = await job.info()
        gate.open.set()
        assert await job.result(30) == "done"
        ended = await job.info()
    assert (info.state, info.attempts, info.result) == (JobState.RUNNING, 1, None)
    assert (ended.state, ended.attempts, ended.result, ended.due_at_ms) == (
        JobState.SUCCEEDED,
        1,
        "done",
        None,
    )
    assert ended.state.is_terminal
    assert not info.state.is_terminal


async def test_a_job_between_attempts(
    make_runner: Callable[..., Runner], wait_until: Callable[..., Any]
) -> None:
    """``scheduled`` with an attempt behind it: history says what happened, a snooze what it waits for."""

    @task
    async def again(ctx: Context) -> None:
        raise Retry(600, reason="the moon is wrong") from ValueError("crescent")

    @task
    async def snooze(ctx: Context) -> None:
        raise Snooze(600, reason="the shop is closed")

    async with make_runner(again, snooze) as runner, runner.worker():
        retried, snoozed = await runner.enqueue(again), await runner.enqueue(snooze)

        async def known() -> bool:
            return bool((await retried.info()).history and (await snoozed.info()).waits_for)

        await wait_until(known, "both attempts ended")
        first, second = await retried.info(), await snoozed.info()
    assert (first.state, first.attempts) == (JobState.SCHEDULED, 1)
    assert (first.history[0]["n"], first.history[0]["reason"]) == (1, "the moon is wrong")
    assert first.error["type"] == "runner.errors.Retry"
    assert (second.state, second.attempts, second.waits_for) == (JobState.SCHEDULED, 0, "the shop is closed")


async def test_a_dead_job(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """``dead``: every attempt with its error, also once the result is not kept any more."""

    @task(max_tries=2)
    async def fail(ctx: Context) -> None:
        raise Retry(0) if ctx.attempt == 1 else GiveUp("twice is enough")

    async with make_runner(fail) as runner, runner.worker():
        job = await runner.enqueue(fail)
        with pytest.raises(Exception, match="twice is enough"):
            await job.result(30)
        info = await job.info()
        await redis.delete(f"arq:result:{job.id}")
        letter = await job.info()
    for each in (info, letter):
        assert (each.state, each.task, each.attempts) == (JobState.DEAD, "fail", 2)
        assert [attempt["n"] for attempt in each.history] == [1, 2]
        assert each.error["message"] == "twice is enough"
        assert each.result is None


async def test_a_job_that_never_was(make_runner: Callable[..., Runner]) -> None:
    """``unknown``, with nothing made up."""
    async with make_runner() as runner:
        info = await runner.job("never", queue="bulk").info()
        assert await runner.job("never").status() == JobState.UNKNOWN
    assert (info.id, info.queue, info.state, info.task) == ("never", "bulk", JobState.UNKNOWN, "")
    assert (info.attempts, info.due_at_ms, info.result, info.error) == (0, None, None, {})


@pytest.mark.parametrize("job_id", ["", "a\nb", "\ud800", 7])
async def test_an_id_that_no_job_can_have_is_refused(make_runner: Callable[..., Runner], job_id: Any) -> None:
    """A handle is not made of what cannot be sent; the connection that others share is not touched."""
    async with make_runner() as runner:
        with pytest.raises(ValueError, match="a key is text of 1 to 1024 characters"):
            runner.job(job_id)


async def test_rubbish_on_the_server_is_no_obstacle(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """Unreadable payload, result, counter and history leave the rest of what is known."""
    await redis.zadd("arq:queue", {"odd": 0})
    await redis.set("arq:job:odd", b"\xff")
    await redis.set("arq:retry:odd", b"many")
    await redis.hset("runner:job:odd", mapping={"a1": b"\xff", "p": b"[1]", "w": b"\xff"})
    await redis.set("arq:result:gone", b"\x80\x04")
    async with make_runner() as runner:
        odd, gone = await runner.job("odd").info(), await runner.job("gone").info()
    assert (odd.state, odd.task, odd.attempts, odd.progress) == (JobState.READY, "", 0, {})
    assert odd.waits_for == "\ufffd"
    assert gone.state == JobState.DEAD


async def test_a_state_between_two_states_is_never_seen(make_runner: Callable[..., Runner]) -> None:
    """While 200 jobs run through, each look gives one of the states on its way, never ``unknown``."""

    @task
    async def work(ctx: Context, number: int) -> int:
        return number

    seen: set[JobState] = set()
    async with make_runner(work) as runner:
        jobs = [await runner.enqueue(work, number) for number in range(200)]
        async with runner.worker():
            results = asyncio.gather(*(job.result(30) for job in jobs))
            while not results.done():
                infos = await asyncio.gather(*(job.info() for job in jobs))
                seen |= {info.state for info in infos}
            await results
        seen |= {(await job.info()).state for job in jobs}
    assert JobState.SUCCEEDED in seen
    assert seen <= {JobState.READY, JobState.RUNNING, JobState.SUCCEEDED}


async def test_cancelling_a_waiting_job_ends_it(make_runner: Callable[..., Runner], burst: Callable) -> None:
    """A job that waits is gone at once, whenever it was due, and does not run."""
    ran: list[int] = []

    @task
    async def work(ctx: Context) -> None:
        ran.append(1)

    async with make_runner(work) as runner:
        ready, later = await runner.enqueue(work), await runner.enqueue(work.using(delay=600))
        assert await ready.cancel()
        assert await later.cancel()
        await burst(runner)
        assert [(await job.info()).state for job in (ready, later)] == [JobState.CANCELLED] * 2
        assert (await ready.info()).task == "work"
        assert not await ready.cancel()
    assert ran == []


async def test_cancelling_a_running_job_asks_it_to_stop(make_runner: Callable[..., Runner]) -> None:
    """The running call sees a CancelledError and may clean up; the job ends as cancelled."""
    gate, cleaned = Gate(), []

    @task
    async def work(ctx: Context) -> None:
        try:
            await gate.pass_through()
        finally:
            cleaned.append(ctx.job_id)

    async with make_runner(work) as runner, runner.worker():
        job = await runner.enqueue(work)
        await gate.reached.wait()
        assert await job.cancel()
        with pytest.raises(Exception, match=f"job {job.id} was cancelled"):
            await job.result(30)
        assert await job.status() == JobState.CANCELLED
    assert cleaned == [job.id]


async def test_there_is_nothing_to_cancel_once_a_job_has_ended(
    make_runner: Callable[..., Runner], burst: Callable[[Runner], Awaitable[Any]]
) -> None:
    """Succeeded, dead and unknown jobs stay what they are."""

    @task(max_tries=1)
    async def work(ctx: Context, ok: bool) -> None:
        if not ok:
            raise GiveUp

    async with make_runner(work) as runner:
        jobs = [await runner.enqueue(work, True), await runner.enqueue(work, False), runner.job("never")]
        await burst(runner)
        assert [await job.cancel() for job in jobs] == [False] * 3
        states = [await job.status() for job in jobs]
    assert states == [JobState.SUCCEEDED, JobState.DEAD, JobState.UNKNOWN]
