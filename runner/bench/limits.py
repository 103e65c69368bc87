"""What limits and tenants cost jobs that do nothing: the same jobs without any, and with each, in turn."""

from itertools import pairwise
from statistics import fmean

from ..tasks import Task
from .drain import Crew, Drained, crew
from .loop import run
from .options import Options
from .peers import Ours, our_runner
from .report import Kind, Sample
from .stage import Stage
from .tasks import blocked, full, gated, plain, rated, tenanted

TENANTS = 10_000
PARKED = 5
"""So many jobs wait behind a full gate for each that is drained beside them."""

KINDS = {"rate limit": rated, "concurrency": gated, "full gate": full, "tenants": tenanted}

REACH = {"rate limit": ">= 0.85", "concurrency": ">= 0.9", "tenants": ">= 0.8, 10,000 of them"}

FIGURES = {
    "plain": Kind("jobs/s"),
    **{name: Kind("jobs/s") for name in KINDS},
    "beside parked": Kind("jobs/s"),
    **{f"{name} / plain": Kind("x", REACH.get(name, "")) for name in KINDS},
    "beside parked / plain": Kind("x", ">= 0.9, five parked a job"),
    **{f"{name} CPU / plain": Kind("x") for name in (*KINDS, "beside parked")},
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain a queue of each kind with the same workers, plain jobs around it; last, plain ones beside parked.

    A kind is compared with its plain neighbours: machines change their speed within seconds.
    """
    jobs = options.jobs
    with crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes) as workers:
        plains = [_drained(workers, plain, jobs)]
        drained: dict[str, Drained] = {}
        for name, each in KINDS.items():
            drained[name] = _drained(workers, each, jobs)
            plains.append(_drained(workers, plain, jobs))
        run(_enqueue(stage, blocked, PARKED * jobs))
        drained["beside parked"] = _drained(workers, plain, jobs, beside=PARKED * jobs)
        workers.check_results((len(drained) + len(plains)) * jobs)
    sample = {"plain": fmean(each.rate for each in plains)}
    for (name, each), around in zip(drained.items(), [*pairwise(plains), plains[-1:]], strict=True):
        sample |= {
            name: each.rate,
            f"{name} / plain": each.rate / fmean(near.rate for near in around),
            f"{name} CPU / plain": _cpu_s(each) / fmean(_cpu_s(near) for near in around),
        }
    return sample


def _drained(workers: Crew, task: Task[[int], None], jobs: int, *, beside: int = 0) -> Drained:
    run(_enqueue(workers.stage, task, jobs))
    workers.stage.rest()
    return workers.drain(count=jobs + beside, leave=beside)


def _cpu_s(drained: Drained) -> float:
    return drained.server_cpu_s + (drained.worker_cpu_s or 0)


async def _enqueue(stage: Stage, task: Task[[int], None], jobs: int) -> None:
    async with our_runner(stage) as runner:
        await runner.enqueue_many(task.call(number % TENANTS) for number in range(jobs))
