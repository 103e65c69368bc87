"""How many jobs a queue holds, as whoever enqueues keeps to it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Bound:
    """How many jobs a queue holds.

    Attributes:
        max_waiting: jobs that may wait; 0 for any number.
        when_full: what becomes of one more.
        wait_s: with ``wait``, the longest wait for room.
        max_per_tenant: jobs of one tenant that may be there; 0 for any number. One more is refused.
    """

    max_waiting: int
    when_full: Literal["reject", "drop_oldest", "wait"] = "reject"
    wait_s: float = 5.0
    max_per_tenant: int = 0


UNBOUND = Bound(0)
