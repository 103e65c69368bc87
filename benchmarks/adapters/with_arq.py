"""arq: ``arq WorkerSettings``, hiredis, uvloop, 100 jobs at once, a poll each 10 ms, quiet logs.

With its own default of a poll each 500 ms a queue is drained by at most 1,000 jobs a second, and an idle
start takes 250 ms. Results are kept 1 h.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job
from wire import SLOTS, URL, WAIT_S, play, ran, signed

uvloop.install()
POLL_S = 0.01
QUIET = {"version": 1, "disable_existing_loggers": False, "loggers": {"arq": {"level": "WARNING"}}}


async def noop(_ctx: dict[Any, Any]) -> int:
    ran()
    return 1


async def stamp(_ctx: dict[Any, Any]) -> int:
    return time.monotonic_ns()


async def hook(ctx: dict[Any, Any], url: str, body: str) -> int:
    data = body.encode()
    return (await ctx["http"].post(url, content=data, headers=signed(data))).status_code


async def startup(ctx: dict[Any, Any]) -> None:
    ctx["http"] = httpx.AsyncClient(timeout=30)


class Client:
    many = None

    async def open(self) -> None:
        self.pool = await create_pool(RedisSettings.from_dsn(URL))

    async def one(self, task: str, args: Sequence[Any], delay: float) -> Job | None:
        return await self.pool.enqueue_job(task, *args, _defer_by=timedelta(seconds=delay) if delay else None)

    async def call(self, task: str) -> Any:
        job = await self.one(task, [], 0)
        return await job.result(WAIT_S, poll_delay=POLL_S) if job else None


class WorkerSettings:
    functions = (noop, stamp, hook)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = SLOTS
    poll_delay = POLL_S
    on_startup = startup


if __name__ == "__main__":
    play(Client, ["arq", "with_arq.WorkerSettings", "--custom-log-dict", "with_arq.QUIET"])
