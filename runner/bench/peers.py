"""Who is measured. Another library takes part by a class like these two, and a row in PEERS."""

import asyncio
import base64
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from arq import create_pool
from arq.connections import RedisSettings

from ..app import Runner
from ..settings import RedisGroup, Settings
from ..tasks import Call
from ..wire.keys import keys_of
from .loop import run
from .stage import Stage

TASKS = ("runner.bench.tasks", "jobs.webhook")
SECRET = "whsec_" + base64.b64encode(b"a secret of the bench's, 32 byte").decode()
NOOP, SLEEP, STAMP, WEBHOOK = "bench_noop", "bench_sleep", "bench_stamp", "send_webhook"


class Peer(Protocol):
    """A job runner in a bench."""

    name: str

    def command(self) -> list[str]:
        """Give what follows ``python -m`` to run a worker."""
        ...

    def environment(self, stage: Stage, max_jobs: int) -> Mapping[str, str]:
        """Give the variables by which a worker knows its server and its limits."""
        ...

    def enqueue(self, stage: Stage, task: str, args: tuple[Any, ...], count: int) -> None:
        """Enqueue that many calls of one of the tasks above; come back when all are on the server."""
        ...

    def waiting(self, stage: Stage) -> int:
        """Count the jobs that have not ended."""
        ...


class Ours:
    """We, as ``arq runner.WorkerSettings``."""

    name = "runner"

    def command(self) -> list[str]:
        return ["arq", "runner.WorkerSettings"]

    def environment(self, stage: Stage, max_jobs: int) -> Mapping[str, str]:
        return {
            "RUNNER_REDIS__URL": stage.url,
            "RUNNER_TASKS": ",".join(TASKS),
            "RUNNER_WORKER__MAX_JOBS": str(max_jobs),
            "RUNNER_WEBHOOKS__ALLOW": "127.0.0.0/8",
            "RUNNER_WEBHOOKS__SECRETS__BENCH": SECRET,
            "RUNNER_WEBHOOKS__DEFAULT_SECRET": "bench",
        }

    def enqueue(self, stage: Stage, task: str, args: tuple[Any, ...], count: int) -> None:
        run(self._enqueue(stage, task, args, count))

    async def _enqueue(self, stage: Stage, task: str, args: tuple[Any, ...], count: int) -> None:
        runner = self.runner(stage)
        known = next(known for known in runner.registry if known.name == task)
        calls: Iterator[Call[Any]] = (known.call(*args) for _ in range(count))
        async with runner:
            await runner.enqueue_many(calls)

    def runner(self, stage: Stage) -> Runner:
        """Make what enqueues."""
        return our_runner(stage)

    def waiting(self, stage: Stage) -> int:
        return stage.redis.zcard(keys_of("default").queue)


class StockArq:
    """arq as it comes."""

    name = "arq"

    def command(self) -> list[str]:
        return ["arq", "runner.bench.stock_arq.WorkerSettings"]

    def environment(self, stage: Stage, max_jobs: int) -> Mapping[str, str]:
        return {"BENCH_URL": stage.url, "BENCH_MAX_JOBS": str(max_jobs)}

    def enqueue(self, stage: Stage, task: str, args: tuple[Any, ...], count: int) -> None:
        run(self._enqueue(stage, task, args, count))

    async def _enqueue(self, stage: Stage, task: str, args: tuple[Any, ...], count: int) -> None:
        pool = await create_pool(RedisSettings.from_dsn(stage.url))
        calls = (pool.enqueue_job(task, *args) for _ in range(count))
        try:
            while some := list(islice(calls, 50)):
                await asyncio.gather(*some)
        finally:
            await pool.aclose()

    def waiting(self, stage: Stage) -> int:
        return stage.redis.zcard("arq:queue")


PEERS: dict[str, Peer] = {StockArq.name: StockArq()}
"""Whom ``--versus`` names."""


def our_runner(stage: Stage) -> Runner:
    """Make a Runner on the stage's server, with the bench's tasks."""
    return Runner(Settings(redis=RedisGroup(url=stage.url), tasks=TASKS))
