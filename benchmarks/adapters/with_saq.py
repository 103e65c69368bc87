"""SAQ: ``saq settings``, redis-py with hiredis (its extra), uvloop, 30 at once, results kept 10 min."""

import time
from collections.abc import Sequence
from typing import Any

import httpx
import uvloop
from redis.asyncio import Redis
from saq import Job
from saq.queue.redis import RedisQueue
from wire import CALLERS, SLOTS, URL, WAIT_S, play, ran, signed

uvloop.install()


async def noop(_ctx: dict[str, Any]) -> int:
    ran()
    return 1


async def stamp(_ctx: dict[str, Any]) -> int:
    return time.monotonic_ns()


async def hook(ctx: dict[str, Any], *, url: str, body: str) -> int:
    data = body.encode()
    return (await ctx["http"].post(url, content=data, headers=signed(data))).status_code


async def startup(ctx: dict[str, Any]) -> None:
    ctx["http"] = httpx.AsyncClient(timeout=30)


queue = RedisQueue(Redis.from_url(URL, max_connections=100 + 2 * SLOTS), max_concurrent_ops=CALLERS)
settings = {"queue": queue, "functions": [noop, stamp, hook], "concurrency": SLOTS, "startup": startup}


class Client:
    many = None

    async def open(self) -> None:
        await queue.connect()

    async def one(self, task: str, args: Sequence[Any], delay: float) -> Job | None:
        named: dict[str, Any] = dict(zip(("url", "body"), args, strict=False))
        if delay:
            named["scheduled"] = int(time.time() + delay)  # noqa: TID251 - as SAQ wants it
        return await queue.enqueue(task, **named)

    async def call(self, task: str) -> Any:
        job = await self.one(task, [], 0)
        if job is not None:
            await job.refresh(WAIT_S)  # waits for a push; ``apply`` looks each half second
        return job and job.result


if __name__ == "__main__":
    play(Client, ["saq", "with_saq.settings", "--quiet"])
