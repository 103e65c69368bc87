"""Lanes and gates around real workers: limits hold, nobody else waits, each way to a job keeps its lane."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.asyncio import Redis

from runner import Concurrency, Context, InvalidArguments, InvalidJob, InvalidTask, Runner, Settings, task
from runner.effects import SKIPPED
from runner.job import JobState
from runner.settings import RedisGroup, WorkerGroup
from runner.settings.concurrency import ConcurrencyTable
from runner.wire import deserialize, serialize
from runner.wire.keys import PARKED, keys_of

KEYS = keys_of("default")
Make = Callable[..., Runner]


@pytest.fixture
def make(redis_url: str) -> Make:
    def runner(*tasks: Any, **counts: int) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=redis_url),
            worker=WorkerGroup(grace=0),
            concurrency={name: ConcurrencyTable(limit=limit) for name, limit in counts.items()},
            tasks=(),
        )
        return Runner(settings, tasks=tasks)

    return runner


class Hosts:
    """What runs at each host now, and the most that ever did; calls to a slow one end when it is told to."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.ended: list[str] = []
        self.go_on = asyncio.Event()

    async def call(self, host: str) -> None:
        self.now[host] += 1
        self.most[host] = max(self.most[host], self.now[host])
        if host.startswith("slow"):
            await self.go_on.wait()
        self.now[host] -= 1
        self.ended.append(host)


async def test_a_slow_host_with_a_limit_leaves_a_fast_one_alone(make: Make, wait_until: Any) -> None:
    """200 jobs wait for the slow host, 10 of them in flight; all those of the fast one run meanwhile."""
    hosts = Hosts()

    @task(concurrency=Concurrency("host:{url.host}", 10))
    async def fetch(ctx: Context, url: str) -> None:
        await hosts.call(url.removeprefix("https://").partition("/")[0])

    runner = make(fetch)
    async with runner.worker():
        await runner.enqueue_many(fetch.call("https://slow/") for _ in range(200))
        await wait_until(lambda: hosts.now["slow"] == 10, "ten run at the slow host")
        await runner.enqueue_many(fetch.call(f"https://fast/{n}") for n in range(200))
        await wait_until(lambda: len(hosts.ended) == 200, "all of the fast host have run")
        assert set(hosts.ended) == {"fast"}
        hosts.go_on.set()
        await wait_until(lambda: len(hosts.ended) == 400, "all have run")
    assert hosts.most["slow"] == 10
    assert 1 <= hosts.most["fast"] <= 10


async def test_a_limit_counts_over_workers_and_is_changed_at_run_time(make: Make, wait_until: Any) -> None:
    """Settings go before the task, run time before settings; a raised limit reaches jobs that wait."""
    hosts = Hosts()

    @task(concurrency=Concurrency("api", 9))
    async def call(ctx: Context) -> None:
        await hosts.call("slow")

    one, other = make(call, api=2), make(call, api=2)
    async with one.worker(), other.worker():
        await one.enqueue_many(call.call() for _ in range(20))
        await wait_until(lambda: hosts.now["slow"] == 2, "two run")
        [known] = await other.limits.concurrency()
        assert (known.name, known.limit, known.source, known.running) == ("api", 2, "settings", 2)
        await other.limits.set_concurrency("api", 5)
        await wait_until(lambda: hosts.now["slow"] == 5, "five run")
        assert await other.limits.remove_concurrency("api")
        hosts.go_on.set()
        await wait_until(lambda: len(hosts.ended) == 20, "all have run")
    assert hosts.most["slow"] == 5


async def test_a_job_that_waits_for_a_slot_is_ready_and_can_be_cancelled(
    make: Make, wait_until: Any, redis: Redis
) -> None:
    """It was due when it was enqueued; nothing is left of it in the lanes."""
    hosts = Hosts()

    @task(concurrency=Concurrency("api", 1))
    async def call(ctx: Context) -> None:
        await hosts.call("slow")

    runner = make(call)
    async with runner.worker():
        await runner.enqueue(call)
        await wait_until(lambda: hosts.now["slow"] == 1, "one runs")
        job = await runner.enqueue(call)
        info = await job.info()
        assert (info.state, info.attempts) == (JobState.READY, 0)
        assert info.due_at_ms is not None
        assert info.due_at_ms < PARKED
        assert await job.cancel()
        assert (await job.info()).state is JobState.CANCELLED
        hosts.go_on.set()
        await wait_until(lambda: len(hosts.ended) == 1, "the first has ended")
    left = [key async for key in redis.scan_iter(KEYS.here + "*")]
    assert left == [KEYS.rules.encode()]


