"""Long queues: what a waiting job costs the server, and whether a long queue is slower than a short one.

One filling, one worker, three looks one after the other: each looks at as many jobs as take about a second,
so that the queue hardly gets shorter meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .measures import PATIENCE_S, Sample, between, fill, sight
from .players import LOOK_S, START_S, Failed, Scene, client, watch, workers

LOOKS = 3
LATER_S = 86_400
LEAST_JOBS = 200
SHARE = 8
"""The looks together take at most three of eight parts of a queue."""


@dataclass(frozen=True, slots=True)
class Long:
    """A queue that was filled and drained a little.

    Attributes:
        jobs: how many waited.
        memory: bytes of the server for each.
        looks: figures of each look.
    """

    jobs: int
    memory: float
    looks: Sequence[Sample]


def backlog(scene: Scene, jobs: int, rate: float, seconds: float) -> Long:
    """Fill a queue with jobs that are due, and drain some of it.

    Args:
        scene: whose.
        jobs: how many.
        rate: jobs a second that its worker is known to do.
        seconds: after so long filling ends, and the queue is as long as it then is.
    """
    scene.clear()
    with client(scene) as asked:
        fill(scene, asked, 1)
        before = scene.stage.memory()
        filled = fill(scene, asked, jobs, seconds)
        memory = (scene.stage.memory() - before) / filled
    each = max(LEAST_JOBS, min(int(rate), filled // SHARE))
    return Long(filled, memory, _looks(scene, "drain", each))


def parked(scene: Scene, jobs: int, rate: float, seconds: float) -> Long:
    """Park jobs that are due tomorrow, and drain others beside them."""
    scene.clear()
    each = max(LEAST_JOBS, int(rate))
    with client(scene) as asked:
        fill(scene, asked, 1)
        before = scene.stage.memory()
        filled = fill(scene, asked, jobs, seconds, delay=LATER_S)
        memory = (scene.stage.memory() - before) / filled
        due = each * (LOOKS + 2)
        if fill(scene, asked, due) < due:
            raise Failed("the jobs to be drained could not be enqueued in time")
    return Long(filled, memory, _looks(scene, "drain", each))


def _looks(scene: Scene, name: str, each: int) -> list[Sample]:
    with workers(scene, 1) as players:
        watch(scene.ran, players, each // 2, START_S, LOOK_S)
        seen = [sight(scene.ran, players, scene)]
        for _ in range(LOOKS):
            watch(scene.ran, players, seen[-1].jobs + each, PATIENCE_S, LOOK_S)
            seen.append(sight(scene.ran, players, scene))
    return [between(name, one, two) for one, two in pairwise(seen)]
