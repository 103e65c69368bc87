"""Jobs that do nothing: what a runner itself costs. Results are kept."""

from .drain import Drained, crew
from .options import Options
from .peers import NOOP, PEERS, Ours, Peer
from .report import Kind, Sample
from .stage import Stage

PEER_JOBS = 3_000
"""What a slower library is given at most: its rate does not depend on the number."""

FIGURES = {
    "runner jobs": Kind("jobs", "all"),
    "runner rate": Kind("jobs/s", "about 10,000"),
    "runner worker CPU": Kind("µs/job", "<= 60"),
    "runner server CPU": Kind("µs/job", "<= 35"),
    "arq rate": Kind("jobs/s"),
    "arq worker CPU": Kind("µs/job"),
    "arq server CPU": Kind("µs/job"),
    "runner / arq": Kind("x", ">= 12"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain a queue of no-ops, by us and by whom we are compared with."""
    ours = _drain(stage, Ours(), options, options.jobs)
    sample = ours.sample(Ours.name)
    for name in options.versus:
        theirs = _drain(stage, PEERS[name], options, min(options.jobs, PEER_JOBS))
        sample |= theirs.sample(name) | {f"{Ours.name} / {name}": ours.rate / theirs.rate}
    return sample


def _drain(stage: Stage, peer: Peer, options: Options, jobs: int) -> Drained:
    with crew(stage, peer, max_jobs=options.concurrency, processes=options.processes) as workers:
        workers.enqueue(NOOP, (), jobs)
        drained = workers.drain(count=jobs)
        workers.check_results(jobs)
        return drained
