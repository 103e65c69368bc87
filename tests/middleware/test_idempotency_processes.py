"""The idempotency cache over several processes: concurrent callers, and callers that are killed."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis

from runner.wire import codec
from runner.wire.keys import keys_of
from runner.wire.link import Link
from runner.wire.scripts import Entry, Scripts

KEYS = keys_of("default")
CALLERS = 200
Start = Callable[..., BaseProcess]


@pytest.fixture
def start(redis_url: str, forks: Any) -> Iterator[Start]:
    processes: list[BaseProcess] = []

    def launch(*, lease_s: float = 15, max_jobs: int = 100) -> BaseProcess:
        script = Path(__file__).with_name("effects_process.py")
        processes.append(forks.start(script, redis_url, str(lease_s), str(max_jobs)))
        return processes[-1]

    yield launch
    for process in processes:
        forks.end(process)


@pytest.fixture
async def enqueue(redis_url: str) -> AsyncIterator[Any]:
    pool = ConnectionPool.from_url(redis_url)
    link = Link(pool)

    async def put(task: str, count: int, *args: Any, prefix: str = "job") -> None:
        payload = codec.encode_job(task, args, {}, 1, codec.Meta())
        entries = [Entry(f"{prefix} {i}", 0, 0, payload) for i in range(count)]
        await Scripts(link.execute).enqueue(KEYS, entries)

    yield put
    await link.close()
    await pool.aclose()


async def results(redis: Redis, count: int, prefix: str = "job") -> list[Any]:
    values = await redis.mget([KEYS.result(f"{prefix} {i}") for i in range(count)])
    return [json.loads(value)["r"] for value in values if value is not None]


async def test_many_callers_in_many_processes_make_one_effect(
    redis: Redis, start: Start, enqueue: Any, wait_until: Any
) -> None:
    """200 callers at the same moment in 4 processes: one effect, one answer."""
    await enqueue("through_the_cache", CALLERS)
    for _ in range(4):
        start(max_jobs=CALLERS // 4)

    async def all_ended() -> bool:
        return len(await results(redis, CALLERS)) == CALLERS

    await wait_until(all_ended, "all callers have an answer")
    assert int(await redis.get("runs")) == 1
    assert set(await results(redis, CALLERS)) == {"effect 1"}


async def test_a_killed_holder_is_recovered_with_its_steps(
    redis: Redis, start: Start, enqueue: Any, wait_until: Any
) -> None:
    """kill -9 between intent and completion: the next attempt is told, one at a time; all get its result."""
    await redis.set("hangs", 1)
    await enqueue("declared", 1, "o-17", prefix="first")
    holder = start(lease_s=1)
    await wait_until(lambda: redis.exists("stepped"), "the holder has recorded its intent")
    holder.kill()
    holder.join()
    await redis.delete("hangs")
    await redis.set("inside", 0)
    await enqueue("declared", 20, "o-17", prefix="other")
    start(lease_s=1)

    async def all_ended() -> bool:
        return len(await results(redis, 20, "other")) == 20 and len(await results(redis, 1, "first")) == 1

    await wait_until(all_ended, "every caller has an answer")
    seen = [entry.decode() for entry in await redis.lrange("seen", 0, -1)]
    assert seen == ["1 False []", "1 True [('intent', {'gateway_key': 'pay:o-17'})]"]
    answers = {*await results(redis, 20, "other"), *await results(redis, 1, "first")}
    assert len(answers) == 1