async def test_on_full_skips_or_cancels_the_oldest(make: Make, wait_until: Any) -> None:
    """Skipped is a success that says so; the cancelled one makes place for the new one."""
    hosts = Hosts()

    @task(concurrency=Concurrency("a", 1, on_full="skip"))
    async def skipping(ctx: Context) -> str:
        await hosts.call("slow")
        return "ran"

    @task(concurrency=Concurrency("b", 1, on_full="cancel_oldest"))
    async def newest(ctx: Context, number: int) -> int:
        if number == 1:
            await asyncio.Event().wait()
        return number

    runner = make(skipping, newest)
    async with runner.worker():
        first = await runner.enqueue(skipping)
        old = await runner.enqueue(newest, 1)
        await wait_until(lambda: hosts.now["slow"] == 1, "one runs")
        assert await (await runner.enqueue(skipping)).result(timeout=30) == SKIPPED
        assert await (await runner.enqueue(newest, 2)).result(timeout=30) == 2
        assert (await old.info()).state is JobState.CANCELLED
        hosts.go_on.set()
        assert await first.result(timeout=30) == "ran"


async def test_jobs_that_come_without_their_lane_are_sorted_into_it(
    make: Make, wait_until: Any, redis_url: str
) -> None:
    """A stock client's jobs keep to the limit too; their first attempt is their first."""
    hosts, attempts = Hosts(), list[int]()

    @task(concurrency=Concurrency("api", 3), max_tries=1, max_snoozes=0)
    async def call(ctx: Context) -> None:
        attempts.append(ctx.attempt)
        await hosts.call("slow")

    pool: ArqRedis = await create_pool(
        RedisSettings.from_dsn(redis_url), job_serializer=serialize, job_deserializer=deserialize
    )
    for _ in range(12):
        await pool.enqueue_job("call")
    async with make(call).worker():
        await wait_until(lambda: hosts.now["slow"] == 3, "three run")
        hosts.go_on.set()
        await wait_until(lambda: len(hosts.ended) == 12, "all have run")
    await pool.aclose()
    assert (hosts.most["slow"], set(attempts)) == (3, {1})


async def test_a_replayed_job_and_a_retried_one_keep_tenant_and_priority(make: Make, redis: Redis) -> None:
    """What was said at enqueue stands in the payload; a letter that runs again stands in the same lane."""
    specs: list[bytes | None] = []

    @task(tenant="{account}", retry=None, max_tries=2)
    async def fail(ctx: Context, account: str) -> None:
        specs.append(await redis.hget(KEYS.laned, ctx.job_id))
        if len(specs) < 4:
            raise ValueError(account)

    runner = make(fail)
    async with runner.worker():
        job = await runner.enqueue(fail.using(tenant="other", priority=2), "a")
        with pytest.raises(Exception, match="a"):
            await job.result(timeout=30)
        await runner.dead.replay(job.id)
        await job.result(timeout=30)
    assert specs == [b"2\x1fother"] * 4


async def test_what_cannot_be_a_lane_is_refused_where_it_is_said(make: Make) -> None:
    """At the declaration, at using(), at enqueue: with the name of what is wrong."""

    async def fn(ctx: Context, url: str) -> None: ...

    for options, message in [
        ({"priority": 10}, "from 0 .most urgent. to 9, not 10"),
        ({"priority": True}, "not True"),
        ({"tenant": 7}, "text or a function"),
        ({"tenant": "{who}"}, "'who' is not one of the task's parameters"),
        ({"concurrency": "api"}, "a Concurrency or a list"),
        ({"concurrency": [Concurrency(f"{n}", 1) for n in range(5)]}, "at most 4"),
        ({"concurrency": Concurrency("host:{host}", 1)}, "'host' is not one of the task's parameters"),
    ]:
        with pytest.raises(InvalidTask, match=message):
            task(**options)(fn)
    for arguments, message in [
        (("", 1), "1 to 200"),
        (("a", -1), "not -1"),
        (("{}", 1), "name the parameter"),
    ]:
        with pytest.raises(ValueError, match=message):
            Concurrency(*arguments)
    with pytest.raises(ValueError, match="on_full= is one of wait, skip, cancel_oldest"):
        Concurrency("a", on_full="drop")  # pyright: ignore[reportArgumentType]

    fetch = task(concurrency=Concurrency("host:{url.host}", 1))(fn)
    with pytest.raises(InvalidJob, match="priority"):
        fetch.using(priority=-1)
    with pytest.raises(InvalidJob, match="tenant"):
        fetch.using(tenant=b"x")  # pyright: ignore[reportArgumentType]
    runner = make(fetch)
    async with runner:
        with pytest.raises(InvalidArguments, match="no URL with a host"):
            await runner.enqueue(fetch, "nonsense")
        with pytest.raises(ValueError, match="a weight is a number"):
            await runner.limits.set_weight("t", 0)


@pytest.mark.parametrize("name", ["ünï🎉", "x" * 10_000, "a\x1fb\n"])
async def test_any_text_can_be_a_tenant_or_in_a_key(make: Make, redis: Redis, name: str) -> None:
    """Long ones and those with control characters go by their digest: keys stay small, lanes apart."""

    @task(concurrency=Concurrency("k:{key}", 1), tenant="{key}")
    async def call(ctx: Context, key: str) -> int:
        return len(key)

    runner = make(call)
    async with runner.worker():
        assert await (await runner.enqueue(call, name)).result(timeout=30) == len(name)
    assert all([len(key) < 700 async for key in redis.scan_iter(KEYS.here + "*")])
