"""Jobs that wait: are slots filled again as they fall free, and do 10,000 fit into one process."""

from .drain import Drained, crew
from .options import Options
from .peers import PEERS, SLEEP, Ours, Peer
from .report import Kind, Sample
from .stage import Stage

SHORT_S, LONG_S = 0.1, 1.0
IN_FLIGHT = 2
"""The second part has this many times the jobs of the first, all in flight at once."""

FIGURES = {
    "runner / ideal": Kind("x", "<= 1.25"),
    "arq / ideal": Kind("x"),
    "all in flight / ideal": Kind("x"),
    "most in flight": Kind("jobs", "all"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain jobs of 0.1 s with ``concurrency`` in flight, then twice as many of 1 s all at once."""
    jobs, slots = options.jobs, options.concurrency
    ideal_s = SHORT_S * jobs / (slots * options.processes)
    sample = {"runner / ideal": _drain(stage, Ours(), options, SHORT_S, jobs, slots).seconds / ideal_s}
    for name in options.versus:
        sample[f"{name} / ideal"] = (
            _drain(stage, PEERS[name], options, SHORT_S, jobs, slots).seconds / ideal_s
        )
    most = jobs * IN_FLIGHT
    at_once = _drain(stage, Ours(), options, LONG_S, most, most)
    return sample | {
        "all in flight / ideal": at_once.seconds / LONG_S,
        "most in flight": at_once.most_running,
    }


def _drain(stage: Stage, peer: Peer, options: Options, seconds: float, jobs: int, slots: int) -> Drained:
    with crew(stage, peer, max_jobs=slots, processes=options.processes) as workers:
        workers.enqueue(SLEEP, (seconds,), jobs)
        drained = workers.drain(count=jobs)
        workers.check_results(jobs)
        return drained
