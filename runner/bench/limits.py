"""What limits and tenants cost jobs that do nothing: the same jobs without any, and with each, in turn."""

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
    """Drain a queue of each kind with the same workers; plain jobs before, after, and beside parked ones."""
    drained: dict[str, Drained] = {}
    with crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes) as workers:
        before = _drained(workers, plain, options.jobs)
        for name, each in KINDS.items():
            drained[name] = _drained(workers, each, options.jobs)
        after = _drained(workers, plain, options.jobs)
        parked = PARKED * options.jobs
        run(_enqueue(stage, blocked, parked))
        drained["beside parked"] = _drained(workers, plain, options.jobs, beside=parked)
        workers.check_results((len(drained) + 2) * options.jobs)
    rate, cpu_s = (before.rate + after.rate) / 2, (_cpu_s(before) + _cpu_s(after)) / 2
    sample = {"plain": rate}
    for name, each in drained.items():
        sample |= {
            name: each.rate,
            f"{name} / plain": each.rate / rate,
            f"{name} CPU / plain": _cpu_s(each) / cpu_s,
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
