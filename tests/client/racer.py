"""A process that enqueues one call many times at once, when the key "go" is there: ``racer.py URL CALLS``."""

import asyncio
import sys

from redis.asyncio import Redis

from runner import Context, Runner, Settings, task
from runner.clock import FixedClock
from runner.settings.model import RedisGroup


@task
async def add(ctx: Context, a: int) -> int:
    return a


async def main(url: str, calls: int) -> None:
    async with (
        Redis.from_url(url) as redis,
        Runner(Settings(redis=RedisGroup(url=url), tasks=())) as runner,
    ):
        runner.client._clock = FixedClock()
        keyed = add.using(key="k-1")
        await redis.rpush("ready", 1)
        while not await redis.exists("go"):
            await asyncio.sleep(0.001)
        jobs = await asyncio.gather(*(runner.enqueue(keyed, 1) for _ in range(calls)))
        await redis.rpush("created", sum(job.disposition == "created" for job in jobs))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
