"""Every error this package raises, as one tree.

    RunnerError
    ├── SettingsError          a setting is wrong; the message names source, key, value and what was expected
    ├── MissingExtra           an optional library is not installed; the message says which extra to install
    ├── ServerError
    │   ├── ServerUnreachable  no answer from Redis/Valkey; names the address
    │   ├── UnsafeServer       the server may lose jobs (too old, evicting); says what to change
    │   └── QueueFull          max_waiting is reached, or the server is out of memory; nothing was enqueued
    ├── InvalidTask            a declaration that cannot work (not a coroutine, two of one name, …)
    ├── InvalidJob             refused at enqueue; nothing was written
    │   ├── InvalidArguments   do not fit the task's signature, or cannot be encoded; names the argument
    │   ├── PayloadTooLarge    names the size, the limit and the largest argument
    │   └── DuplicateJob       a job that does the same is there, and its task says to reject; carries its id
    ├── IdempotencyConflict    a key was used before with other arguments; carries both fingerprints
    ├── InvalidStep            a durable step that cannot be recorded; says what is wrong with it
    ├── SignalRefused          a signal reaches no job; says why
    ├── SignalTimeout          ctx.wait_for: the signal did not come in time (also a TimeoutError)
    ├── NotDead                there is no dead letter of that id (any more)
    ├── ReplayRefused          a dead letter stays: a job of its id is alive, or its payload is gone
    ├── UnknownJob             there is no job of that id (any more)
    ├── UnknownQueue           settings name no such queue
    ├── ChangeRefused          a job stays as it is: it runs, has ended, or was changed by somebody else
    ├── UnknownSchedule        there is no schedule of that name
    ├── BrokenExport           a file of dead letters is damaged; names the line, and nothing was imported
    └── JobError               what a caller that waits for a result can see
        ├── JobFailed          carries the remote error's type, message and traceback text
        ├── JobCancelled       somebody cancelled it
        ├── JobExpired         it did not start before its ``expires``
        ├── ResultTimeout      the wait ended, the job did not (also a TimeoutError)
        └── ResultGone         the job ended and its result is not kept (any more)

    JobSignal                  raised inside a task to say how the attempt shall end; no RunnerError, so that
    │                          ``except RunnerError`` in a task does not swallow it
    ├── Retry                  run again after a delay; spends an attempt
    ├── Snooze                 come back later; spends no attempt
    ├── Undecided              nobody knows whether it happened: a dead letter, for a person to look at
    └── GiveUp                 do not try again: straight to the dead letters

Suspension (runner.durable; no Exception, so that ``except Exception`` does not stop it) ends an attempt that
sleeps or waits for a signal.
SoftTimeout (a TimeoutError) is raised inside a task at its ``soft_timeout``.
LeaseLost is what a task sees (as the cause of its cancellation) when another worker took its job over.
"""

from datetime import UTC, datetime, timedelta

Delay = float | int | timedelta
"""A span of time: seconds, or a ``timedelta``."""


def seconds(delay: Delay) -> float:
    """Give a delay in seconds.

    Raises:
        ValueError: it is negative, NaN or infinite.
    """
    value = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    if not 0 <= value < float("inf"):
        msg = f"a delay must be a finite number of seconds, zero or more, not {delay!r}"
        raise ValueError(msg)
    return value


class RunnerError(Exception):
    """The root of the tree above; what a task raises to end its attempt (JobSignal) is none of it."""


class SettingsError(RunnerError):
    """Settings are wrong: a line for each says where it stands, what it is and what was expected."""


class MissingExtra(RunnerError):
    """An optional library is not installed; the message is the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'arq-runner[{extra}]'")


class ServerError(RunnerError):
    """The server refuses, is away, unsafe or full; the subclass says which, the text what to do."""


class ServerUnreachable(ServerError):
    """No answer from the server, tried again for 5 s: is it running, is ``redis.url`` right?"""


class UnsafeServer(ServerError):
    """A worker does not start: the server's version or configuration may lose jobs; says what to change."""


class QueueFull(ServerError):
    """The queue's ``max_waiting`` is reached, or the server is out of memory; the job was not enqueued."""


class InvalidTask(RunnerError):
    """A declaration that cannot work, raised at import: options that contradict, or one name twice."""


class InvalidJob(RunnerError, ValueError):
    """Refused at enqueue, in the caller's process; nothing was written. Its subclasses say why."""


class InvalidArguments(InvalidJob):
    """Arguments that do not fit the task's annotations, or have no JSON form; names task and argument."""


class PayloadTooLarge(InvalidJob):
    """The encoded job is larger than ``limits.payload``; store what is large elsewhere and pass its name."""


class DuplicateJob(InvalidJob):
    """A job that would do the same is there; the task declares ``Unique(on_conflict="reject")``.

    Attributes:
        job_id: of the job that is there.
    """

    def __init__(self, task: str, job_id: str) -> None:
        super().__init__(f"task '{task}': job {job_id} stands for this call, and its Unique rejects another")
        self.job_id = job_id


