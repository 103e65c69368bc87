"""A job's states and the arrows between them, and what is known about one attempt.

scheduled ──due──► ready ──claim──► running ──finish──► succeeded | dead | cancelled
    ▲                                  │
    └── Retrying, Snoozed ─────────────┤        expired: was not started before its ``expires``
                  Released, lease over ┴──► ready
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .clock import SYSTEM_CLOCK, Clock


class JobState(StrEnum):
    """Where a job is in its life; ``is_terminal`` says whether that has ended. Equal to its word."""

    SCHEDULED = "scheduled"
    READY = "ready"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEAD = "dead"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """The server knows no such job: never enqueued, or ended and its result is not kept."""

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will happen to the job any more by itself."""
        return self in _TERMINAL


_TERMINAL = frozenset({JobState.SUCCEEDED, JobState.DEAD, JobState.CANCELLED, JobState.EXPIRED})

ARROWS: dict[JobState, frozenset[JobState]] = {
    JobState.SCHEDULED: frozenset({JobState.READY, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.READY: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED, JobState.DEAD}),
    JobState.RUNNING: frozenset(
        {JobState.SUCCEEDED, JobState.SCHEDULED, JobState.READY, JobState.DEAD, JobState.CANCELLED}
    ),
    JobState.DEAD: frozenset({JobState.READY}),
    JobState.SUCCEEDED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One execution of a job: all that is known about it, from claim to outcome.

    Attributes:
        job_id: the job's id, the same over all its attempts.
        queue: key of the queue the job was claimed from.
        number: counts from 1; snoozes and releases do not raise it.
        token: proves that the lease is ours; random, one per claim.
        fence: rises with every claim of this job, also over crashes.
        due_at_ms: server time from which the job could start.
        payload: the bytes as enqueued.
        task: name of the task, as enqueued; empty while the payload is not decoded.
        enqueued_at_ms: the enqueuer's clock.
        snoozes: how often the job was snoozed so far; waits for rate limits do not count.
        has_turn: it waited in the line of a rate limit, and its turn has come.
        records: 0 nothing durable is recorded, 1 something is, 2 and the job has begun before.
        is_laned: it came by its lane.
        is_skipped: a gate of it was full, and it is not to wait for a slot.
        deaths: workers that died, or lost their lease, while running it.
        alone: whether it runs alone in its worker because it is suspected of killing workers.
        started_at_ms: this process's clock when the call began; 0 before.
        deadline: monotonic time of the hard timeout; None for none.
        previous_delay_s: what the last retry waited; None before the first.
        is_soft_due: the soft timeout has passed and is to be raised inside the call.
        is_over: an outcome was decided; whatever still runs is ignored.
        refused: the Outcome of an attempt that is not called; None for one that is, or may be.
        ahead: what was asked for it before its call, answered (middleware.ahead); None for nothing.
        ctx: the Context the call gets.
        journal: what its durable steps know (runner.durable); None before the first.
        function: what is called with ctx and the arguments.
        cancel_reason: why the engine cancelled the running call, if it did: one of CANCEL_REASONS.
    """

    job_id: str
    queue: str
    number: int
    token: str
    fence: int
    due_at_ms: int
    payload: bytes | None
    snoozes: int = 0
    deaths: int = 0
    alone: bool = False
    aborted: bool = False
    has_turn: bool = False
    records: int = 0
    is_laned: bool = False
    is_skipped: bool = False
    task: str = ""
    args: Any = ()
    kwargs: Any = field(default_factory=dict[str, Any])
    enqueued_at_ms: int = 0
    expires_at_ms: int = 0
    meta: Any = None
    started_at_ms: int = 0
    deadline: float | None = None
    previous_delay_s: float | None = None
    cancel_reason: str = ""
    is_soft_due: bool = False
    is_over: bool = False
    refused: Any = None
    ahead: Any = None
    ctx: Any = None
    journal: Any = None
    function: Any = None
    clock: Clock = SYSTEM_CLOCK

    def age_s(self) -> float:
        """Give the seconds since the job was enqueued."""
        return max(0.0, (self.clock.now_ms() - self.enqueued_at_ms) / 1000)


current_attempt: ContextVar[Attempt | None] = ContextVar("runner_attempt", default=None)
"""The attempt whose call this code belongs to; None outside of jobs. Log lines name the job by it."""

CANCEL_REASONS = {
    "": "nobody: a CancelledError of the task's own making",
    "timeout": "its hard timeout passed",
    "abort": "somebody cancelled the job",
    "lost": "its lease was lost to another worker",
    "shutdown": "the worker stops",
}
