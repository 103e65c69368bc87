"""What limits and tenants cost jobs that do nothing: the same jobs without any, and with each, in turn."""

from ..tasks import Task
from .drain import crew
from .loop import run
from .options import Options
from .peers import Ours, our_runner
from .report import Kind, Sample
from .stage import Stage
from .tasks import full, gated, plain, rated, tenanted

TENANTS = 10_000

KINDS = {"rate limit": rated, "concurrency": gated, "full gate": full, "tenants": tenanted}

FIGURES = {
    "plain": Kind("jobs/s"),
    "rate limit": Kind("jobs/s"),
    "concurrency": Kind("jobs/s"),
    "full gate": Kind("jobs/s"),
    "tenants": Kind("jobs/s"),
    "rate limit / plain": Kind("x", ">= 0.85"),
    "concurrency / plain": Kind("x", ">= 0.9"),
    "full gate / plain": Kind("x"),
    "tenants / plain": Kind("x", ">= 0.8, 10,000 of them"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain a queue of each."""
    sample: Sample = {"plain": _rate(stage, options, plain)}
    for name, each in KINDS.items():
        sample[name] = _rate(stage, options, each)
        sample[f"{name} / plain"] = sample[name] / sample["plain"]
    return sample


def _rate(stage: Stage, options: Options, task: Task[[int], None]) -> float:
    with crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes) as workers:
        run(_enqueue(stage, task, options.jobs))
        stage.rest()
        drained = workers.drain(count=options.jobs)
        workers.check_results(options.jobs)
        return drained.rate


async def _enqueue(stage: Stage, task: Task[[int], None], jobs: int) -> None:
    async with our_runner(stage) as runner:
        await runner.enqueue_many(task.call(number % TENANTS) for number in range(jobs))
