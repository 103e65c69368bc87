"""Very many calls: in bounded memory, with progress, and resumable."""

import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Bulk, Call, Context, InvalidArguments, InvalidTask, Runner, ServerUnreachable, task

MANY = 100_000
PAGE = resource.getpagesize()


@task
async def touch(ctx: Context, number: int) -> None: ...


@task(queue="bulk")
async def store(ctx: Context, number: int) -> None: ...


def calls(count: int) -> Iterator[Call[None]]:
    return (touch.call(number) for number in range(count))


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def test_a_hundred_thousand_calls_take_no_more_memory_than_a_thousand(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """A generator is read 500 at a time: memory does not grow with it, and each round trip is told."""
    told: list[int] = []
    async with make_runner(touch) as runner:
        await runner.enqueue_many(calls(1000))
        before = resident()
        bulk = await runner.enqueue_many(calls(MANY), on_progress=told.append)
        growth = resident() - before
    assert bulk == Bulk(created=MANY, duplicates=0, skipped=0)
    assert await redis.zcard("arq:queue") == MANY + 1000
    assert told == list(range(500, MANY + 1, 500))
    assert growth < 16 * 1024 * 1024
    await redis.flushdb()


async def test_an_interrupted_bulk_is_resumed_by_its_id(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """The generator breaks in the middle: run again with the same id, every call is there exactly once."""

    def breaking() -> Iterator[Call[None]]:
        for number, call in enumerate(calls(2000)):
            if number == 1300:
                raise OSError("the file ended")
            yield call

    async with make_runner(touch) as runner:
        with pytest.raises(OSError, match="the file ended"):
            await runner.enqueue_many(breaking(), bulk_id="import-7")
        assert await redis.zcard("arq:queue") == 1000
        again = await runner.enqueue_many(calls(2000), bulk_id="import-7")
    assert again == Bulk(created=1000, duplicates=0, skipped=1000)
    assert await redis.zcard("arq:queue") == 2000


async def test_a_crash_between_jobs_and_note_makes_no_job_twice(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """What was enqueued and not yet noted is recognised by the jobs' ids, and counted as such."""
    async with make_runner(touch) as runner:
        await runner.enqueue_many(calls(1500), bulk_id="import-7")
        await redis.set("runner:bulk-cursor:import-7", 700)
        again = await runner.enqueue_many(calls(1500), bulk_id="import-7")
    assert again == Bulk(created=0, duplicates=800, skipped=700)
    assert await redis.zcard("arq:queue") == 1500


async def test_a_finished_bulk_is_skipped_whole(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """Run again after its end it sends nothing; grown by some calls, only those."""
    async with make_runner(touch) as runner:
        await runner.enqueue_many(calls(700), bulk_id="import-7")
        assert await runner.enqueue_many(calls(700), bulk_id="import-7") == Bulk(0, 0, 700)
        assert await runner.enqueue_many(calls(703), bulk_id="import-7") == Bulk(3, 0, 700)
    assert await redis.zcard("arq:queue") == 703
    assert 0 < await redis.ttl("runner:bulk-cursor:import-7") <= 7 * 86_400


async def test_two_bulks_have_jobs_of_their_own(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """Ids are made of the bulk's id and the call's number; without one they are random."""
    async with make_runner(touch) as runner:
        await runner.enqueue_many(calls(3), bulk_id="a")
        await runner.enqueue_many(calls(3), bulk_id="b")
        await runner.enqueue_many(calls(3))
        await runner.enqueue_many(calls(3))
    ids = {job_id.decode() for job_id in await redis.zrange("arq:queue", 0, -1)}
    assert len(ids) == 12
    assert {"a:0", "a:1", "a:2", "b:0", "b:1", "b:2"} < ids


async def test_calls_go_where_each_is_placed(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """A chunk may hold calls of several tasks, queues and keys, from an async generator too."""

    async def mixed() -> AsyncIterator[Call[None]]:
        for number in range(10):
            yield touch.call(number)
            yield store.using(key=f"s-{number % 5}").call(number)

    async with make_runner(touch, store) as runner:
        bulk = await runner.enqueue_many(mixed())
    assert bulk == Bulk(created=15, duplicates=5, skipped=0)
    assert await redis.zcard("arq:queue") == 10
    assert await redis.zcard("arq:queue:bulk") == 5


async def test_what_is_no_call_is_named(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """A function instead of a call, or a call that does not fit, ends the bulk; nothing of it is written."""
    async with make_runner(touch) as runner:
        with pytest.raises(InvalidTask, match=r"enqueue_many takes calls, as task.call\(…\), not <function"):
            await runner.enqueue_many([touch.fn])
        with pytest.raises(
            InvalidArguments, match="task 'touch', argument 'number': expected int, got str 'x'"
        ):
            await runner.enqueue_many([touch.call(1), touch.call("x")])
    assert await redis.zcard("arq:queue") == 0


async def test_a_bulk_waits_for_a_server_that_is_away(
    make_runner: Callable[..., Runner], restartable_server: Any, redis: Redis
) -> None:
    """The server restarts in the middle: no call is lost or doubled; one that stays away is said."""

    def pausing() -> Iterator[Call[None]]:
        for number, call in enumerate(calls(2000)):
            if number == 1000:
                restartable_server.kill9()
                restartable_server.start()
            yield call

    async with make_runner(touch, url=restartable_server.url) as runner:
        await runner.enqueue_many(calls(1))
        async with Redis.from_url(restartable_server.url) as there:
            assert await runner.enqueue_many(pausing(), bulk_id="b") == Bulk(2000, 0, 0)
            assert await there.zcard("arq:queue") == 2001
        runner.client._patience_s = 0.1
        restartable_server.kill9()
        with pytest.raises(ServerUnreachable, match="no answer from the server"):
            await runner.enqueue_many(calls(1))
