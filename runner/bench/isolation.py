"""Jobs that do nothing, in the event loop, in threads and in warm processes: what leaving the loop costs.

One at a time, in turns, so that the difference is what a job waits for longer; nothing of it is hidden by
others that run meanwhile.
"""

from collections.abc import Mapping
from statistics import median

from .drain import Drained, crew
from .options import Options
from .peers import Ours
from .report import Kind, Sample
from .stage import Stage

SLICES = 5
LOOP = "loop"
TASKS = {LOOP: "bench_noop", "thread": "bench_thread", "process": "bench_process"}

FIGURES = {
    "jobs": Kind("jobs of each kind", "all"),
    **{f"{name} time": Kind("ms/job") for name in TASKS},
    "thread - loop": Kind("ms/job"),
    "process - loop": Kind("ms/job", "< 1"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain the kinds in turns."""
    slices = _slices(stage, options)
    sample: Sample = {"jobs": float(sum(each.jobs for each in slices[LOOP]))}
    times = {name: median(1000 / each.rate for each in drained) for name, drained in slices.items()}
    sample |= {f"{name} time": time for name, time in times.items()}
    return sample | {f"{name} - loop": times[name] - times[LOOP] for name in TASKS if name != LOOP}


def _slices(stage: Stage, options: Options) -> Mapping[str, list[Drained]]:
    slices: dict[str, list[Drained]] = {name: [] for name in TASKS}
    jobs = max(1, options.jobs // SLICES)
    with crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes) as workers:
        workers.warmed = 0
        for task in TASKS.values():  # the first call starts the process
            stage.clear()
            workers.enqueue(task, (), 1)
            workers.drain(count=1)
        for name, task in [*TASKS.items()] * SLICES:
            stage.clear()
            workers.enqueue(task, (), jobs)
            slices[name].append(workers.drain(count=jobs))
            workers.check_results(jobs)
    return slices
