"""An idle worker: how long a job takes to start, and its result to arrive at whoever waits for it."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

from ..app import Runner
from ..wire import deserialize, serialize
from .drain import crew
from .loop import run
from .options import Options
from .peers import STAMP, Ours, StockArq, our_runner
from .report import Kind, Sample, percentile
from .stage import Stage
from .tasks import stamp

PEER_JOBS = 30
"""What stock arq is given at most: each job waits for its half-second poll twice."""
LONGEST_PAUSE_S = 0.02
WARM = 20
LISTEN_S = 30.0
"""How long an idle worker is listened to, at most; its slowest habits have a period of 30 s."""

FIGURES = {
    "enqueue to start, p50": Kind("ms", "<= 1.5"),
    "enqueue to start, p99": Kind("ms", "<= 5"),
    "enqueue to result, p50": Kind("ms", "<= 3"),
    "enqueue to result, p99": Kind("ms", "<= 8"),
    "by an arq client: to start, p50": Kind("ms", "<= 3"),
    "by an arq client: to start, p99": Kind("ms", "<= 10"),
    "arq: enqueue to start, p50": Kind("ms"),
    "arq: enqueue to start, p99": Kind("ms"),
    "arq: enqueue to result, p50": Kind("ms"),
    "idle worker, commands": Kind("1/s", "<= 1"),
}

Once = Callable[[], Awaitable[int]]
"""Enqueues a job, waits for its result, and gives the ns of the machine's clock at which it started."""


def measure(stage: Stage, options: Options) -> Sample:
    """Enqueue single jobs to an idle worker, with pauses between, and listen to an idle one for a while."""
    with crew(stage, Ours(), max_jobs=options.concurrency) as workers:
        for worker in workers.workers:
            worker.let_go()
        sample = run(_ours(stage, options.jobs))
        idle_s = min(LISTEN_S, options.jobs / 10)
        sample["idle worker, commands"] = stage.commands(seconds=idle_s) / idle_s
    if StockArq.name in options.versus:
        with crew(stage, StockArq(), max_jobs=options.concurrency) as workers:
            workers.workers[0].let_go()
            sample |= run(_stock(stage, min(options.jobs, PEER_JOBS)))
    return sample


async def _ours(stage: Stage, jobs: int) -> Sample:
    runner = our_runner(stage)
    settings = RedisSettings.from_dsn(stage.url)
    async with runner:
        pool = await create_pool(settings, job_serializer=serialize, job_deserializer=deserialize)

        async def ours() -> int:
            return await (await runner.enqueue(stamp)).result(10)

        try:
            await times(ours, WARM)
            starts, results = await times(ours, jobs)
            theirs, _ = await times(lambda: _by_arq(pool, runner), jobs)
        finally:
            await pool.aclose()
    return (
        _percentiles("enqueue to start", starts)
        | _percentiles("enqueue to result", results)
        | _percentiles("by an arq client: to start", theirs)
    )


async def _by_arq(pool: ArqRedis, runner: Runner) -> int:
    job = await pool.enqueue_job(STAMP)
    return 0 if job is None else await runner.job(job.job_id).result(10)


async def _stock(stage: Stage, jobs: int) -> Sample:
    pool = await create_pool(RedisSettings.from_dsn(stage.url))

    async def once() -> int:
        job = await pool.enqueue_job(STAMP)
        return 0 if job is None else await job.result(10)  # polls every half second, as it comes

    try:
        starts, results = await times(once, jobs)
    finally:
        await pool.aclose()
    return _percentiles("arq: enqueue to start", starts) | {
        "arq: enqueue to result, p50": percentile(results, 0.5),
    }


async def times(once: Once, jobs: int) -> tuple[list[float], list[float]]:
    """Give ms to the start and ms to the result, of jobs one after the other."""
    starts: list[float] = []
    results: list[float] = []
    for _ in range(jobs):
        await asyncio.sleep(random.random() * LONGEST_PAUSE_S)
        began = time.monotonic_ns()
        started = await once()
        results.append((time.monotonic_ns() - began) / 1e6)
        starts.append((started - began) / 1e6)
    return starts, results


def _percentiles(name: str, values: list[float]) -> Sample:
    return {f"{name}, p50": percentile(values, 0.5), f"{name}, p99": percentile(values, 0.99)}
