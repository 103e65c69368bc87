"""How an attempt can end, as values.

Every attempt ends as exactly one of these. ``engine.attempt.classify`` makes them out of what a task returned
or raised, middleware may turn one into another, and ``engine.finish`` writes them down; nothing else in the
engine looks at exceptions.
"""

from dataclasses import dataclass
from typing import Any

from .errors import Snooze


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task returned ``result``."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The task raised; nobody has decided yet what follows. Never leaves the middleware chain."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Retrying:
    """Run again after ``delay_ms``; the attempt is spent."""

    delay_ms: int
    reason: str
    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Run again after ``delay_ms``; no attempt is spent."""

    delay_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Queued:
    """A rate limit's: run again after ``delay_ms``; neither an attempt is spent nor a snooze counted.

    Attributes:
        delay_ms: until the job's place in line, or until it asks again.
        reason: for people.
        has_place: the limit keeps a place in line for it.
    """

    delay_ms: int
    reason: str
    has_place: bool


@dataclass(frozen=True, slots=True)
class Suspended:
    """A durable sleep's or wait's: run again when its time is over or its signal comes; no attempt is spent.

    Attributes:
        slot: field of the job's record that says until when.
        until_ms: the server's clock, for people.
        reason: for people.
    """

    slot: str
    until_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Sorted:
    """The job came without its lane and comes back by it; it has not run. ``spec`` is that of a Lane."""

    spec: str


@dataclass(frozen=True, slots=True)
class Dead:
    """Never again unless replayed; kept as a dead letter under ``reason`` (a word of DEAD_REASONS)."""

    reason: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody asked for it."""

    reason: str = "cancelled"


@dataclass(frozen=True, slots=True)
class Released:
    """Given back unharmed, at shutdown: ready again at once, no attempt spent."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Another worker holds the job: write nothing."""


class NotYet(Snooze):
    """Raised inside a call by a limit or a gate: it ends as ``queued``, and no attempt is spent."""

    def __init__(self, queued: Queued) -> None:
        super().__init__(queued.delay_ms / 1000, reason=queued.reason)
        self.queued = queued


Outcome = (
    Succeeded | Failed | Retrying | Snoozed | Queued | Suspended | Sorted | Dead | Cancelled | Released | Lost
)

DEAD_REASONS = {
    "max_tries": "all attempts are spent",
    "max_age": "the task's max_age passed before it succeeded",
    "max_snoozes": "it was snoozed more often than max_snoozes allows",
    "gave_up": "the task raised GiveUp, or an error its give_up_on names",
    "undecided": "the task raised Undecided: nobody knows whether its effect happened",
    "conflict": "its idempotency key was used before with other arguments",
    "invalid_step": "a durable step used a name twice, or its result cannot be recorded",
    "no_signal": "a signal that it waited for did not come in time",
    "poison": "it took down the worker that ran it, the last time while running alone",
    "invalid_arguments": "the arguments do not fit the task's signature",
    "unknown_task": "no worker that saw it knows a task of that name and version",
    "undecodable": "the payload is not one this worker can read",
    "missing_payload": "the queue named the job, but its payload is gone",
    "unencodable_result": "the task returned what cannot be encoded",
    "expired": "it did not start before its expires",
    "dropped": "its queue was full (queues.NAME.max_waiting), and newer jobs took its place",
    "failed": "the task failed and declares no retries (arq's own functions)",
}
