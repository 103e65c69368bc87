"""Everything a runner does, on a cluster of three, as the user of deploy/runner.acl, and through TLS.

On the cluster each queue has a slot of its own, or three; the user may do what is in the file and no more;
the server behind TLS has a certificate of a private authority and asks for one of ours.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

from jobs.payment import payment_state, process_payment
from jobs.payment.sandbox import balance
from runner import (
    Concurrency,
    Context,
    Idempotency,
    JobCancelled,
    JobFailed,
    Lock,
    RateLimit,
    Retry,
    Runner,
    Unique,
    chain,
    chord,
    group,
    task,
)
from runner.app import Runner as App
from runner.job import JobState
from runner.settings import PaymentsGroup, RedisGroup, Settings, WebhooksGroup
from runner.settings.queues import QueueTable
from runner.wire.keys import keys_of
from runner.wire.slots import slot_of

ran: Counter[str] = Counter()
holding: Counter[str] = Counter()
QUEUES = ("critical", "default", "bulk")


@task
async def add(_ctx: Context, a: int, b: int) -> int:
    return a + b


@task(queue="bulk")
async def total(_ctx: Context, parts: list[int]) -> int:
    ran["total"] += 1
    return sum(parts)


@task(max_tries=3)
async def shaky(ctx: Context, word: str) -> int:
    if ctx.attempt < 3:
        raise Retry(0.01)
    return ctx.attempt


@task(queue="critical", max_tries=1)
async def fails(_ctx: Context, word: str) -> None:
    ran[word] += 1
    if ran[word] == 1:
        raise ValueError(word)


@task
async def waits(_ctx: Context) -> None:
    ran["waits"] += 1
    await asyncio.Event().wait()


@task(idempotency=Idempotency(key=lambda order: order, ttl="60d"), lock=Lock("order:{order}"))
async def once(_ctx: Context, order: str) -> int:
    ran[order] += 1
    return ran[order]


@task(rate_limit=RateLimit("slow", "1000/s", burst=1))
async def limited(_ctx: Context) -> None:
    ran["limited"] += 1


@task(concurrency=Concurrency("host:{host}", 2), tenant="{host}")
async def narrow(_ctx: Context, host: str) -> None:
    holding[host] += 1
    ran["most"] = max(ran["most"], holding[host])
    await asyncio.sleep(0.005)
    holding[host] -= 1


@task(unique=Unique())
async def only(_ctx: Context, word: str) -> None: ...


@task
async def durable(ctx: Context) -> Any:
    first = await ctx.step("first", add_up, 1, 2)
    await ctx.sleep(0.01)
    return [first, await ctx.wait_for("go", timeout=5)]


async def add_up(a: int, b: int) -> int:
    return a + b


TASKS = (add, total, shaky, fails, waits, once, limited, narrow, only, durable)


@pytest.fixture(params=["cluster", "limited_user", "tls"])
def runner(request: pytest.FixtureRequest) -> App:
    ran.clear()
    redis = RedisGroup(**request.getfixturevalue(request.param), allow_unsafe_server=True)
    queues = {"default": QueueTable(shards=3)} if request.param == "cluster" else {}
    return Runner(Settings(redis=redis, tasks=(), queues=queues), tasks=TASKS)


def test_the_queues_lie_on_all_nodes():
    """The three queues are in different thirds of the slots: these tests do cross nodes."""
    thirds = {slot_of(keys_of(name, "tagged").queue) // 5461 for name in QUEUES}
    assert len(thirds) >= 2


async def test_jobs_run_retry_die_and_are_replayed(runner: App, wait_until: Any):
    """Enqueue, bulk, retry, result, cancel, dead letters and their replay, uniqueness, over all queues."""
    async with runner.worker():
        jobs = [await runner.enqueue(add.using(queue=name), i, 1) for i in range(3) for name in QUEUES]
        assert [await job.result(timeout=30) for job in jobs] == [i + 1 for i in range(3) for _ in QUEUES]
        bulk = await runner.enqueue_many((add.call(i, i) for i in range(50)), bulk_id="b")
        assert bulk.created == 50
        assert await (await runner.enqueue(shaky, "x")).result(timeout=30) == 3
        job = await runner.enqueue(fails, "dies")
        with pytest.raises(JobFailed):
            await job.result(timeout=30)
        [letter] = (await runner.dead.find()).letters
        await runner.dead.replay(letter.id)
        await job.result(timeout=30)
        waiting = await runner.enqueue(waits)
        await wait_until(lambda: ran["waits"], "it runs")
        assert await waiting.cancel()
        with pytest.raises(JobCancelled):
            await waiting.result(timeout=30)
        first = await runner.enqueue(only.using(delay=60), "w")
        again = await runner.enqueue(only.using(delay=60), "w")
        assert (again.id, again.disposition) == (first.id, "duplicate")
        assert await first.status() is JobState.SCHEDULED
        assert "scheduled" in str(await first.explain())


async def test_limits_locks_and_idempotency_hold(runner: App):
    """Their keys lie in slots of their own, and one call carries those of many jobs."""
    async with runner.worker():
        jobs = [await runner.enqueue(once, "o-1") for i in range(5)]
        assert [await job.result(timeout=30) for job in jobs] == [1] * 5
        limited_jobs = [await runner.enqueue(limited) for _ in range(5)]
        await asyncio.gather(*(job.result(timeout=30) for job in limited_jobs))
        assert ran["limited"] == 5
        narrow_jobs = [await runner.enqueue(narrow, host) for host in ("a", "b") for _ in range(8)]
        await asyncio.gather(*(job.result(timeout=30) for job in narrow_jobs))
        assert ran["most"] <= 2
        await runner.limits.set("slow", "5/s")
        assert await runner.limits.take("slow")


async def test_a_payment_is_charged_once(cluster: dict[str, Any], payments: dict[str, Any], gateway: Any):
    """However many ask for it at once: one charge, and our word is the gateway's."""
    runner = Runner(
        Settings(
            redis=RedisGroup(**cluster, allow_unsafe_server=True),
            payments=PaymentsGroup(**payments),
            webhooks=WebhooksGroup(allow=("127.0.0.0/8",)),
            tasks=("jobs.payment", "jobs.webhook"),
        )
    )
    async with runner.worker():
        jobs = [await runner.enqueue(process_payment, "o-1", 1999, "EUR", "tok_visa") for _ in range(5)]
        results = await asyncio.gather(*(job.result(30) for job in jobs))
        assert {result["status"] for result in results} == {"succeeded"}
        assert balance(gateway.ledger).charges["o-1"].charged == 1
        assert balance(gateway.ledger).mismatches({"o-1": await payment_state(runner, "o-1")}) == []


async def test_schedules_workflows_and_durable_steps_work(runner: App, wait_until: Any):
    """What goes on over many slots: ticks, nodes that enqueue nodes in other queues, steps and signals."""
    async with runner.worker():
        await runner.schedules.upsert("often", task=limited, every="50ms", args=[])
        flow = await runner.start(chain(group([add.call(i, i) for i in range(4)]), total.call()))
        assert await flow.result(timeout=30) == 12
        back = await runner.start(chord([add.call(1, 1), add.using(queue="bulk").call(2, 2)], total.call()))
        assert await back.result(timeout=30) == 6
        assert ran["total"] == 2
        job = await runner.enqueue(durable)
        await job.signal("go", {"n": 1})
        assert await job.result(timeout=30) == [3, {"n": 1}]
        await wait_until(lambda: ran["limited"] >= 2, "two ticks")
        await runner.schedules.remove("often")
        assert {each.queue for each in await runner.inspector.queues()} == set(QUEUES)
        assert len(await runner.inspector.workers()) == 1
        assert (await runner.inspector.overview()).queues
