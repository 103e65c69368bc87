"""What can go wrong where a script's call leaves a process, as a test may ask for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from redis.exceptions import AuthenticationError

Kind = Literal["crash", "crash_after", "lose_lease", "send_twice", "lose_call", "lose_answer"]

FAULTS: Mapping[Kind, str] = {
    "crash": "the worker's process dies before the call is sent",
    "crash_after": "it dies when the server has run the call, before it hears of it",
    "lose_lease": "just before the call another worker takes over what this one runs",
    "send_twice": "the call arrives twice, as after a broken connection; the second answer counts",
    "lose_call": "the connection breaks, and the call does not arrive",
    "lose_answer": "the server runs the call, and the connection breaks before its answer",
}
"""By kind. After a crash nothing of the worker reaches the server any more."""


class Crash(AuthenticationError):
    """The worker's process is dead. Of a class that no worker and no client waits to pass."""


@dataclass(slots=True)
class Fault:
    """A fault that waits for its moment.

    Attributes:
        verb: name of the script at whose call it happens: ``claim``, ``finish``, ``enqueue``, ``renew``, …
        kind: one of FAULTS.
        nth: at which call of it, from 1.
        calls: how many there were so far.
    """

    verb: str
    kind: Kind
    nth: int = 1
    calls: int = 0

    @property
    def happened(self) -> bool:
        """Whether it has."""
        return self.calls >= self.nth

    def is_due(self, verb: str) -> bool:
        """Count a call; say whether the fault happens at it."""
        if verb != self.verb or self.happened:
            return False
        self.calls += 1
        return self.happened
