"""What it costs to run once for a key, and one at a time: the same no-ops, with and without; and payments.

Every job has a key and a lock of its own: nobody waits, so this is the price of asking. One worker drains all
kinds in turns, a slice of each: what slows this machine for a moment hits them alike.
"""

from collections.abc import Mapping, Sequence
from itertools import count
from statistics import median

from . import payments
from .drain import Drained, crew
from .loop import run
from .options import Options
from .peers import Ours, our_runner
from .report import Kind, Sample
from .stage import Stage

PAYMENTS = 1_000
SLICES = 8
"""Of the jobs of each kind; what is told are medians over them."""
PLAIN = "plain"
TASKS = {PLAIN: "bench_plain", "lock": "bench_lock", "idempotency": "bench_once", "both": "bench_both"}

FIGURES = {
    "jobs": Kind("jobs of each kind", "all"),
    **{f"{name} worker CPU": Kind("µs/job") for name in TASKS},
    **{f"{name} server CPU": Kind("µs/job") for name in TASKS},
    **{f"{name} rate": Kind("jobs/s") for name in TASKS},
    "lock / plain, worker": Kind("x", "<= 1.15"),
    "lock / plain, server": Kind("x"),
    "lock / plain, both CPUs": Kind("x", "<= 1.15"),
    "idempotency / plain, worker": Kind("x", "<= 1.15"),
    "idempotency / plain, server": Kind("x"),
    "idempotency / plain, both CPUs": Kind("x", "<= 1.15"),
    "both / plain, worker": Kind("x"),
    "both / plain, server": Kind("x"),
    "both / plain, both CPUs": Kind("x"),
    **payments.FIGURES,
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain the four kinds in turns, and take a thousand payments (fewer when fewer jobs are asked for)."""
    slices = _slices(stage, options)
    sample: Sample = {"jobs": float(sum(each.jobs for each in slices[PLAIN]))}
    for name, drained in slices.items():
        told = [each.sample(name) for each in drained]
        sample |= {what: median(each[what] for each in told) for what in told[0] if what in FIGURES}
        if name != PLAIN:
            pairs = [_ratios(name, *pair) for pair in zip(drained, slices[PLAIN], strict=True)]
            sample |= {what: median(each[what] for each in pairs) for what in pairs[0]}
    number = min(PAYMENTS, options.jobs)
    return sample | payments.measure(stage, Options(number, number))


def _slices(stage: Stage, options: Options) -> Mapping[str, list[Drained]]:
    slices: dict[str, list[Drained]] = {name: [] for name in TASKS}
    jobs, numbers = max(1, options.jobs // SLICES), count()
    with crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes) as workers:
        workers.warmed = 0
        for name, task in [*TASKS.items()] * SLICES:
            stage.clear()
            run(_enqueue(stage, task, [next(numbers) for _ in range(jobs)]))
            stage.rest()
            slices[name].append(workers.drain(count=jobs))
            workers.check_results(jobs)
    return slices


async def _enqueue(stage: Stage, name: str, numbers: Sequence[int]) -> None:
    """Enqueue a call of a task for each number."""
    runner = our_runner(stage)
    task = next(known for known in runner.registry if known.name == name)
    async with runner:
        await runner.enqueue_many(task.call(number) for number in numbers)


def _ratios(name: str, drained: Drained, plain: Drained) -> Sample:
    ratios = {f"{name} / plain, server": drained.server_cpu_s / plain.server_cpu_s}
    if drained.worker_cpu_s and plain.worker_cpu_s:
        ratios[f"{name} / plain, worker"] = drained.worker_cpu_s / plain.worker_cpu_s
        together = drained.worker_cpu_s + drained.server_cpu_s
        ratios[f"{name} / plain, both CPUs"] = together / (plain.worker_cpu_s + plain.server_cpu_s)
    return ratios
