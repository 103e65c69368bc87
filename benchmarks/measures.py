"""One repetition of each measure of a peer."""

import contextlib
import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from dataclasses import dataclass

from .players import LOOK_S, START_S, Client, Failed, Player, Scene, client, heard, started, watch, workers

Sample = dict[str, float]
"""A value for each figure that was measured; what a library does not have is not in it."""

ENDS_AT = 0.95
"""A drain is measured until so much of it has run: how the last few are shared out is another question."""
HOOK_LOOK_S = 0.05
PATIENCE_S, REST_S = 20.0, 5.0
FILL_S = 60.0
BODY = json.dumps({"type": "order.paid", "data": "x" * 980})
WAYS = {"one": "enqueue, one caller", "callers": "enqueue, 32 callers", "many": "enqueue in bulk"}


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen at a moment."""

    at: float
    jobs: int
    worker_s: float
    server_s: float


def sight(ran: Callable[[], int], players: list[Player], scene: Scene) -> Sight:
    """Look at everything, the clock and the count first and together."""
    at, jobs = time.perf_counter(), ran()
    return Sight(at, jobs, sum(player.cpu_s() for player in players), scene.stage.cpu_s())


def between(name: str, one: Sight, two: Sight) -> Sample:
    """Give rate and costs as figures of that name."""
    jobs = two.jobs - one.jobs
    if jobs < 1:
        msg = f"{name}: too few jobs to measure"
        raise Failed(msg)
    return {
        f"{name}, jobs/s": jobs / (two.at - one.at),
        f"{name}, worker CPU": (two.worker_s - one.worker_s) / jobs * 1e6,
        f"{name}, server CPU": (two.server_s - one.server_s) / jobs * 1e6,
    }


def percentile(values: list[float], share: float) -> float:
    """Give the value that this share of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def enqueue(scene: Scene, seconds: float) -> Sample:
    """Enqueue no-ops for so long, each way; no worker runs."""
    sample: Sample = {}
    with client(scene) as asked:
        for way, name in WAYS.items():
            scene.clear()
            asked.ask(do="enqueue", way=way, count=50, seconds=5)
            server_s = scene.stage.cpu_s()
            took = asked.ask(do="enqueue", way=way, count=10**7, seconds=seconds)
            if "none" not in took:
                sample[f"{name}, jobs/s"] = took["jobs"] / took["seconds"]
                sample[f"{name}, client CPU"] = took["cpu_s"] / took["jobs"] * 1e6
                sample[f"{name}, server CPU"] = (scene.stage.cpu_s() - server_s) / took["jobs"] * 1e6
    return sample


def fill(scene: Scene, asked: Client, count: int, seconds: float = FILL_S, **more: object) -> int:
    """Enqueue, by the fastest way the library has; gives how many were in that time."""
    took = asked.ask(do="fill", count=count, seconds=seconds, **more)
    if "none" in took:
        raise Failed(took["none"])
    scene.stage.rest()
    return took["jobs"]


def drain(scene: Scene, jobs: int, processes: int, warm_s: float) -> Sample:
    """Drain no-ops by so many workers, measured from ``warm_s`` after the first until the last few."""
    scene.clear()
    with client(scene) as asked:
        jobs = fill(scene, asked, jobs)
    with workers(scene, processes) as players:
        return _measured(f"drain, {_told(processes)}", scene, players, scene.ran, jobs, warm_s, LOOK_S)


def latency(scene: Scene, count: int, seconds: float) -> Sample:
    """Enqueue single jobs to one idle worker and wait for their results."""
    scene.clear()
    with client(scene) as asked, workers(scene, 1) as players:
        took = asked.ask(do="latency", count=count, seconds=seconds)
        players[0].check()
    return {
        f"{name}, {told}": percentile(took[times], share)
        for name, times in (("idle to start", "starts"), ("idle to result", "results"))
        for told, share in (("p50", 0.5), ("p99", 0.99))
    } | {"idle, jobs": float(len(took["starts"]))}


def hooks(scene: Scene, jobs: int, processes: int, warm_s: float) -> Sample:
    """Deliver webhooks of 1 KB to a receiver that answers at once."""
    scene.clear()
    with receiver(scene) as (url, received):
        with client(scene) as asked:
            jobs = fill(scene, asked, jobs, task="hook", args=[url, BODY])
        with workers(scene, processes, hooks=True) as players:
            name = f"webhooks, {_told(processes)}"
            return _measured(name, scene, players, received, jobs, warm_s, HOOK_LOOK_S)


@contextlib.contextmanager
def receiver(scene: Scene) -> Generator[tuple[str, Callable[[], int]]]:
    """Start a receiver of webhooks; gives its url, and what counts the deliveries it has got."""
    command = [sys.executable, "-m", "runner.bench.receiver", "0"]
    with started(command, scene, "receiver", PYTHONPATH="") as player:
        url = f"http://127.0.0.1:{int(heard(player, START_S))}/hook"

        def received() -> int:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.loads(answer.read())["received"]

        yield url, received


def _measured(
    name: str,
    scene: Scene,
    players: list[Player],
    ran: Callable[[], int],
    jobs: int,
    warm_s: float,
    look_s: float,
) -> Sample:
    first = watch(ran, players, 1, START_S, look_s)
    time.sleep(max(0.0, first + warm_s - time.perf_counter()))
    begun = sight(ran, players, scene)
    watch(ran, players, int(jobs * ENDS_AT), PATIENCE_S, look_s)
    ended = sight(ran, players, scene)
    with contextlib.suppress(Failed):  # what never runs is told as such
        watch(ran, players, jobs, REST_S, look_s)
    time.sleep(look_s)
    counts = {"jobs": ended.jobs - begun.jobs, "enqueued": jobs, "ran": ran()}
    return between(name, begun, ended) | {f"{name}, {what}": float(n) for what, n in counts.items()}


def _told(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def median(samples: list[Sample]) -> Sample:
    """Give the middle one of each figure."""
    names = {name: None for sample in samples for name in sample}
    return {name: statistics.median(s[name] for s in samples if name in s) for name in names}
