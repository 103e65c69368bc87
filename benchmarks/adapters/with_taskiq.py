"""taskiq: its stream broker (the one that acknowledges), orjson, hiredis, uvloop; 100 at once and prefetched.

Waiting for a result is a look each 10 ms instead of each 200. A job for later needs a scheduler, a process of
its own that keeps it outside the queue: that is not measured. Results are kept 1 h.
"""

import time
from collections.abc import Sequence
from typing import Any

import httpx
from taskiq import TaskiqEvents, TaskiqState
from taskiq.serializers import ORJSONSerializer
from taskiq.task import AsyncTaskiqTask
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker
from wire import CALLERS, SLOTS, URL, WAIT_S, play, ran, signed

results: RedisAsyncResultBackend[Any] = RedisAsyncResultBackend(URL, result_ex_time=3600)
broker = (
    RedisStreamBroker(URL, max_connection_pool_size=CALLERS + 2)
    .with_result_backend(results)
    .with_serializer(ORJSONSerializer())
)
state = TaskiqState()


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def startup(_: TaskiqState) -> None:
    state.http = httpx.AsyncClient(timeout=30)


@broker.task(task_name="noop")
async def noop() -> int:
    ran()
    return 1


@broker.task(task_name="stamp")
async def stamp() -> int:
    return time.monotonic_ns()


@broker.task(task_name="hook")
async def hook(url: str, body: str) -> int:
    data = body.encode()
    return (await state.http.post(url, content=data, headers=signed(data))).status_code


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": hook}


class Client:
    many = None

    async def open(self) -> None:
        await broker.startup()

    async def one(self, task: str, args: Sequence[Any], delay: float) -> AsyncTaskiqTask[Any]:
        if delay:
            raise NotImplementedError("a job for later is kept by a scheduler of its own, not by the broker")
        return await TASKS[task].kiq(*args)

    async def call(self, task: str) -> Any:
        job = await self.one(task, [], 0)
        return (await job.wait_result(check_interval=0.01, timeout=WAIT_S)).return_value


if __name__ == "__main__":
    slots = ["--max-async-tasks", str(SLOTS), "--max-prefetch", str(SLOTS)]
    play(
        Client, ["taskiq", "worker", "with_taskiq:broker", "--workers", "1", "--log-level", "WARNING", *slots]
    )
