"""Background jobs for asyncio: arq's keys and commands, a worker underneath that loses nothing.

The life of a job:

    enqueue ──► scheduled ──due──► ready ──claim──► running ──finish──► succeeded
                   ▲                                   │ ├── Retrying, Snoozed ──► scheduled
                   │                                   │ ├── Released ───────────► ready
                   └────────── replay ── dead ◄────────┘ ├── Cancelled ──────────► cancelled
                                                         └── lease ran out ──────► ready

The words: a *task* is a coroutine function declared with ``@task``; a *job* is one enqueued call of it, in a
*queue*, *due* from a moment on; a worker *claims* due jobs, which gives it a *lease*; an *attempt* is one
execution; it ends in an *outcome*. What will not run again by itself is a *dead letter*.

Everything public is importable from here, and imported when first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import backoff
    from .app import Runner
    from .breaker import Breaker, RetryBudget
    from .client import Bulk, Job, JobInfo
    from .context import Context
    from .effects import Idempotency, Lock
    from .errors import (
        DuplicateJob,
        GiveUp,
        IdempotencyConflict,
        InvalidArguments,
        InvalidJob,
        InvalidStep,
        InvalidTask,
        JobCancelled,
        JobError,
        JobExpired,
        JobFailed,
        MissingExtra,
        PayloadTooLarge,
        QueueFull,
        ResultGone,
        ResultTimeout,
        Retry,
        RunnerError,
        ServerError,
        ServerUnreachable,
        SettingsError,
        SignalRefused,
        SignalTimeout,
        Snooze,
        SoftTimeout,
        Undecided,
        UnsafeServer,
    )
    from .explain import Explanation
    from .isolation.died import WorkerChildDied
    from .job import JobState
    from .lanes import Concurrency
    from .parts import Call
    from .rates import Adaptive, RateLimit
    from .results import Results
    from .schedules.declare import cron, every
    from .schedules.schedule import Schedule
    from .settings import Settings
    from .tasks import Task, task
    from .unique import Unique
    from .workflow.failure import UnknownWorkflow, WorkflowFailed
    from .workflow.handle import Workflow, WorkflowInfo
    from .workflow.plan import chain, chord, group
    from .workflow.saga import saga, step
    from .workflow.standing import StepStanding
    from .workflow.values import NodeOutcome

_PLACES = {
    "app": ("Runner",),
    "breaker": ("Breaker", "RetryBudget"),
    "client": ("Bulk", "Job", "JobInfo"),
    "context": ("Context",),
    "effects": ("Idempotency", "Lock"),
    "errors": (
        "DuplicateJob",
        "GiveUp",
        "IdempotencyConflict",
        "InvalidArguments",
        "InvalidJob",
        "InvalidStep",
        "InvalidTask",
        "JobCancelled",
        "JobError",
        "JobExpired",
        "JobFailed",
        "MissingExtra",
        "PayloadTooLarge",
        "QueueFull",
        "ResultGone",
        "ResultTimeout",
        "Retry",
        "RunnerError",
        "ServerError",
        "ServerUnreachable",
        "SettingsError",
        "SignalRefused",
        "SignalTimeout",
        "Snooze",
        "SoftTimeout",
        "Undecided",
        "UnsafeServer",
    ),
    "explain": ("Explanation",),
    "isolation.died": ("WorkerChildDied",),
    "job": ("JobState",),
    "lanes": ("Concurrency",),
    "parts": ("Call",),
    "rates": ("Adaptive", "RateLimit"),
    "results": ("Results",),
    "schedules.declare": ("cron", "every"),
    "schedules.schedule": ("Schedule",),
    "settings": ("Settings",),
    "tasks": ("Task", "task"),
    "unique": ("Unique",),
    "workflow.failure": ("UnknownWorkflow", "WorkflowFailed"),
    "workflow.handle": ("Workflow", "WorkflowInfo"),
    "workflow.plan": ("chain", "chord", "group"),
    "workflow.saga": ("saga", "step"),
    "workflow.standing": ("StepStanding",),
    "workflow.values": ("NodeOutcome",),
}
_PLACE_OF = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "Adaptive",
    "Breaker",
    "Bulk",
    "Call",
    "Concurrency",
    "Context",
    "DuplicateJob",
    "Explanation",
    "GiveUp",
    "Idempotency",
    "IdempotencyConflict",
    "InvalidArguments",
    "InvalidJob",
    "InvalidStep",
    "InvalidTask",
    "Job",
    "JobCancelled",
    "JobError",
    "JobExpired",
    "JobFailed",
    "JobInfo",
    "JobState",
    "Lock",
    "MissingExtra",
    "NodeOutcome",
    "PayloadTooLarge",
    "QueueFull",
    "RateLimit",
    "ResultGone",
    "ResultTimeout",
    "Results",
    "Retry",
    "RetryBudget",
    "Runner",
    "RunnerError",
    "Schedule",
    "ServerError",
    "ServerUnreachable",
    "Settings",
    "SettingsError",
    "SignalRefused",
    "SignalTimeout",
    "Snooze",
    "SoftTimeout",
    "StepStanding",
    "Task",
    "Undecided",
    "Unique",
    "UnknownWorkflow",
    "UnsafeServer",
    "WorkerChildDied",
    "Workflow",
    "WorkflowFailed",
    "WorkflowInfo",
    "backoff",
    "chain",
    "chord",
    "cron",
    "every",
    "group",
    "saga",
    "step",
    "task",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for; ``WorkerSettings`` is resolved from settings.toml."""
    if name == "WorkerSettings":
        from .worker_settings import resolve_or_exit

        globals()[name] = resolve_or_exit()
    elif name in _PLACE_OF:
        globals()[name] = getattr(import_module(f".{_PLACE_OF[name]}", __name__), name)
    elif name == "backoff":
        globals()[name] = import_module(".backoff", __name__)
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return globals()[name]
