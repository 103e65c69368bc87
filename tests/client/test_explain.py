"""``job.explain()`` on a real server: the reason is the one that really holds the job up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Breaker, Concurrency, Context, GiveUp, Job, Lock, RateLimit, Runner, task
from runner.backoff import constant
from runner.errors import UnknownJob
from runner.gates import Gates
from runner.wire.keys import WORKERS, keys_of, worker

GATES: list[asyncio.Event] = []


@task
async def plain(ctx: Context) -> None: ...


@task(rate_limit=RateLimit("stripe", "1/m"))
async def charge(ctx: Context) -> None: ...


@task(lock=Lock("till", on_busy="snooze"))
async def count(ctx: Context) -> None:
    await GATES[-1].wait()


@task(concurrency=Concurrency("host:{url.host}", 1))
async def fetch(ctx: Context, url: str) -> None:
    await GATES[-1].wait()


@task(breaker=Breaker("api"))
async def call_api(ctx: Context) -> None: ...


@task(retry=constant(3600))
async def flaky(ctx: Context) -> None:
    raise ConnectionError("a bad moment")


@task
async def doomed(ctx: Context) -> None:
    raise GiveUp("nothing to pay")


@task
async def approve(ctx: Context) -> None:
    await ctx.wait_for("approval", timeout="1h")


@pytest.fixture
def runner(make_runner: Callable[..., Runner]) -> Runner:
    return make_runner(fetch, call_api, plain, charge, count, flaky, doomed, approve)


async def said(job: Job[Any]) -> list[str]:
    """The words of the reasons, without the one that no worker is there."""
    return [reason.kind for reason in (await job.explain()).reasons if reason.kind != "unserved"]


async def texts(job: Job[Any]) -> str:
    return str(await job.explain())


async def test_jobs_that_wait_for_their_time(runner: Runner, wait_until: Any) -> None:
    """Due later, in a rate's line, between attempts, until a signal, and ended: each says so, and when."""
    async with runner.worker():
        due = await runner.enqueue(plain.using(delay=3600))
        jobs = [await runner.enqueue(each) for each in (charge, charge, flaky, approve, doomed)]

        async def are_settled() -> bool:
            states = [str(await job.status()) for job in jobs]
            return sorted(states[:2]) == ["scheduled", "succeeded"] and states[2:] == [
                "scheduled",
                "scheduled",
                "dead",
            ]

        await wait_until(are_settled, "all have had their first attempt")
        *charges, failing, approving, dead = jobs
        [limited] = [job for job in charges if await job.status() == "scheduled"]
        assert [await said(job) for job in (due, limited, failing, approving, dead)] == [
            ["due"],
            ["limit"],
            ["retry"],
            ["snoozed"],
            ["ended"],
        ]
        [reason] = (await limited.explain()).reasons
        assert reason.text.startswith("limit stripe grants at ")
        assert reason.until_ms == (await limited.info()).due_at_ms
        assert "ConnectionError: a bad moment); the next is due at " in await texts(failing)
        assert "waiting for signal 'approval' until " in await texts(approving)
        assert "it has ended: dead, gave_up" in await texts(dead)


async def test_of_jobs_that_are_due_one_is_the_next(runner: Runner) -> None:
    """Each says how many of its queue are due before it."""
    async with runner:
        jobs = [await runner.enqueue(plain) for _ in range(3)]
        ends = sorted([(await texts(job)).rpartition(", ")[2] for job in jobs])
    assert ends == ["and the next of its queue", "behind 1 job of its queue", "behind 2 jobs of its queue"]


async def test_a_lock_names_who_holds_it_and_a_running_job_who_runs_it(
    runner: Runner, wait_until: Any
) -> None:
    """held by which job, of which worker, since when."""
    GATES.append(asyncio.Event())
    async with runner.worker():
        first, second = [await runner.enqueue(count) for _ in range(2)]

        async def holder() -> Any:
            for job, other in ((first, second), (second, first)):
                if "lock till is held by" in await texts(job):
                    return job, other
            return None

        waiting, holding = await wait_until(holder, "one waits for the lock of the other")
        told = await texts(waiting)
        assert f"lock till is held by job {holding.id} of worker " in told
        assert "; it looks again at " in told
        assert await said(holding) == ["running"]
        assert "it runs: attempt 1 on worker " in await texts(holding)
        GATES[-1].set()


