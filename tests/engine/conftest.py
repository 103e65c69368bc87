"""A worker of ours on the test's own database, and a short way to enqueue and look.

`Yard` is what most tests here need: `await yard.put(task, *args)` enqueues, `yard.worker(task, …)` builds,
`await yard.drain(task, …)` runs in burst mode to the end, `async with yard.serving(task, …)` serves
meanwhile. `Fleet` starts worker processes that may be killed.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis

from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.tasks import Task
from runner.wire import deserialize, serialize
from runner.wire.codec import Meta, encode_job
from runner.wire.keys import Keys, keys_of
from runner.wire.scripts import Entry, Scripts


class Yard:
    """One database, its queues, and the workers of one test."""

    def __init__(self, url: str, redis: Redis) -> None:
        self.url = url
        self.redis = redis
        self.keys = keys_of("default")
        self.scripts = Scripts(redis.execute_command)
        self._ids = (f"j{n}" for n in itertools.count(1))

    def pool(self) -> ArqRedis:
        return ArqRedis(
            ConnectionPool.from_url(self.url), job_serializer=serialize, job_deserializer=deserialize
        )

    async def put(
        self,
        task: Task[..., Any] | str,
        *args: Any,
        job_id: str = "",
        delay_ms: int = 0,
        queue: str = "default",
        expires_at_ms: int = 0,
    ) -> str:
        name = task if isinstance(task, str) else task.name
        job_id = job_id or next(self._ids)
        payload = encode_job(name, args, {}, time.time_ns() // 1_000_000, Meta(x=expires_at_ms))
        assert await self.scripts.enqueue(keys_of(queue), [Entry(job_id, 0, delay_ms, payload)]) == [True]
        return job_id

    def worker(
        self, *tasks: Any, burst: bool = False, options: dict[str, Any] | None = None, **arq: Any
    ) -> Worker:
        functions = [function_of(each) if isinstance(each, Task) else each for each in tasks]
        engine = EngineOptions(speaks_json=True, **(options or {}))
        arq = {"max_jobs": 100, "poll_delay": 0.01, **arq}
        return Worker(
            functions,
            redis_pool=self.pool(),
            burst=burst,
            handle_signals=False,
            engine=engine,
            job_serializer=serialize,
            job_deserializer=deserialize,
            **arq,
        )

    async def drain(self, *tasks: Any, options: dict[str, Any] | None = None, **arq: Any) -> Worker:
        """Run in burst mode until nothing is left."""
        worker = self.worker(*tasks, burst=True, options=options, **arq)
        await worker.main()
        await worker.close()
        return worker

    @contextlib.asynccontextmanager
    async def serving(
        self, *tasks: Any, options: dict[str, Any] | None = None, **arq: Any
    ) -> AsyncIterator[Worker]:
        """Serve while the block runs, then stop as at a signal."""
        worker = self.worker(*tasks, options=options, **arq)
        serving = asyncio.ensure_future(worker.async_run())
        try:
            yield worker
        finally:
            worker.handle_sig(15)
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            await worker.close()

    async def result(self, job_id: str) -> dict[str, Any] | None:
        found = await self.redis.get(self.keys.result(job_id))
        return None if found is None else json.loads(found)

    async def history(self, job_id: str) -> dict[str, Any]:
        """The record of a job that had trouble, texts decoded."""
        return {
            k.decode(): v.decode() for k, v in (await self.redis.hgetall(self.keys.record(job_id))).items()
        }

    async def letter(self, job_id: str) -> dict[str, Any]:
        """A dead letter, texts decoded; empty when there is none."""
        found = await self.redis.hgetall(self.keys.dead_letter(job_id))
        return {k.decode(): v if k == b"payload" else v.decode() for k, v in found.items()}

    async def state(self, job_id: str, keys: Keys | None = None) -> str:
        """succeeded, failed, cancelled, dead, running, waiting or gone, read off the keys."""
        keys = keys or self.keys
        if await self.redis.exists(keys.dead_letter(job_id)):
            return "dead"
        if (result := await self.result(job_id)) is not None:
            return "succeeded" if result["s"] else result.get("o", "failed")
        if await self.redis.hexists(keys.running, job_id):
            return "running"
        return "waiting" if await self.redis.zscore(keys.queue, job_id) is not None else "gone"

    async def leftovers(self) -> list[str]:
        """Keys that neither hold a result nor a dead letter: nothing of them may outlive the jobs."""
        kept = ("arq:result:", "runner:dead:", "runner:default:dead")
        return sorted(k.decode() for k in await self.redis.keys("*") if not k.decode().startswith(kept))

    async def leftovers_of_jobs(self) -> list[str]:
        """The same without what a serving worker says of itself."""
        return [
            key for key in await self.leftovers() if not key.startswith(("runner:worker", "arq:queue:health"))
        ]


@pytest.fixture
async def yard(redis_url: str, redis: Redis) -> Yard:
    return Yard(redis_url, redis)


class Fleet:
    """Real worker processes over one server, and the ledger they write."""

    def __init__(self, url: str, folder: Path, forks: Any) -> None:
        self.url = url
        self.forks = forks
        self.ledger = folder / "ledger"
        self.ledger.touch()
        self.log = folder / "workers.log"
        self.workers: dict[str, BaseProcess] = {}
        self._numbers = itertools.count(1)

    def start(self, *, lease_s: float, max_jobs: int = 10, grace_s: int = 0) -> str:
        """Start one more worker; gives its name."""
        name = f"w{next(self._numbers)}"
        arguments = [self.url, name, str(lease_s), str(max_jobs), str(self.ledger), str(grace_s)]
        script = Path(__file__).with_name("fleet.py")
        self.workers[name] = self.forks.start(script, *arguments, log=self.log)
        return name

    def send(self, name: str, sig: signal.Signals) -> None:
        os.kill(self.workers[name].pid or 0, sig)

    def kill9(self, name: str) -> None:
        self.forks.end(self.workers.pop(name))

    def reap(self) -> list[str]:
        """Names of the workers that have ended, taken off the list."""
        ended = [name for name, process in self.workers.items() if process.exitcode is not None]
        for name in ended:
            del self.workers[name]
        return ended

    def end(self) -> None:
        for name in list(self.workers):
            self.kill9(name)

    def events(self) -> "list[Event]":
        *whole, _ = self.ledger.read_text().split("\n")  # the last one may be read while it is being written
        return [Event.read(line) for line in whole]


class Event(NamedTuple):
    """A line of the ledger."""

    what: str
    job: str
    attempt: int
    fence: int
    worker: str
    at_s: float

    @classmethod
    def read(cls, line: str) -> "Event":
        what, job, attempt, fence, worker, at_s = line.split(" ")
        return cls(what, job, int(attempt), int(fence), worker, float(at_s))


@pytest.fixture
def fleet(redis_url: str, tmp_path: Path, forks: Any) -> Iterator[Fleet]:
    made = Fleet(redis_url, tmp_path, forks)
    yield made
    made.end()
