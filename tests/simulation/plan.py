"""What one seed does: its jobs and its faults, drawn before anything runs."""

from dataclasses import dataclass
from random import Random
from typing import Any

from runner.tasks import Task

from . import shop
from .ground import Ground, ground_of, queue_of
from .shop import LEASE_S

CALM_AT_S = 12.0
"""After this nothing bad happens any more."""
MOST_WORKERS = 3
MOST_JOBS = 10


@dataclass(frozen=True)
class Wanted:
    """A job to be enqueued.

    Attributes:
        at_s: when.
        key: its id.
        queue: where it goes.
        task: placed.
        args: of the call.
        cancel_at_s: somebody asks for its end then; 0: nobody.
        is_awaited: somebody waits for its result.
    """

    at_s: float
    key: str
    queue: str
    task: Task[..., Any]
    args: tuple[Any, ...]
    cancel_at_s: float
    is_awaited: bool


@dataclass(frozen=True)
class Fault:
    """Something bad.

    Attributes:
        at_s: when.
        kind: a word of FAULTS.
        who: number of the worker it happens to, where it happens to one.
        size: how bad, from 0 to 1.
    """

    at_s: float
    kind: str
    who: int
    size: float


FAULTS = {
    "kill": 5,
    "pause": 4,
    "restart": 2,
    "reset": 3,
    "request": 4,
    "reply": 8,
    "twice": 8,
    "away": 3,
    "slow": 2,
    "flush": 2,
    "clock forward": 2,
    "clock back": 2,
}
"""Kind -> how often, beside the others."""


@dataclass(frozen=True)
class Plan:
    """All that one seed draws.

    Attributes:
        jobs: of the application.
        faults: by time.
        keeps_leases: nothing among them costs anybody a lease.
        workers: how many.
        parts: members of a chord; 0: there is none.
        flow_at_s: when it is started.
        ground: how keys are named, which queues there are, and what ticks.
    """

    jobs: list[Wanted]
    faults: list[Fault]
    keeps_leases: bool
    workers: int
    parts: int
    flow_at_s: float
    ground: Ground


GENTLE = ("restart", "reset", "request", "reply", "flush")
"""What costs no worker the lease of a job that it runs."""


def plan_of(seed: int) -> Plan:
    """Draw one. Every tenth seed is without faults, every tenth one gentle."""
    rng = Random(f"plan {seed}")
    ground = ground_of(seed)
    queues = [queue_of(seed, f"j{number}", ground.queues) for number in range(MOST_JOBS)]
    jobs = [_job(rng, number, queues[number]) for number in range(rng.randint(5, MOST_JOBS))]
    workers = rng.randint(2, MOST_WORKERS)
    is_gentle = seed % 10 == 1
    kinds = [kind for kind in FAULTS if kind in GENTLE or not is_gentle]
    weights = [FAULTS[kind] for kind in kinds]
    count = 0 if seed % 10 == 0 else rng.randint(4, 9)
    faults = [
        Fault(rng.uniform(0.5, CALM_AT_S - 2), kind, rng.randrange(workers), rng.random())
        for kind in rng.choices(kinds, weights, k=count)
    ]
    faults.sort(key=lambda fault: fault.at_s)
    parts, flow_at_s = rng.choice([0, 0, 2, 3]), rng.uniform(0, 4)
    return Plan(jobs, faults, is_gentle or not faults, workers, parts, flow_at_s, ground)


def _job(rng: Random, number: int, queue: str) -> Wanted:
    key, short = f"j{number}", rng.choice([0.0, 0.1, 0.5, 1.5])
    task, args = rng.choice(
        [
            lambda: (shop.quick, (short,)),
            lambda: (shop.quick, (LEASE_S * rng.uniform(0.7, 1.6),)),
            lambda: (shop.quick, (LEASE_S * rng.uniform(2, 3),)),
            lambda: (shop.flaky, (rng.randint(1, 3), short)),
            lambda: (shop.broken, ()),
            lambda: (shop.snoozing, (rng.randint(1, 3),)),
            lambda: (shop.gated, (rng.choice("ab"), short + 0.5)),
            lambda: (shop.gated, (rng.choice("ab"), LEASE_S * rng.uniform(0.5, 1.2))),
            lambda: (shop.locked, (rng.randrange(shop.TILLS), short + 0.3)),
            lambda: (shop.locked, (rng.randrange(shop.TILLS), LEASE_S * rng.uniform(0.5, 1.2))),
            lambda: (shop.paying, rng.choice([("o1", 0.2), ("o2", 1.0), ("o3", LEASE_S * 1.1)])),
        ]
    )()
    options: dict[str, Any] = {"key": key, "queue": queue}
    if rng.random() < 0.2:
        options["delay"] = rng.uniform(0.5, 5)
    if rng.random() < 0.2:
        options["priority"] = rng.randrange(10)
    at_s = rng.uniform(0, 6)
    cancel_at_s = at_s + rng.uniform(0.01, 6) if rng.random() < 0.08 else 0.0
    return Wanted(at_s, key, queue, task.using(**options), args, cancel_at_s, rng.random() < 0.4)