async def test_a_full_limit_names_who_has_the_slots(runner: Runner, wait_until: Any) -> None:
    """How many pass at once, which jobs have passed, since when, and the place in the lane."""
    GATES.append(asyncio.Event())
    async with runner.worker():
        jobs = [await runner.enqueue(fetch, "https://a.example/") for _ in range(4)]

        async def first() -> Any:
            running = [job for job in jobs if await job.status() == "running"]
            return running and running[0]

        running = await wait_until(first, "one of them runs")
        waiting = [job for job in jobs if job is not running]
        told = sorted([await texts(job) for job in waiting], key=lambda text: text.rpartition(", ")[2])
        for text in told:
            assert (
                "host:a.example lets 1 run at once (limit host:{url.host}): job "
                f"{running.id} of worker " in text
            )
        assert [text.rpartition(", ")[2] for text in told] == [
            "and the next of its lane",
            "behind 1 job of its lane",
            "behind 2 jobs of its lane",
        ]
        assert await said(running) == ["running"]
        GATES[-1].set()
        await asyncio.gather(*(job.result(30) for job in jobs))


async def test_a_gate_says_why_it_is_closed(runner: Runner, wait_until: Any) -> None:
    """A breaker that is open, and a key that was paused by hand: until when, and why."""
    async with runner.worker():
        gates = Gates(runner.client.execute, [keys_of("default")])
        await gates.pause("api", 600, why="their maintenance")
        job = await runner.enqueue(call_api)

        async def waits() -> bool:
            return "closed" in await said(job)

        await wait_until(waits, "it has met the gate")
        [reason] = [reason for reason in (await job.explain()).reasons if reason.kind == "closed"]
        assert reason.text.startswith("api is paused until ")
        assert reason.text.endswith(": their maintenance")
        assert reason.until_ms is not None
        assert await said(job) in (["closed"], ["closed", "behind"])


async def test_what_nobody_will_take(runner: Runner, redis: Redis) -> None:
    """No worker at all, none for the queue, none that knows the task, all full, a paused queue."""
    async with runner:
        job = await runner.enqueue(plain)

        async def with_worker(record: bytes) -> list[str]:
            await redis.zadd(WORKERS, {"w": 1})
            await redis.set(worker("w"), record)
            return [reason.kind for reason in (await job.explain()).reasons]

        assert [reason.kind for reason in (await job.explain()).reasons] == ["unserved", "behind"]
        assert await with_worker(b'{"queues": {"bulk": 1}, "tasks": ["plain"]}') == ["unserved", "behind"]
        served = b'{"queues": {"default": 1}, "tasks": ["%s"], "max_jobs": 2, "running": %d}'
        assert await with_worker(served % (b"other", 0)) == ["unknown_task", "behind"]
        assert await with_worker(served % (b"plain", 2)) == ["full", "behind"]
        assert await with_worker(served % (b"plain", 1)) == ["behind"]
        await runner.queues.pause("default")
        assert await with_worker(served % (b"plain", 1)) == ["paused", "behind"]
        assert await with_worker(b"not json") == ["paused", "unserved", "behind"]


async def test_a_job_whose_workers_died(runner: Runner, redis: Redis) -> None:
    """A lease that ran out, and a suspect that waits for a worker of its own."""
    keys = keys_of("default")
    async with runner:
        job = await runner.enqueue(plain)
        scripts = runner.client._scripts
        for token in ("t1", "t2"):
            claimed = await scripts.claim(keys, token=token, worker="w1", limit=1, lease_ms=15_000, now_ms=0)
            assert [each.job_id for each in claimed.jobs] == [job.id]
            await redis.delete(keys.lease(job.id))
            await redis.zadd(keys.queue, {job.id: 1})
        assert await said(job) == ["lost", "behind"]
        await scripts.claim(keys, token="t3", worker="w1", limit=1, lease_ms=15_000)
        assert await said(job) == ["suspect"]
        assert "workers died while they ran it" in await texts(job)


async def test_the_runner_finds_the_queue(runner: Runner) -> None:
    """An id is enough; one that nobody knows is an error that says where was looked."""
    async with runner:
        job = await runner.enqueue(plain.using(queue="bulk"))
        assert (await runner.explain(job.id)).queue == "bulk"
        with pytest.raises(UnknownJob, match="nothing"):
            await runner.explain("nothing")
        assert "the server knows no such job in queue 'default'" in await texts(runner.job("nothing"))


async def test_it_costs_a_few_commands_however_long_the_queue_is(runner: Runner) -> None:
    """Two round trips and a bounded number of commands."""
    async with runner:
        await runner.enqueue_many(plain.call() for _ in range(3_000))
        job = await runner.enqueue(plain)
        sent: list[Any] = []
        execute = runner.client._link.execute
        runner.client._link.execute = lambda *command: (sent.append(command[0]), execute(*command))[1]  # type: ignore[method-assign]
        explanation = await job.explain()
        assert "behind 3,000 jobs of its queue" in str(explanation)
        assert len(sent) <= 20
