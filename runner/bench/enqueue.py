"""How fast a client gets jobs onto the server; no worker runs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from ..errors import RunnerError
from .loop import run
from .options import Options
from .peers import NOOP, Ours, StockArq, our_runner
from .report import Kind, Sample
from .stage import Stage
from .tasks import noop

PEER_JOBS = 4_000

FIGURES = {
    "jobs": Kind("jobs", "all, each way"),
    "one by one": Kind("jobs/s", ">= 14,000"),
    "one by one, client CPU": Kind("µs/job"),
    "one by one, server CPU": Kind("µs/job"),
    "enqueue_many": Kind("jobs/s", ">= 40,000"),
    "enqueue_many, client CPU": Kind("µs/job"),
    "enqueue_many, server CPU": Kind("µs/job"),
    "arq one by one": Kind("jobs/s"),
    "runner / arq": Kind("x", ">= 6"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Enqueue ``jobs`` with ``concurrency`` callers that each wait for their answer, and as many at a go."""
    single = _timed(stage, Ours(), options.jobs, _one_by_one(stage, options.jobs, options.concurrency))
    many = _timed(stage, Ours(), options.jobs, _at_a_go(stage, options.jobs))
    sample = {"jobs": float(options.jobs)} | _figures("one by one", single) | _figures("enqueue_many", many)
    if StockArq.name in options.versus:
        jobs = min(options.jobs, PEER_JOBS)
        theirs = _timed(stage, StockArq(), jobs, _stock(stage, jobs, options.concurrency))["rate"]
        sample |= {"arq one by one": theirs, "runner / arq": single["rate"] / theirs}
    return sample


def _timed(
    stage: Stage, peer: Ours | StockArq, jobs: int, work: Coroutine[Any, Any, tuple[float, float]]
) -> Sample:
    stage.clear()
    server_s = stage.cpu_s()
    seconds, cpu_s = run(work)
    server_s = stage.cpu_s() - server_s
    if (waiting := peer.waiting(stage)) != jobs:
        msg = f"{peer.name}: enqueued {jobs} jobs, and {waiting} wait"
        raise RunnerError(msg)
    return {"rate": jobs / seconds, "client": cpu_s / jobs * 1e6, "server": server_s / jobs * 1e6}


def _figures(name: str, found: Sample) -> Sample:
    return {
        name: found["rate"],
        f"{name}, client CPU": found["client"],
        f"{name}, server CPU": found["server"],
    }


async def _one_by_one(stage: Stage, jobs: int, concurrency: int) -> tuple[float, float]:
    runner = our_runner(stage)
    async with runner:
        return await _callers(lambda: runner.enqueue(noop), jobs, concurrency)


async def _at_a_go(stage: Stage, jobs: int) -> tuple[float, float]:
    runner = our_runner(stage)
    async with runner:
        began, cpu = time.perf_counter(), time.process_time()
        await runner.enqueue_many(noop.call() for _ in range(jobs))
        return time.perf_counter() - began, time.process_time() - cpu


async def _stock(stage: Stage, jobs: int, concurrency: int) -> tuple[float, float]:
    pool = await create_pool(RedisSettings.from_dsn(stage.url))
    try:
        return await _callers(lambda: pool.enqueue_job(NOOP), jobs, concurrency)
    finally:
        await pool.aclose()


async def _callers(once: Callable[[], Awaitable[Any]], jobs: int, concurrency: int) -> tuple[float, float]:
    """Give seconds and processor seconds of so many calls, by callers that each make one after the other."""
    left = iter(range(jobs))

    async def caller() -> None:
        for _ in left:
            await once()

    await once()
    next(left)
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return time.perf_counter() - began, time.process_time() - cpu