class IdempotencyConflict(RunnerError):
    """An idempotency key was used before, for other arguments: one of the two callers names it wrongly.

    Never retried; the job is dead at once with reason ``conflict``.

    Attributes:
        known: fingerprint of the arguments the key stands for.
        given: fingerprint of this call's.
    """

    def __init__(self, what: str, *, known: str, given: str) -> None:
        super().__init__(
            f"{what}: its idempotency key stands for other arguments (fingerprint {known or 'none'}, "
            f"this call's is {given or 'none'}); give each effect a key of its own"
        )
        self.known = known
        self.given = given


class InvalidStep(RunnerError):
    """A durable step that cannot be recorded: a name used twice, a result too large or without JSON form.

    Never retried; the job is dead at once with reason ``invalid_step``.
    """


class SignalRefused(RunnerError):
    """No job to hand the signal to (ended, another queue), or its record is full: ``limits.steps``."""


class SignalTimeout(RunnerError, TimeoutError):
    """A signal did not come in time; uncaught, the job is dead with reason ``no_signal``."""


class NotDead(RunnerError):
    """There is no dead letter of that id."""


class UnknownJob(RunnerError):
    """There is no job of that id."""


class UnknownQueue(RunnerError):
    """Settings name no such queue."""


class ChangeRefused(RunnerError):
    """A job cannot be changed as asked."""


class UnknownSchedule(RunnerError):
    """There is no schedule of that name."""


class ReplayRefused(RunnerError):
    """A dead letter cannot be made a job again."""


class BrokenExport(RunnerError):
    """A file of dead letters cannot be read; the message names the line."""


class JobError(RunnerError):
    """How a job ended, raised by ``job.result()``; catch it for all ends that are no result."""


class JobFailed(JobError):
    """The job ended in an error.

    Attributes:
        type: qualified name of the remote exception's class.
        message: its text.
        traceback: the remote traceback as text; empty when it was not kept.
    """

    def __init__(self, type: str, message: str, traceback: str = "") -> None:  # noqa: A002 - as its attribute
        super().__init__(type, message, traceback)
        self.type = type
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class JobCancelled(JobError):
    """Somebody cancelled the job: ``job.cancel()``, ``runner jobs cancel``, a purge."""


class JobExpired(JobError):
    """The job did not start before its ``expires``; it never ran, and is a dead letter."""


class ResultTimeout(JobError, TimeoutError):
    """The wait for a result ended before the job did; the job goes on, and may be waited for again."""


class ResultGone(JobError):
    """The job has ended, or never was, and no result is kept (any more): see ``keep_result``."""


class LeaseLost(RunnerError):
    """Another worker holds the job now: this attempt can change nothing any more."""


class SoftTimeout(RunnerError, TimeoutError):
    """Raised inside a task at its ``soft_timeout``: return what there is, or raise."""


class JobSignal(Exception):
    """Raised inside a task to say how the attempt shall end."""


class Retry(JobSignal):
    """Run the job again.

    Args:
        delay: seconds or timedelta until the next attempt; None asks the task's backoff.
        reason: kept on the job and shown to people.
    """

    def __init__(self, delay: Delay | None = None, *, reason: str = "retry asked") -> None:
        super().__init__(reason)
        self.delay_s = None if delay is None else seconds(delay)
        self.reason = reason


class Snooze(JobSignal):
    """Come back later without spending an attempt; bounded by the task's ``max_snoozes``.

    Args:
        delay: seconds or timedelta from now.
        until: an aware datetime; give either this or ``delay``.
        reason: kept on the job and shown to people.

    Raises:
        ValueError: both or none given, a naive datetime, or a negative delay.
    """

    def __init__(
        self, delay: Delay | None = None, *, until: datetime | None = None, reason: str = "snoozed"
    ) -> None:
        super().__init__(reason)
        if (delay is None) == (until is None):
            msg = "Snooze takes either delay= or until="
            raise ValueError(msg)
        if until is not None:
            if until.tzinfo is None:
                msg = f"Snooze(until=…) needs an aware datetime, not {until!r}: add a tzinfo"
                raise ValueError(msg)
            delay = max(0.0, (until - datetime.now(UTC)).total_seconds())
        self.delay_s = seconds(delay) if delay is not None else 0.0
        self.reason = reason


class GiveUp(JobSignal):
    """Raise it in a task to try no more: a dead letter, reason ``gave_up``; the text is for people."""

    def __init__(self, reason: str = "given up") -> None:
        super().__init__(reason)
        self.reason = reason


class Undecided(JobSignal):
    """Nobody knows whether the effect happened, and trying again does not tell.

    The job becomes a dead letter with reason ``undecided``; a saga neither goes on nor back then.
    """

    def __init__(self, reason: str = "undecided") -> None:
        super().__init__(reason)
        self.reason = reason
