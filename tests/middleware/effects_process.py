"""A worker process for the tests of effects: ``effects_process.py URL LEASE_S MAX_JOBS``.

What its tasks do they tell in Redis, where a test can see it also of a process that was killed.
"""

import asyncio
import sys

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from runner import Context, Idempotency, task
from runner.engine.function import function_of
from runner.engine.options import EngineOptions
from runner.engine.worker import Worker
from runner.wire import deserialize, serialize

CALLERS = 200


async def all_arrived(ctx: Context) -> None:
    """Hold every caller until all of them are there: then they are as concurrent as they can be."""
    await ctx["redis"].incr("arrived")
    while int(await ctx["redis"].get("arrived")) < CALLERS:
        await asyncio.sleep(0.02)


async def effect(ctx: Context) -> str:
    number = await ctx["redis"].incr("runs")
    await asyncio.sleep(0.2)
    return f"effect {number}"


@task
async def through_the_cache(ctx: Context) -> str:
    await all_arrived(ctx)
    async with ctx.idempotent("charge", "o-17", wait=30) as once:
        if not once.done:
            await once.complete(await effect(ctx))
        return once.result


@task(idempotency=Idempotency(key=lambda order: order, wait=30), max_tries=10)
async def declared(ctx: Context, order: str, hangs: bool = False) -> str:
    inside = await ctx["redis"].incr("inside")
    recovering = f"{ctx.once.is_recovering} {sorted(ctx.once.steps.items())}"
    await ctx["redis"].rpush("seen", f"{inside} {recovering}")
    if not ctx.once.is_recovering:
        await ctx.once.step("intent", {"gateway_key": f"pay:{order}"})
        await ctx["redis"].set("stepped", 1)
        while await ctx["redis"].exists("hangs"):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
    await ctx["redis"].decr("inside")
    return f"{order} by attempt {ctx.attempt}"


@task
async def under_a_lock(ctx: Context) -> int:
    async with ctx.lock("till", wait=30) as fence:
        await ctx["redis"].rpush("fences", fence)
        inside = await ctx["redis"].incr("inside")
        await ctx["redis"].set("most inside", max(inside, int(await ctx["redis"].get("most inside") or 0)))
        while await ctx["redis"].exists("hangs"):
            await asyncio.sleep(0.05)
        await ctx["redis"].decr("inside")
        return fence


async def main(url: str, lease_s: float, max_jobs: int) -> None:
    pool = ConnectionPool.from_url(url)
    worker = Worker(
        [function_of(each) for each in (through_the_cache, declared, under_a_lock)],
        redis_pool=ArqRedis(pool),
        max_jobs=max_jobs,
        handle_signals=False,
        engine=EngineOptions(speaks_json=True, lease_s=lease_s, safety_poll_s=0.2),
        job_serializer=serialize,
        job_deserializer=deserialize,
    )
    await worker.main()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
