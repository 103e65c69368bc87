"""What is known of a queue, a job, a worker: values, as they were at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..client import JobInfo
from ..job import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStanding:
    """How one queue stands.

    Attributes:
        queue: its name.
        at_ms: the server's clock.
        ready: jobs that could start now.
        scheduled: jobs that are due later, those between two attempts among them.
        running: jobs that a worker has; of stock arq workers those among the first 100 due.
        dead: dead letters.
        suspects: jobs that wait to run alone, because their workers died; they count as scheduled too.
        gates: gates that hold jobs up.
        ready_since_ms: from when the first ready job could start; None without any.
        paused_at_ms: since when no job may start; None when it is not paused.
        paused_by: who paused it.
    """

    queue: str
    at_ms: int
    ready: int
    scheduled: int
    running: int
    dead: int
    suspects: int
    gates: int
    ready_since_ms: int | None
    paused_at_ms: int | None
    paused_by: str

    @property
    def is_paused(self) -> bool:
        """Whether no job may start."""
        return self.paused_at_ms is not None

    @property
    def waiting(self) -> int:
        """Jobs that are ready or scheduled."""
        return self.ready + self.scheduled

    @property
    def oldest_ready_s(self) -> float:
        """For how long the first ready job could have started; 0 without any."""
        return 0.0 if self.ready_since_ms is None else max(0, self.at_ms - self.ready_since_ms) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """What a list says of a job.

    Attributes:
        id: the job's.
        queue: name of its queue.
        state: where it is in its life.
        task: name of its task; empty when the payload does not say.
        attempts: how many have begun.
        due_at_ms: from when it may start; while it runs the end of its lease; of a dead one when it died.
        size: bytes of its payload.
        args: positional arguments as plain JSON; None when the payload is a pickle, is broken, or has more
            than 16 KiB (then ``job()`` gives them).
        kwargs: the same of keyword arguments.
        enqueued_at_ms: the enqueuer's clock; 0 when not known.
        worker: who runs it; empty while nobody does.
        started_at_ms: when it was claimed; None while nobody runs it.
        reason: why it waits or died; empty when there is nothing to say.
        error: ``type: message`` of a dead one's last error; empty otherwise.
        progress: what the task last reported; empty when nothing.
    """

    id: str
    queue: str
    state: JobState
    task: str = ""
    attempts: int = 0
    due_at_ms: int | None = None
    size: int = 0
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    enqueued_at_ms: int = 0
    worker: str = ""
    started_at_ms: int | None = None
    reason: str = ""
    error: str = ""
    progress: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs of a queue.

    Attributes:
        jobs: in order of due; running ones in no order; dead ones newest first.
        cursor: where to go on; empty at the end.
        looked: how many were looked at.
    """

    jobs: Sequence[JobRow]
    cursor: str
    looked: int


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters that died alike.

    Attributes:
        queue: name of their queue.
        task: of their task.
        reason: a word of ``outcome.DEAD_REASONS``.
        error: class of their last error; empty for none.
        host: first host of a URL among the arguments, as a webhook's; empty for none.
        count: how many were counted.
        newest_at_ms: when the last of them died.
        newest_id: that job.
    """

    queue: str
    task: str
    reason: str
    error: str
    host: str
    count: int
    newest_at_ms: int
    newest_id: str


@dataclass(frozen=True, slots=True)
class DeadGroups:
    """Dead letters by how they died.

    Attributes:
        groups: the largest first.
        looked: how many letters were counted, the newest first.
        is_all: whether there are no more.
    """

    groups: Sequence[DeadGroup]
    looked: int
    is_all: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetail:
    """One job in full.

    Attributes:
        info: state, attempts, history, progress, result, error.
        at: the shard of its queue that has it; the queue's name where there is one.
        payload: its bytes as enqueued; None when they are gone, as of a job that succeeded.
        args: positional arguments as plain JSON; None when they cannot be read.
        kwargs: the same of keyword arguments.
        unreadable: why the arguments cannot be read; empty when they can.
        size: bytes of the payload.
        enqueued_at_ms: the enqueuer's clock; 0 when not known.
        expires_at_ms: after which it no longer starts; 0 for never.
        worker: who runs it; empty while nobody does.
        started_at_ms: when it was claimed; None while nobody runs it.
        deaths: workers that died while running it.
        snoozes: how often it came back later without an attempt.
        replays: how often it was replayed.
        why: one sentence on why it does not run, or what became of it.
    """

    info: JobInfo
    at: str
    payload: bytes | None
    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    unreadable: str
    size: int
    enqueued_at_ms: int
    expires_at_ms: int
    worker: str
    started_at_ms: int | None
    deaths: int
    snoozes: int
    replays: int
    why: str

    @property
    def id(self) -> str:
        """The job's id."""
        return self.info.id

    @property
    def task(self) -> str:
        """Name of its task; empty when nothing says it."""
        return self.info.task


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStanding:
    """What a worker says of itself; it is told every lease, and gone a minute after its worker.

    Attributes:
        name: ``host:pid``, or what settings name it.
        seen_at_ms: when it last said so, by its own clock.
        is_alive: False: its record is gone, and nobody has seen it leave.
        queues: weights by queue name.
        tasks: names of the tasks it runs.
        max_jobs: how many it runs at once.
        running: how many it runs.
        completed: jobs that succeeded since it started.
        failed: attempts that ended a job otherwise.
        retried: attempts that were followed by another.
        started_at_ms: by its own clock.
        more: what else its record says.
    """

    name: str
    seen_at_ms: int
    is_alive: bool
    queues: Mapping[str, int] = field(default_factory=dict[str, int])
    tasks: Sequence[str] = ()
    max_jobs: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    retried: int = 0
    started_at_ms: int = 0
    more: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the living workers say together; the difference of two readings is the throughput between them."""

    workers: int
    slots: int
    running: int
    completed: int
    failed: int
    retried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All queues and workers at one moment.

    Attributes:
        at_ms: the server's clock.
        queues: how each stands.
        workers: the living first, by name.
        totals: of the living ones.
    """

    at_ms: int
    queues: Sequence[QueueStanding]
    workers: Sequence[WorkerStanding]
    totals: Totals
