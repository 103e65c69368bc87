"""What a bench is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """How much of it.

    Attributes:
        jobs: how many; each bench says of what.
        concurrency: jobs in flight in one worker, or enqueues in flight.
        processes: workers.
        versus: whom to compare with, of peers.PEERS.
    """

    jobs: int
    concurrency: int
    processes: int = 1
    versus: tuple[str, ...] = ()
