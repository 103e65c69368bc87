"""What a type checker makes of the public surface. Read by basedpyright in strict mode, never run."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, assert_type

from aiohttp import web
from fastapi import Depends, FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from runner import (
    Adaptive,
    Breaker,
    Bulk,
    Call,
    Concurrency,
    Context,
    Job,
    JobFailed,
    JobInfo,
    JobState,
    RateLimit,
    Results,
    Retry,
    RetryBudget,
    Runner,
    Settings,
    StepStanding,
    Unique,
    Workflow,
    backoff,
    chain,
    chord,
    group,
    saga,
    step,
    task,
)
from runner.embed import Probes
from runner.health import Readiness
from runner.outcome import Outcome
from runner.testing import Ended, Kit


@task
async def plain(ctx: Context, order: str, boxes: int = 1) -> str:
    return f"{boxes} of {order}"


@task(
    name="store",
    queue="bulk",
    retry=backoff.constant(1).times(3) + backoff.exponential(base=10, cap=600, jitter="full"),
    max_tries=5,
    max_age=timedelta(days=1),
    retry_on=(ConnectionError, TimeoutError),
    give_up_on=ValueError,
    timeout=30,
    soft_timeout=25.0,
    keep_result=0,
    unique=Unique.debounce("10s", max_wait=timedelta(minutes=1), key="{rows}"),
)
async def store(ctx: Context, *, rows: list[int]) -> None:
    await ctx.progress(0.5, "half")
    left = ctx.remaining()
    assert_type(left, float | None)
    if left is not None and left < 1:
        raise Retry(delay=5)
    ctx.snooze(until=datetime.now(UTC))


@task(
    priority=2,
    tenant="{account}",
    concurrency=[Concurrency("account:{account}", 5), Concurrency("all", on_full="skip")],
    rate_limit=[RateLimit("api", "100/s", adaptive=Adaptive("5/s", latency=2.5)), RateLimit("all", cost=2)],
    breaker=[Breaker("api", retry_budget=0.2), Breaker("b", key=len, retry_budget=RetryBudget(per_s=2))],
    unique=Unique("1h", on_conflict="reject"),
)
async def limited(ctx: Context, account: str) -> None:
    await ctx.limit("api", cost=2)
    async with ctx.breaker(f"host:{account}"):
        ctx.report_health("throttled", retry_after=timedelta(seconds=30))
    await ctx.enqueue(limited.using(tenant="acme", priority=0), account)


def owner(account: int) -> str:
    return f"a{account}"


@task(tenant=owner, concurrency=Concurrency("one", 1, on_full="cancel_oldest"))
async def of_whom(ctx: Context, account: int) -> None: ...


@task(retry_on=lambda error: "again" in str(error))
async def nothing(ctx: Context) -> tuple[int, bytes]:
    assert_type(await ctx.enqueue(plain, "o-1"), Job[str])
    return ctx.attempt, b""


@task(isolation="process", timeout=5)
def plainly(ctx: Context, order: str) -> bytes:
    return order.encode()


@task(isolation="thread", version=2, upcast=lambda args, kwargs, version: (args, kwargs))
async def in_a_thread(ctx: Context, order: str) -> bytes:
    return order.encode()


@task(isolation="loop", queue="bulk")
async def in_the_loop(ctx: Context) -> int:
    return 1


async def use_isolated(runner: Runner) -> None:
    assert_type(await runner.enqueue(plainly, "o-1"), Job[bytes])
    assert_type(await runner.enqueue(in_a_thread, "o-1"), Job[bytes])
    assert_type(await runner.enqueue(in_the_loop), Job[int])


async def fetch(day: str, *, euro: float = 1.0) -> dict[str, float]:
    return {day: euro}


@task
async def durable(ctx: Context) -> None:
    assert_type(await ctx.step("fetch", fetch, "monday", euro=2.0), dict[str, float])
    await ctx.sleep("2d")
    await ctx.sleep(timedelta(days=2), name="cool down")
    assert_type(await ctx.wait_for("approved", timeout="3d"), Any)


async def use(runner: Runner) -> None:
    job = await runner.enqueue(plain, "o-1", boxes=2)
    assert_type(job, Job[str])
    assert_type(await job.result(timeout=30), str)
    assert_type(await job.result(timedelta(seconds=5)), str)
    assert_type(job.disposition, Literal["created", "duplicate", "replaced", "unknown"])
    assert_type(await job.status(), JobState)
    assert_type(await job.info(), JobInfo)
    assert_type(await job.cancel(), bool)
    await job.signal("approved", {"by": "ann"}, key="evt_1")
    await runner.signal(job.id, "approved", queue="bulk")

    placed = plain.using(delay=10, key="k-1", queue="bulk", expires=timedelta(hours=1))
    assert_type(await runner.enqueue(placed, "o-1"), Job[str])
    assert_type(await runner.enqueue(store, rows=[1, 2]), Job[None])
    assert_type(await (await runner.enqueue(nothing)).result(), tuple[int, bytes])
    assert_type(await plain({}, "o-1"), str)

    assert_type(plain.call("o-1"), Call[str])
    assert_type(await runner.enqueue_many(plain.call(f"o-{n}") for n in range(10)), Bulk)
    assert_type(await runner.enqueue_many(mixed(), bulk_id="b", on_progress=print), Bulk)
    assert_type(await runner.enqueue_many(later()), Bulk)

    assert_type(runner.job("k-1", task=plain), Job[str])
    assert_type((await runner.job("k-1").info()).result, Any)


@task
async def count(ctx: Context, text: str, *, least: int = 0) -> int:
    return len(text)


@task
async def sum_up(ctx: Context, sizes: Results[int]) -> int:
    whole = 0
    async for size in sizes:
        assert_type(size, int)
        whole += size
    return whole


@task
async def merge(ctx: Context, counts: list[int]) -> bytes: ...


@task
async def alert(ctx: Context, failure: dict[str, Any]) -> None: ...


async def flow(runner: Runner) -> None:
    """A workflow is of what its last part gives; what is left out in front comes from the part before."""
    two = await runner.start(chain(plain.call("o-1"), count.call(least=1)), id="w-1", on_failure="finish")
    assert_type(two, Workflow[int])
    assert_type(await two.result(timeout=30), int)
    many = chord((count.call(each) for each in ("a", "b")), merge.call())
    pages = chord((count.call(each) for each in ("a", "b")), sum_up.call())
    assert_type(await runner.start(pages), Workflow[int])
    assert_type(await runner.start(many, on_error=alert), Workflow[bytes])
    assert_type(await runner.start(chain(many, plain.call("o-2").fixed())), Workflow[str])
    assert_type(await runner.start(group(plain.call("o-1"), plain.call("o-2"))), Workflow[list[str]])
    assert_type(await runner.start(count.map(["a", "b"])), Workflow[list[int]])
    assert_type(await runner.start(count.starmap([("a",), ("b",)])), Workflow[list[int]])
    assert_type(await runner.start(merge.chunks([1, 2, 3], 2)), Workflow[list[bytes]])


@task
async def unpack(ctx: Context, packed: str | None, order: str, boxes: int = 1) -> None: ...


async def undoing(runner: Runner) -> None:
    """A saga is of what its last step gives; an undo takes its step's result, or None, and its arguments."""
    packing = step(plain.call("o-1", boxes=2), undo=unpack)
    flow = await runner.start(saga(packing, step(count.call("o-1"), undo_failed=False)))
    assert_type(flow, Workflow[int])
    assert_type(await flow.steps(), list[StepStanding])
    assert_type(await runner.start(saga(packing)), Workflow[str])


