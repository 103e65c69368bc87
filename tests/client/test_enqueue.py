"""One call becomes one job, wherever and however often it is enqueued."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Context, JobState, Runner, ServerUnreachable, task
from runner.clock import FixedClock
from runner.errors import JobExpired, QueueFull

RACERS, CALLS = 4, 50


@task
async def add(ctx: Context, a: int, b: int = 1) -> int:
    return a + b


async def test_a_call_becomes_a_job_with_arqs_own_payload(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """The job stands under arq's keys with arq's fields, and has no time to live."""
    async with make_runner(add) as runner:
        job = await runner.enqueue(add, 1, b=2)
    assert job.disposition == "created"
    payload = json.loads(await redis.get(f"arq:job:{job.id}"))
    assert {name: payload[name] for name in "tfak"} == {"t": None, "f": "add", "a": [1], "k": {"b": 2}}
    assert await redis.ttl(f"arq:job:{job.id}") == -1
    assert await redis.zscore("arq:queue", job.id) is not None


async def test_the_same_key_twice_is_one_job(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """The second enqueue of a key says ``duplicate`` and leaves the first job's arguments alone."""
    async with make_runner(add) as runner:
        first = await runner.enqueue(add.using(key="k-1"), 1)
        second = await runner.enqueue(add.using(key="k-1"), 2)
    assert (first.disposition, second.disposition) == ("created", "duplicate")
    assert (first.id, second.id) == ("k-1", "k-1")
    assert json.loads(await redis.get("arq:job:k-1"))["a"] == [1]


async def test_a_key_stays_taken_while_its_result_is_kept(
    make_runner: Callable[..., Runner], burst: Callable
) -> None:
    """A job that has ended is still known by its key: enqueued again it does not run again."""
    async with make_runner(add) as runner:
        await runner.enqueue(add.using(key="k-1"), 1)
        await burst(runner)
        again = await runner.enqueue(add.using(key="k-1"), 1)
        assert again.disposition == "duplicate"
        assert await again.result(30) == 2


async def test_a_call_goes_where_it_is_placed(make_runner: Callable[..., Runner], redis: Redis) -> None:
    """``queue`` chooses the ZSET; ``delay`` and ``until`` its score, by the server's clock."""
    until = datetime.now(UTC) + timedelta(hours=1)
    async with make_runner(add) as runner:
        bulk = await runner.enqueue(add.using(queue="bulk"), 1)
        later = await runner.enqueue(add.using(delay=timedelta(minutes=5)), 1)
        then = await runner.enqueue(add.using(until=until), 1)
        states = [await job.status() for job in (bulk, later, then)]
    seconds, _ = await redis.time()
    assert await redis.zscore("arq:queue:bulk", bulk.id) <= (seconds + 1) * 1000
    assert abs(await redis.zscore("arq:queue", later.id) - (seconds + 300) * 1000) < 60_000
    assert await redis.zscore("arq:queue", then.id) == round(until.timestamp() * 1000)
    assert states == [JobState.READY, JobState.SCHEDULED, JobState.SCHEDULED]


async def test_a_job_that_starts_too_late_expires(
    make_runner: Callable[..., Runner], burst: Callable
) -> None:
    """``expires`` counts from when the job is due; past it the job does not run and says so."""
    ran: list[int] = []

    @task
    async def note(ctx: Context) -> None:
        ran.append(1)

    async with make_runner(note) as runner:
        past = datetime.now(UTC) - timedelta(hours=1)
        late = await runner.enqueue(note.using(until=past, expires=0))
        fine = await runner.enqueue(note.using(expires=60))
        await burst(runner)
        with pytest.raises(JobExpired, match=late.id):
            await late.result(30)
        assert await fine.result(30) is None
        assert await late.status() == JobState.EXPIRED
    assert ran == [1]


async def test_expiry_goes_by_the_servers_clock(make_runner: Callable[..., Runner], burst: Callable) -> None:
    """A client whose own clock is years behind does not make its jobs expire before they start."""
    async with make_runner(add) as runner:
        runner.client._clock = FixedClock(at_ms=1_000_000_000_000)
        await runner.client.ping()
        job = await runner.enqueue(add.using(expires=60), 1)
        await burst(runner)
        assert await job.result(30) == 2


async def test_of_many_that_race_for_a_key_one_makes_the_job(
    redis_url: str, redis: Redis, forks: Any, wait_until: Callable[..., Any]
) -> None:
    """200 callers in 4 processes enqueue the very same call at once: one is told ``created``."""
    script = Path(__file__).with_name("racer.py")
    racers = [forks.start(script, redis_url, str(CALLS)) for _ in range(RACERS)]

    async def count(key: str) -> bool:
        return await redis.llen(key) == RACERS

    await wait_until(partial(count, "ready"), "all have connected")
    await redis.set("go", 1)
    await wait_until(partial(count, "created"), "all have been answered")
    for racer in racers:
        forks.end(racer)
    assert sum(map(int, await redis.lrange("created", 0, -1))) == 1
    assert await redis.zcard("arq:queue") == 1


