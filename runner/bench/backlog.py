"""Whether a queue that is long is slower than one that is short, and what its jobs cost the server."""

from contextlib import AbstractContextManager

from ..wire.codec import Meta, encode_job
from .drain import Crew, crew
from .loop import run
from .options import Options
from .peers import NOOP, Ours, our_runner
from .report import Kind, Sample
from .stage import Stage
from .tasks import noop

SHORT = 100
"""The short queue has a hundredth of the long one's jobs, and twice as many are drained."""
LATER_S = 86_400

FIGURES = {
    "short queue": Kind("jobs/s"),
    "long queue, due": Kind("jobs/s"),
    "long queue, future": Kind("jobs/s"),
    "due long / short": Kind("x", ">= 0.85"),
    "future long / short": Kind("x", ">= 0.85"),
    "server memory": Kind("B/job", "<= 600, payload apart"),
    "worker memory, short": Kind("MB"),
    "worker memory, long": Kind("MB", "as short"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain some jobs out of a short queue, out of a long one, and beside as many that are due tomorrow."""
    few = max(1, options.jobs // SHORT)
    drained = 2 * few
    with _crew(stage, options) as workers:
        workers.enqueue(NOOP, (), drained)
        short = workers.drain(count=drained).rate
        short_memory = workers.rss_bytes()
    with _crew(stage, options) as workers:
        before = stage.memory()
        workers.enqueue(NOOP, (), options.jobs)
        memory = (stage.memory() - before) / options.jobs - len(encode_job(NOOP, (), {}, 1 << 40, Meta()))
        due = workers.drain(count=options.jobs, leave=options.jobs - min(drained, options.jobs)).rate
        long_memory = workers.rss_bytes()
    with _crew(stage, options) as workers:
        run(_enqueue_later(stage, options.jobs))
        workers.peer.enqueue(stage, NOOP, (), drained)
        stage.rest()
        future = workers.drain(count=options.jobs + drained, leave=options.jobs).rate
    return {
        "short queue": short,
        "long queue, due": due,
        "long queue, future": future,
        "due long / short": due / short,
        "future long / short": future / short,
        "server memory": memory,
        "worker memory, short": short_memory / 1e6,
        "worker memory, long": long_memory / 1e6,
    }


def _crew(stage: Stage, options: Options) -> AbstractContextManager[Crew]:
    return crew(stage, Ours(), max_jobs=options.concurrency, processes=options.processes)


async def _enqueue_later(stage: Stage, jobs: int) -> None:
    runner = our_runner(stage)
    later = noop.using(delay=LATER_S)
    async with runner:
        await runner.enqueue_many(later.call() for _ in range(jobs))