def mixed() -> Iterator[Call[Any]]:
    yield plain.call("o-1")
    yield store.call(rows=[])


async def later() -> AsyncIterator[Call[str]]:
    yield plain.call("o-1")


def embed(runner: Runner) -> None:
    chosen: Callable[[Any], AbstractAsyncContextManager[None]] = runner.lifespan
    chosen = runner.lifespan_with(worker=True, queues=["bulk"])
    assert callable(chosen)
    app = web.Application()
    app.cleanup_ctx.append(runner.cleanup_ctx)
    app.cleanup_ctx.append(runner.cleanup_ctx_with(worker=True, queues=["bulk"]))
    assert_type(app[runner.app_key], Runner)
    app.add_routes(Probes(runner, needs_worker=True).routes("/internal"))
    FastAPI(lifespan=runner.lifespan).mount("/internal", Probes(runner))
    Depends(runner.depends)


async def transact(runner: Runner, session: AsyncSession, engine: AsyncEngine) -> None:
    job = await runner.outbox(session).enqueue(plain.using(delay=10, key="k-1"), "o-1", boxes=2)
    assert_type(job, Job[str])
    async with runner.outbox_relay(engine, every=5) as relay:
        assert_type(await relay.move(), int)


def wide(jobs: list[Job[str]]) -> Job[object]:
    """A Job of something is a Job of anything wider."""
    return jobs[0]


def make() -> Runner:
    return Runner(Settings(), tasks=[plain, store, nothing])


def read(failed: JobFailed) -> tuple[str, str, str]:
    return failed.type, failed.message, failed.traceback


async def look(runner: Runner) -> None:
    assert_type(await runner.health.metrics_text(), str)
    assert_type(await runner.health.readiness(), Readiness)


async def try_out(kit: Kit) -> None:
    assert_type(await kit.perform(plain, "o-1"), Outcome)
    assert_type(await kit.drain(), list[Ended])
    await kit.time.advance("3d")