async def test_an_enqueue_whose_answer_was_lost_counts_as_created(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """The connection breaks after the server has taken the job: sent again, it is the same call's job."""
    async with make_runner(add) as runner:
        client, lost = runner.client, []
        execute = client._scripts._execute

        async def lose_the_first(*command: object) -> object:
            answer = await execute(*command)
            if command[0] == "EVALSHA" and not lost:
                lost.append(command)
                raise ConnectionResetError("the answer was lost")
            return answer

        await runner.enqueue(add, 0)  # the server knows the script now
        client._scripts._execute = lose_the_first
        keyed = await runner.enqueue(add.using(key="k-1"), 1)
        lost.clear()
        random = await runner.enqueue(add, 1)
    assert len(lost) == 1
    assert (keyed.disposition, random.disposition) == ("created", "created")
    assert await redis.zcard("arq:queue") == 3


async def test_a_random_id_is_nobody_elses(make_runner: Callable[..., Runner], burst: Callable) -> None:
    """The answer was lost, and the job ran before the call was sent again: it is still this call's own."""
    async with make_runner(add) as runner:
        await runner.enqueue(add, 0)
        client, lost = runner.client, []
        execute = client._scripts._execute

        async def lose_the_first(*command: object) -> object:
            answer = await execute(*command)
            if not lost:
                lost.append(command)
                await burst(runner)
                raise ConnectionResetError("the answer was lost")
            return answer

        client._scripts._execute = lose_the_first
        job = await runner.enqueue(add, 1)
        assert job.disposition == "created"
        assert await job.result(30) == 2
        assert await job.status() == JobState.SUCCEEDED
    assert len(lost) == 1


async def test_leaving_waits_for_enqueues_on_their_way(
    make_runner: Callable[..., Runner], redis: Redis
) -> None:
    """An app that shuts down with calls in flight: they arrive, and the callers hear it."""
    async with make_runner(add) as runner:
        calls = [asyncio.create_task(runner.enqueue(add, number)) for number in range(1000)]
        await asyncio.sleep(0)
    assert {(await call).disposition for call in calls} == {"created"}
    assert await redis.zcard("arq:queue") == 1000


async def test_a_cancelled_enqueue_leaves_the_others_alone(make_runner: Callable[..., Runner]) -> None:
    """One of many that share a round trip is cancelled: the others get their answers, the runner goes on."""
    async with make_runner(add) as runner:
        calls = [asyncio.create_task(runner.enqueue(add, n)) for n in range(20)]
        await asyncio.sleep(0)
        calls[7].cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in done].count(True) == 1
        assert (await runner.enqueue(add, 1)).disposition == "created"


async def test_a_full_server_is_said_at_once_and_nothing_is_written(
    make_runner: Callable[..., Runner], restartable_server: Any
) -> None:
    """Out of memory: QueueFull, without waiting for it to pass, and no part of the job is there."""
    async with (
        make_runner(add, url=restartable_server.url) as runner,
        Redis.from_url(restartable_server.url) as redis,
    ):
        await redis.config_set("maxmemory", "1")
        with pytest.raises(QueueFull, match="out of memory and takes no new jobs"):
            await runner.enqueue(add, 1)
        assert await redis.dbsize() == 0


async def test_nobody_waits_longer_for_a_server_that_is_away_than_the_patience(
    make_runner: Callable[..., Runner], restartable_server: Any
) -> None:
    """2,000 enqueues while the server is down all end in one sentence with its address, and at once."""
    async with make_runner(add, url=restartable_server.url) as runner:
        client, batches = runner.client, []
        client._patience_s, send = 0.3, client._intake._send

        async def note(keys: Any, entries: list[Any]) -> Any:
            batches.append(len(entries))
            return await send(keys, entries)

        client._intake._send = note
        restartable_server.kill9()
        done = await asyncio.gather(*(runner.enqueue(add, n) for n in range(2000)), return_exceptions=True)
        assert {type(each) for each in done} == {ServerUnreachable}
        assert "no answer from the server at unix://" in str(done[-1])
        assert batches == [500]
        restartable_server.start()
        assert (await runner.enqueue(add, 1)).disposition == "created"


async def test_an_enqueue_survives_a_restart_of_the_server(
    make_runner: Callable[..., Runner], restartable_server: Any
) -> None:
    """The server is away for a moment: the call waits for it, and the job is there."""
    async with make_runner(add, url=restartable_server.url) as runner:
        restartable_server.kill9()
        call = asyncio.create_task(runner.enqueue(add, 1))
        await asyncio.sleep(0)
        restartable_server.start()
        job = await call
        assert job.disposition == "created"
        assert await job.status() == JobState.READY
