"""Short jobs, alone and beside others that crash, loop, leak and block: how long the short ones take.

Trouble never ends meanwhile: of each kind one job is always waiting or running. What loops has the cores that
the innocents need, too. They are unharmed when their p99 beside it is at most twice their p99 alone, in the
same run, and at most what an idle worker promises.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from ..app import Runner
from ..errors import JobFailed, RunnerError
from ..tasks import Task
from .drain import crew
from .latency import WARM, times
from .loop import run
from .options import Options
from .peers import Ours, our_runner
from .report import Kind, Sample, percentile
from .stage import Stage
from .tasks import blocks, crashes, leaks, loops, stamp

TROUBLE = (crashes, loops, leaks, blocks)

FIGURES = {
    "alone, p50": Kind("ms"),
    "alone, p99": Kind("ms"),
    "beside trouble, p50": Kind("ms"),
    "beside trouble, p99": Kind("ms", "<= 8, as of an idle worker"),
    "beside / alone, p50": Kind("x"),
    "beside / alone, p99": Kind("x", "<= 2"),
    **{f"{task.name.removeprefix('bench_')} meanwhile": Kind("jobs") for task in TROUBLE},
}


class _Bounded(Ours):
    """We, with a bound to what a process may take."""

    def environment(self, stage: Stage, max_jobs: int) -> Mapping[str, str]:
        return {**super().environment(stage, max_jobs), "RUNNER_WORKER__ISOLATION_MEMORY": "256MiB"}


def measure(stage: Stage, options: Options) -> Sample:
    """Enqueue single jobs, with pauses between, and wait for their results."""
    with crew(stage, _Bounded(), max_jobs=options.concurrency) as workers:
        workers.workers[0].let_go()
        return run(_measure(stage, options.jobs))


async def _measure(stage: Stage, jobs: int) -> Sample:
    met: dict[str, int] = {f"{task.name.removeprefix('bench_')} meanwhile": 0 for task in TROUBLE}

    async with our_runner(stage) as runner:

        async def once() -> int:
            return await (await runner.enqueue(stamp)).result(10)

        await times(once, WARM)
        _, alone = await times(once, jobs)
        making = [asyncio.create_task(_make(runner, task, met)) for task in TROUBLE]
        while not all(met.values()):
            await asyncio.sleep(0.05)
            if ended := [each for each in making if each.done()]:
                ended[0].result()
        _, beside = await times(once, jobs)
        for each in making:
            each.cancel()
        await asyncio.gather(*making, return_exceptions=True)
    return _compared(alone, beside) | {name: float(count) for name, count in met.items()}


def _compared(alone: list[float], beside: list[float]) -> Sample:
    sample: Sample = {}
    for name, share in {"p50": 0.5, "p99": 0.99}.items():
        before, meanwhile = percentile(alone, share), percentile(beside, share)
        sample[f"alone, {name}"] = before
        sample[f"beside trouble, {name}"] = meanwhile
        sample[f"beside / alone, {name}"] = meanwhile / before
    return sample


async def _make(runner: Runner, task: Task[..., Any], met: dict[str, int]) -> None:
    """Enqueue one after the other, whatever becomes of them.

    Raises:
        RunnerError: a job that cannot end well did.
    """
    while True:
        job = await runner.enqueue(task)
        try:
            await job.result(30)
        except JobFailed:
            pass
        else:
            if task is not blocks:
                msg = f"{task.name} ended well"
                raise RunnerError(msg)
        met[f"{task.name.removeprefix('bench_')} meanwhile"] += 1
