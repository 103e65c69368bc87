"""streaQ: ``streaq run worker``, coredis, uvloop by its own switch, 100 at once and as many prefetched."""

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
from streaq import Worker
from streaq.task import Task
from wire import SLOTS, URL, WAIT_S, play, ran, signed


@asynccontextmanager
async def lifespan() -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as http:
        yield http


worker = Worker(redis_url=URL, concurrency=SLOTS, lifespan=lifespan, anyio_kwargs={"use_uvloop": True})


@worker.task(silent=True)
async def noop() -> int:
    ran()
    return 1


@worker.task(silent=True)
async def stamp() -> int:
    return time.monotonic_ns()


@worker.task(silent=True)
async def hook(url: str, body: str) -> int:
    data = body.encode()
    return (await worker.context.post(url, content=data, headers=signed(data))).status_code


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": hook}


def call(task: str, args: Sequence[Any], delay: float) -> Task[Any, Any]:
    called = TASKS[task].enqueue(*args)
    return called.start(delay=timedelta(seconds=delay)) if delay else called


class Client:
    async def open(self) -> None:
        await worker.__aenter__()

    async def one(self, task: str, args: Sequence[Any], delay: float) -> Task[Any, Any]:
        return await call(task, args, delay)

    async def many(self, task: str, args: Sequence[Any], count: int, delay: float) -> None:
        await worker.enqueue_many([call(task, args, delay) for _ in range(count)])

    async def call(self, task: str) -> Any:
        return (await (await self.one(task, [], 0)).result(WAIT_S)).result


if __name__ == "__main__":
    play(Client, ["streaq", "run", "with_streaq:worker"])
