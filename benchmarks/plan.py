"""How much is measured."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of one run, in seconds where a slow peer is to have fewer jobs.

    Attributes:
        enqueue_s: each way of enqueueing.
        warm_s: of a drain that is not counted, from its first job.
        drain_s: of a drain that is.
        idle_jobs: to an idle worker, or what is done within ``idle_s``.
        idle_s: seconds.
        backlogs: jobs in long queues.
        parked: jobs that are due tomorrow.
        fill_s: after so long a long queue is as long as it is.
        worth: a long queue of which less than this share would be filled is not tried.
    """

    enqueue_s: float
    warm_s: float
    drain_s: float
    idle_jobs: int
    idle_s: float
    backlogs: tuple[int, ...]
    parked: int
    fill_s: float
    worth: float = 0.3


PLANS = {
    "small": Plan(0.3, 0.3, 1.0, 30, 1.0, (10_000,), 10_000, 5.0),
    "full": Plan(1.0, 1.0, 3.0, 200, 3.0, (10_000, 100_000, 1_000_000), 100_000, 30.0),
}
