"""The door that administers queues: pause, drain, purge, retry, edit."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Runner, Settings, task
from runner.dead_letters import Edit, Tally
from runner.errors import ChangeRefused, InvalidArguments, JobCancelled, UnknownJob
from runner.inspector import Inspector, JobFilter, JobPage
from runner.queues import Queues
from runner.wire.keys import keys_of
from runner.wire.scripts import Scripts


@task
async def pay(ctx: Any, order: str, cents: int) -> int:
    return cents


@task
async def mail(ctx: Any, to: str) -> None: ...


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[Runner]:
    settings = Settings(redis={"url": redis_url}, worker={"queues": {"default": 1, "bulk": 1}})  # type: ignore[arg-type]
    async with Runner(settings, tasks=[pay, mail]) as made:
        yield made


async def test_a_paused_queue_waits_for_its_resume(runner: Runner) -> None:
    """A worker of two queues runs only the jobs of the other, and the rest as soon as it is resumed."""
    await runner.queues.pause("bulk")
    held = await runner.enqueue(pay.using(queue="bulk"), "o-1", 1)
    async with runner.worker():
        assert await (await runner.enqueue(pay, "o-2", 2)).result(timeout=30) == 2
        assert (await held.info()).state == "ready"
        await runner.queues.resume("bulk")
        assert await held.result(timeout=30) == 1


async def test_a_purge_cancels_what_waits_and_is_wanted(runner: Runner) -> None:
    """Ready and scheduled, in steps that say where they are; whoever waits is told."""
    jobs = [await runner.enqueue(pay.using(delay=n % 2 * 60), f"o-{n}", n) for n in range(60)]
    await runner.enqueue(mail, "ann")
    wanted = JobFilter(task="pay")
    assert (await runner.queues.purge("default", wanted, dry_run=True)).matched == 60
    told: list[Tally] = []
    tally = await runner.queues.purge("default", wanted, on_progress=told.append)
    assert (tally.matched, tally.done, tally.gone, tally.cursor) == (60, 60, 0, "")
    assert len(told) > 1
    assert (await runner.inspector.queue("default")).waiting == 1
    with pytest.raises(JobCancelled):
        await jobs[0].result(timeout=30)


async def test_a_purge_goes_on_where_it_stopped(runner: Runner) -> None:
    """With the cursor of the last step; what was behind it is not looked at again."""
    for n in range(150):
        await runner.enqueue(pay.using(delay=60), f"o-{n}", n)

    class Stop(Exception):
        pass

    stopped: list[Tally] = []

    def stop(tally: Tally) -> None:
        if tally.done:
            stopped.append(tally)
            raise Stop

    with pytest.raises(Stop):
        await runner.queues.purge("default", on_progress=stop)
    tally = await runner.queues.purge("default", cursor=stopped[0].cursor)
    assert stopped[0].done + tally.done == 150
    assert tally.looked == 150 - stopped[0].looked


async def test_a_job_that_starts_while_it_is_purged_runs_on(runner: Runner, redis: Redis) -> None:
    """The list said that it waits; nobody asks it to stop, and it is not counted as cancelled."""
    keys = keys_of("default")

    class Late(Inspector):
        async def jobs(self, *args: Any, **options: Any) -> JobPage:
            page = await super().jobs(*args, **options)
            scripts = Scripts(redis.execute_command)
            await scripts.claim(keys, token="t", worker="w", limit=10, lease_ms=60_000)
            return page

    late = Late(runner.client.execute, info=runner.client.info, queues=["default"])
    await runner.enqueue(pay, "o-1", 1)
    tally = await Queues(runner.client, late, runner.dead).purge("default")
    assert (tally.matched, tally.done, tally.gone) == (1, 0, 1)
    assert await redis.zcard(keys.abort) == 0


async def test_a_drain_waits_until_nothing_is_ready_or_running(runner: Runner) -> None:
    """It looks once a second; jobs due later count only when asked for."""
    await runner.enqueue(pay.using(key="a"), "o", 1)
    await runner.enqueue(pay.using(delay=60), "o", 1)
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await runner.job("a").cancel()

    standing = await runner.queues.drain("default", sleep=sleep)
    assert (waits, standing.ready, standing.scheduled) == ([1.0], 0, 1)


async def test_an_edit_is_checked_and_hits_only_what_waits(runner: Runner) -> None:
    """Types are the task's; what it was called with else stays."""
    await runner.enqueue(pay.using(key="k", delay=60), "o-1", 5)
    await runner.queues.edit("k", Edit({"cents": 6}))
    assert (await runner.inspector.job("k")).args == ["o-1", 6]
    with pytest.raises(InvalidArguments, match="'cents'"):
        await runner.queues.edit("k", Edit({"cents": "six"}))
    await runner.job("k").cancel()
    with pytest.raises(ChangeRefused, match="is cancelled"):
        await runner.queues.edit("k", Edit({"cents": 7}))
    with pytest.raises(UnknownJob):
        await runner.queues.edit("never", Edit({"cents": 7}))


async def test_a_retry_is_now(runner: Runner) -> None:
    """For one that is due later; one that has ended has to be enqueued anew."""
    await runner.enqueue(pay.using(key="k", delay=60), "o-1", 5)
    assert await runner.queues.retry("k") == "scheduled"
    assert (await runner.inspector.job("k")).info.state == "ready"
    await runner.job("k").cancel()
    with pytest.raises(ChangeRefused, match="enqueue it anew"):
        await runner.queues.retry("k")
