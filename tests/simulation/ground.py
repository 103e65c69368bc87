"""On what ground a seed plays: how keys are named, which queues there are, and what ticks.

Drawn apart from the rest of a plan: what a seed does on plain ground it does whatever is added here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from runner.engine.serve import SMALLEST_HALF
from runner.schedules.declare import every
from runner.schedules.schedule import Schedule
from runner.wire.keys import Keys, Layout, keys_of

from . import shop
from .world import START_S

OFTEN = 0.3
"""How many seeds have layout ``tagged``; several queues; schedules."""
MORE_QUEUES = ("bulk", "critical")


@dataclass(frozen=True)
class Ground:
    """What one seed stands on.

    Attributes:
        layout: how keys are named.
        queues: weights by name, in strict order.
        strict: the first queue with work gets everything.
        declared: schedules that each worker brings.
        added: others, by when they are defined at run time.
        pauses: name of a schedule, when it is paused and when it goes on.
        half: how many ended jobs let a round overtake another one, and are claimed at once at least.
    """

    layout: Layout
    queues: dict[str, int]
    strict: bool
    declared: list[Schedule]
    added: list[tuple[float, Schedule]]
    pauses: list[tuple[str, float, float]]
    half: int

    @property
    def keys(self) -> dict[str, Keys]:
        return {name: keys_of(name, self.layout) for name in self.queues}

    @property
    def schedules(self) -> list[Schedule]:
        return [*self.declared, *(schedule for _, schedule in self.added)]


def ground_of(seed: int) -> Ground:
    rng = Random(f"ground {seed}")
    layout: Layout = "tagged" if rng.random() < OFTEN else "classic"
    queues = {"default": 2}
    if rng.random() < OFTEN:
        more = rng.sample(MORE_QUEUES, rng.randint(1, 2))
        names = rng.sample(["default", *more], len(more) + 1)
        queues = {name: rng.randint(1, 4) for name in names}
    strict = rng.random() < 0.3
    made = [_schedule(rng, number, list(queues)) for number in range(_how_many(rng))]
    is_added = [rng.random() < 0.4 for _ in made]
    pauses = [(each.name, at := rng.uniform(1, 8), at + rng.uniform(0.5, 4)) for each in made]
    return Ground(
        layout,
        queues,
        strict,
        [each for each, added in zip(made, is_added, strict=True) if not added],
        [(rng.uniform(0, 3), each) for each, added in zip(made, is_added, strict=True) if added],
        [pause for pause in pauses if rng.random() < 0.4],
        Random(f"half {seed}").choice([1, 2, SMALLEST_HALF]),
    )


def queue_of(seed: int, job: str, queues: dict[str, int]) -> str:
    """Draw where a job goes."""
    return Random(f"queue {seed} {job}").choice(sorted(queues))


def _how_many(rng: Random) -> int:
    return rng.randint(1, 2) if rng.random() < OFTEN else 0


def _schedule(rng: Random, number: int, queues: list[str]) -> Schedule:
    """One that ends a little after the last fault, by the server's clock."""
    options: dict[str, Any] = {
        "catch_up": rng.choice(["latest", "all", "none"]),
        "overlap": rng.choice(["skip", "buffer_one", "allow"]),
        "misfire_grace": rng.choice([3, 3600]),
        "until": datetime.fromtimestamp(START_S + rng.uniform(9, 14), UTC),
        "queue": rng.choice(queues),
    }
    if options["overlap"] == "allow" and rng.random() < 0.5:
        options["max_instances"] = 2
    if rng.random() < 0.2:
        options["count"] = 3
    seconds = rng.choice([0.1, 0.1, 0.8, 3.0])
    return every(rng.choice([1.0, 1.5, 2.5]), shop.ticked, name=f"s{number}", args=(seconds,), **options)
