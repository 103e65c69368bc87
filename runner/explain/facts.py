"""What can keep a job from running, as facts, and what is told of them, as values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from ..job import JobState


class Serving(NamedTuple):
    """A worker that is alive, as it said within the last minute."""

    name: str
    queues: Sequence[str]
    tasks: Sequence[str]
    running: int
    max_jobs: int


class Holder(NamedTuple):
    """Who has what the job waits for; ``worker`` is empty where the job is not of this queue."""

    job_id: str
    worker: str
    since_ms: int
    until_ms: int


class Gate(NamedTuple):
    """What lets so many jobs of a key through at once: a concurrency limit, or how the other side fares.

    Attributes:
        key: of the gate.
        limit: name of the concurrency limit; empty for none.
        at_once: so many pass, by the limit or by the state, the fewer; None for any number.
        held: so many have passed and not ended.
        holders: those of them that have been through for longest.
        closed_until_ms: nobody passes until then; 0: some do.
        is_asked: the other side, or a person, asked for that; else it fails.
        why: in whoever's words.
    """

    key: str
    limit: str
    at_once: int | None
    held: int
    holders: Sequence[Holder]
    closed_until_ms: int
    is_asked: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that can keep a job from running.

    Attributes:
        id: the job's.
        queue: name of its queue.
        state: where it is in its life.
        now_ms: the server's clock.
        task: name of its task; empty when the payload cannot be read.
        due_at_ms: from when it may start; None once ended.
        expires_at_ms: it ends as expired if it has not started by then; 0 for never.
        attempts: how many have begun.
        error: type and message of the last one's error.
        reason: why it is dead.
        waits_for: what it said when it left its slot without an end.
        in_line: it stands in a rate limit's line: True with a place, False to ask again; None: it does not.
        ahead: jobs of its queue that are due before it.
        worker: who has it, or had it.
        since_ms: since when.
        is_leased: that worker still has it.
        suspect_since_ms: since when it waits to run alone; None: it does not.
        ward: worker that becomes idle to run such jobs.
        cancel_asked: somebody wants it cancelled.
        paused: at which ms, and by whom, its queue was paused; None: it was not.
        lock: what it waits for is this lock, and who has it, if anybody.
        gates: those it has to pass, or waited before.
        lane_ahead: ready jobs of its own lane before it; None: it has no lane.
        workers: all that are alive.
    """

    id: str
    queue: str
    state: JobState
    now_ms: int
    task: str = ""
    due_at_ms: int | None = None
    expires_at_ms: int = 0
    attempts: int = 0
    error: str = ""
    reason: str = ""
    waits_for: str = ""
    in_line: bool | None = None
    ahead: int = 0
    worker: str = ""
    since_ms: int = 0
    is_leased: bool = False
    suspect_since_ms: int | None = None
    ward: str = ""
    cancel_asked: bool = False
    paused: tuple[int, str] | None = None
    lock: tuple[str, Holder | None] | None = None
    gates: Sequence[Gate] = ()
    lane_ahead: int | None = None
    workers: Sequence[Serving] = ()

    def at(self, at_ms: int | None) -> str:
        """Write an instant, and how far off it is."""
        if at_ms is None:
            return "an unknown time"
        seconds = (at_ms - self.now_ms) / 1000
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
        is_near = abs(seconds) < 43_200
        off = f"in {_span(seconds)}" if seconds > 0 else f"{_span(-seconds)} ago"
        return f"{moment:%H:%M:%S} UTC ({off})" if is_near else f"{moment:%Y-%m-%d %H:%M:%S} UTC ({off})"

    @property
    def serving(self) -> list[Serving]:
        """The workers that serve its queue."""
        return [worker for worker in self.workers if self.queue in worker.queues]

    @property
    def closed(self) -> list[Gate]:
        """The gates that let nobody through now."""
        return [gate for gate in self.gates if gate.closed_until_ms > self.now_ms]

    @property
    def narrow(self) -> list[Gate]:
        """The gates that have let through as many as they do at once."""
        return [
            gate
            for gate in self.gates
            if gate not in self.closed and gate.at_once is not None and gate.held >= gate.at_once
        ]

    @property
    def able(self) -> list[Serving]:
        """Those of them that know its task."""
        return [worker for worker in self.serving if self.task in worker.tasks or not self.task]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that keeps a job from running.

    Attributes:
        kind: a word of RULES.
        text: a sentence for people.
        until_ms: when it is over, by the server's clock; None where no time is known.
    """

    kind: str
    text: str
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job does not run; ``str()`` of it is for people.

    Attributes:
        id: the job's.
        queue: name of its queue.
        task: name of its task.
        state: where it is in its life.
        now_ms: the server's clock when this was so.
        reasons: the most decisive first.
    """

    id: str
    queue: str
    task: str
    state: JobState
    now_ms: int
    reasons: tuple[Reason, ...] = field(default=())

    def __str__(self) -> str:
        head = f"{self.id}  {self.task or '(no payload)'}  {self.state} in {self.queue}"
        return "\n".join([head, *(f"- {reason.text}" for reason in self.reasons)])


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
