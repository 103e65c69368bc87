"""Leased to outcome: the life of one attempt, as steps over one value.

decode     the payload's bytes become task and arguments
resolve    the task's name becomes a Runnable
unknown    nobody here knows the name, or only an older version: wait, or dead
admit      attempts left, not cancelled, not expired
rebuild    plain JSON becomes what the signature names
sort       a job that came without its lane is given back with it; one that is to be skipped ends
invoke     the task's own code, innermost in its middleware
classify   what it returned or raised becomes an Outcome: here, and nowhere else
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import arq.worker
import msgspec

from ..clock import Clock
from ..context import Context
from ..declared import upcasted
from ..durable import Suspension
from ..effects import SKIPPED
from ..errors import InvalidArguments, Snooze
from ..job import Attempt
from ..outcome import (
    Cancelled,
    Dead,
    Failed,
    Lost,
    NotYet,
    Outcome,
    Released,
    Retrying,
    Snoozed,
    Sorted,
    Succeeded,
    Suspended,
)
from ..traces import THEIR_CARRIER
from ..wire import codec
from ..wire.scripts import Claimed

if TYPE_CHECKING:
    from .envelope import Envelope
    from .function import Runnable


class UnknownTask(Exception):
    """No task of that name here."""


class Expired(Exception):
    """The job did not start before its ``expires``."""


def attempt_of(job: Claimed, queue: str, token: str, clock: Clock) -> Attempt:
    """Make the attempt of a claimed job."""
    return Attempt(
        job_id=job.job_id,
        queue=queue,
        number=job.attempt,
        token=token,
        fence=job.fence,
        due_at_ms=job.due_at_ms,
        payload=job.payload,
        snoozes=job.snoozes,
        deaths=job.deaths,
        alone=job.alone,
        aborted=job.aborted,
        has_turn=job.has_turn,
        records=job.records,
        is_laned=job.is_laned,
        is_skipped=job.is_skipped,
        previous_delay_s=job.last_delay_ms / 1000 if job.last_delay_ms else None,
        clock=clock,
    )


def decode(attempt: Attempt, envelope: "Envelope") -> Outcome | None:
    """Read the payload into the attempt; an Outcome when it cannot be."""
    if attempt.payload is None:
        return Dead("missing_payload", arq.worker.JobExecutionFailed("job expired"))
    try:
        envelope.open(attempt)
    except Exception as error:  # noqa: BLE001 - a user's deserializer may raise anything
        return Dead("undecodable", error)
    return None


def admit(attempt: Attempt, runnable: "Runnable", server_now_ms: int) -> Outcome | None:
    """Say why the attempt is over before it starts, or None."""
    if attempt.aborted:
        return Cancelled("aborted before start")
    is_resumed = attempt.records == 2
    if attempt.expires_at_ms and server_now_ms > attempt.expires_at_ms and not is_resumed:
        return Dead("expired", Expired(f"not started by {attempt.expires_at_ms} ms"))
    if attempt.number > runnable.max_tries:
        return Dead("max_tries", arq.worker.JobExecutionFailed(f"max {runnable.max_tries} retries exceeded"))
    return None


def version_of(attempt: Attempt) -> int:
    """Give the version of the task by which the job was enqueued."""
    return 1 if attempt.meta is None else attempt.meta.r


def unknown(attempt: Attempt, known: Mapping[str, "Runnable"], *, grace_s: float, worker: str) -> Outcome:
    """Wait for a worker that knows the task (a rolling deploy): 1, 2, 4 … 60 s, until the grace is over."""
    if attempt.aborted:
        return Cancelled("aborted before start")
    what = f"task named '{attempt.task}'"
    if attempt.task in known:
        what = f"version {version_of(attempt)} of task '{attempt.task}'"
    waited = sum(min(60, 2**n) for n in range(min(attempt.snoozes, 10_000)))
    if waited < grace_s:
        delay_s = min(60, 2 ** min(attempt.snoozes, 10), grace_s - waited)
        return Snoozed(max(1, round(delay_s * 1000)), f"no {what} on worker {worker}")
    error = arq.worker.JobExecutionFailed(f"function {attempt.task!r} not found")
    if attempt.task in known:
        error = arq.worker.JobExecutionFailed(f"no {what}: this worker knows {known[attempt.task].version}")
    else:
        error.__cause__ = UnknownTask(f"this worker knows: {', '.join(sorted(known)[:20])}")
    return Dead("unknown_task", error)


def rebuild(attempt: Attempt, runnable: "Runnable") -> Outcome | None:
    """Turn plain JSON into what the signature names; an Outcome when it does not fit."""
    if runnable.parameters is None:
        return None
    if THEIR_CARRIER in attempt.kwargs and THEIR_CARRIER not in runnable.parameters.names:
        _adopt_trace(attempt)
    try:
        if runnable.version > version_of(attempt):
            attempt.args, attempt.kwargs = upcasted(
                runnable.task, attempt.args, attempt.kwargs, version_of(attempt)
            )
        attempt.args, attempt.kwargs = runnable.parameters.rebuild(attempt.task, attempt.args, attempt.kwargs)
    except InvalidArguments as error:
        return Dead("invalid_arguments", error)
    return None


def _adopt_trace(attempt: Attempt) -> None:
    """Take what an instrumented arq client put among the arguments for what it is: a trace's context."""
    given = attempt.kwargs.pop(THEIR_CARRIER)
    if isinstance(given, dict):
        carrier = {name: value for name, value in given.items() if isinstance(value, str)}
        attempt.meta = msgspec.structs.replace(attempt.meta or codec.Meta(), c=carrier)


def fit(attempt: Attempt, runnable: "Runnable") -> Outcome | None:
    """Make the arguments those of the task, and see to the lane; an Outcome when that is the end of it."""
    return rebuild(attempt, runnable) or sort(attempt, runnable)


def sort(attempt: Attempt, runnable: "Runnable") -> Outcome | None:
    """Send a job by its lane that came without one, as a stock client's or a replayed one; or None."""
    if attempt.is_skipped:
        return Succeeded(dict(SKIPPED))
    meta = attempt.meta
    priority, tenant = (None, None) if meta is None else (meta.p, meta.o)
    if attempt.is_laned or not (runnable.laning or priority is not None or tenant is not None):
        return None
    named: dict[str, Any] = {}
    try:
        if runnable.parameters is not None:
            named = runnable.parameters.named(attempt.task, attempt.args, attempt.kwargs)
        spec = runnable.laning.lane(attempt.task, named, priority=priority, tenant=tenant).spec
    except InvalidArguments as error:
        return Dead("invalid_arguments", error)
    return Sorted(spec) if spec else None


def prepare(attempt: Attempt, runnable: "Runnable", shared: Mapping[str, Any], enqueue_time: Any) -> Context:
    """Make the context the call gets."""
    ctx = Context(
        {
            **shared,
            "job_id": attempt.job_id,
            "job_try": attempt.number,
            "enqueue_time": enqueue_time,
            "score": attempt.due_at_ms,
        },
        attempt,
    )
    attempt.ctx = ctx
    attempt.function = runnable.function
    return ctx


def isolated() -> contextlib.AbstractContextManager[Any]:
    """Give each job its own Sentry scope when Sentry is in use, as its integration does for stock workers."""
    sentry = sys.modules.get("sentry_sdk")
    return contextlib.nullcontext() if sentry is None else sentry.isolation_scope()


def another_attempt(error: Exception) -> arq.worker.Retry:
    """Wrap what a task raised in arq's own Retry, to say to those around the call that this is not the end.

    Exactly that class: reporters compare types. The error rides along apart from ``__cause__``, which is the
    user's to set (``raise Retry(defer=5) from error``).
    """
    retry = arq.worker.Retry()
    vars(retry)[_MEANT] = error
    return retry


_MEANT = "runner_meant"


async def invoke(attempt: Attempt) -> Outcome:
    """Call the task's own code; never raises but to end the process or close the coroutine."""
    try:
        return Succeeded(await attempt.function.coroutine(attempt.ctx, *attempt.args, **attempt.kwargs))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a task raises is an outcome, sys.exit() too
        return classify(error, attempt)


def checked(returned: Any) -> Outcome:
    """Give what a call left, whatever a user's middleware returned."""
    if isinstance(returned, Outcome):
        return returned
    return Dead("failed", TypeError(f"a middleware returned {returned!r}, which is no Outcome"))


def classify(error: BaseException, attempt: Attempt) -> Outcome:
    """Turn what a call raised into an outcome, before the task's policy has its say."""
    if isinstance(error, arq.worker.Retry):
        if (meant := vars(error).get(_MEANT)) is None:
            return Retrying(error.defer_score or 0, "Retry", error)
        error = meant
    if isinstance(error, Suspension | BaseExceptionGroup) and (end := _suspended(error)) is not None:
        return end
    if isinstance(error, NotYet):
        return error.queued
    if isinstance(error, Snooze):
        return Snoozed(round(error.delay_s * 1000), error.reason)
    if isinstance(error, arq.worker.RetryJob):
        return Retrying(0, "RetryJob", error)
    if isinstance(error, asyncio.CancelledError):
        return _cancelled(error, attempt)
    return Failed(error)


def _suspended(error: BaseException) -> Suspended | None:
    """Give what a job waits for, also where several of its own asyncio tasks wait; None where one failed."""
    leaves = [error] if isinstance(error, Suspension) else list(_leaves(error))
    waits = [leaf for leaf in leaves if isinstance(leaf, Suspension)]
    if not waits or len(waits) < len(leaves):
        return None
    first = min(waits, key=lambda wait: wait.until_ms)
    return Suspended(first.slot, first.until_ms, first.reason)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _cancelled(error: asyncio.CancelledError, attempt: Attempt) -> Outcome:
    match attempt.cancel_reason:
        case "timeout":
            return Failed(TimeoutError("the hard timeout passed"))
        case "abort":
            return Cancelled()
        case "lost":
            return Lost()
        case "shutdown":
            return Released()
        case _:
            return Retrying(0, "cancelled", error)
