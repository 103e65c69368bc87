"""Outcome to state: the one place that says what is written for each way an attempt can end."""

from typing import Any, assert_never

import msgspec
from arq.constants import keep_cronjob_progress

from ..job import Attempt
from ..outcome import (
    Cancelled,
    Dead,
    Failed,
    Lost,
    Outcome,
    Queued,
    Released,
    Retrying,
    Snoozed,
    Sorted,
    Succeeded,
    Suspended,
)
from ..wire.codec import describe_error
from ..wire.scripts import End
from .dead import with_follower
from .envelope import Envelope, tellable
from .function import Runnable
from .nodes import node_end, place_of


def ending_of(
    attempt: Attempt,
    outcome: Outcome,
    runnable: Runnable | None,
    envelope: Envelope,
    *,
    worker: str,
    default_keep_ms: int,
    may_be_node: bool,
) -> End | None:
    """Give all that is written of an attempt: its end, what follows a death, and whom to tell of a node's.

    Args:
        attempt: what ended.
        outcome: how.
        runnable: what the job's name stands for; None when it is not known here.
        envelope: writes results.
        worker: name of this worker.
        default_keep_ms: how long results of jobs without a Runnable are kept.
        may_be_node: whether jobs here can be nodes of workflows.
    """
    keep_ms = default_keep_ms if runnable is None else runnable.keep_result_ms
    node = place_of(attempt, outcome) if may_be_node else None
    if node is not None:  # its arguments may be large, and what it returned goes to the workflow
        attempt.args, attempt.kwargs, keep_ms = (), {}, -1
    is_cron = runnable is not None and runnable.is_cron
    lease_ms = round(keep_cronjob_progress * 1000) if is_cron else None
    end = end_of(attempt, outcome, envelope, worker=worker, keep_ms=keep_ms, lease_ms=lease_ms)
    if node is not None:
        end = node_end(end, node, outcome)
    return with_follower(end, runnable, attempt.queue, attempt.payload)


def end_of(
    attempt: Attempt, outcome: Outcome, envelope: Envelope, *, worker: str, keep_ms: int, lease_ms: int | None
) -> End | None:
    """Give what ``finish.lua`` writes; None when nothing may be written.

    Args:
        attempt: what ended.
        outcome: how.
        envelope: writes results.
        worker: name of this worker, for the job's history.
        keep_ms: how long a result is kept; -1 for ever, 0 not at all.
        lease_ms: arq's cron: the lease outlives the job by this, so that no stock peer runs it again.
    """
    match outcome:
        case Succeeded(result):
            try:
                data = envelope.result(attempt, success=True, value=result) if keep_ms else b""
            except Exception as error:  # noqa: BLE001 - a user's serializer may raise anything
                dead = Dead("unencodable_result", error)
                return end_of(attempt, dead, envelope, worker=worker, keep_ms=keep_ms, lease_ms=None)
            return _end(attempt, "done", keep_ms, data, _text(lease_ms))
        case Cancelled(reason):
            return _cancelled(attempt, envelope, keep_ms, reason, lease_ms)
        case Dead(reason, error):
            data = _failure(attempt, envelope, keep_ms, error, "expired" if reason == "expired" else "")
            return _end(
                attempt, "dead", keep_ms, data, f"{reason} " + _history(attempt, worker, reason, error)
            )
        case Retrying(delay_ms, reason, error):
            return _end(attempt, "again", delay_ms, b"", _history(attempt, worker, reason, error))
        case Snoozed() | Queued() | Suspended():
            return _later(attempt, outcome)
        case Sorted() | Released():
            return _given_back(attempt, outcome)
        case Lost():
            return None
        case Failed():
            raise AssertionError(outcome)
        case _:
            assert_never(outcome)


def _given_back(attempt: Attempt, outcome: Sorted | Released) -> End:
    verb, spec = ("sort", outcome.spec) if isinstance(outcome, Sorted) else ("back", "")
    return _end(attempt, verb, attempt.due_at_ms, b"", spec)


def _later(attempt: Attempt, outcome: Snoozed | Queued | Suspended) -> End:
    if isinstance(outcome, Suspended):
        return _end(attempt, "suspend", 0, outcome.slot.encode(), _clean(outcome.reason))
    place = (b"1" if outcome.has_place else b"0") if isinstance(outcome, Queued) else b""
    return _end(attempt, "later", outcome.delay_ms, place, _clean(outcome.reason))


def _text(lease_ms: int | None) -> str:
    return "" if lease_ms is None else str(lease_ms)


def _cancelled(attempt: Attempt, envelope: Envelope, keep_ms: int, reason: str, lease_ms: int | None) -> End:
    data = _failure(attempt, envelope, keep_ms, RuntimeError(reason), "cancelled")
    return _end(attempt, "done", keep_ms, data, _text(lease_ms))


def _failure(attempt: Attempt, envelope: Envelope, keep_ms: int, error: BaseException, end: str) -> bytes:
    return envelope.result(attempt, success=False, value=error, end=end) if keep_ms else b""


def _end(attempt: Attempt, verb: str, ms: int, result: bytes, note: str) -> End:
    return End(attempt.job_id, attempt.token, attempt.fence, verb, ms, result, note, attempt.number)


def _history(attempt: Attempt, worker: str, reason: str, error: BaseException | None) -> str:
    """Give the JSON kept of one attempt: number, start, end, worker, reason and error."""
    entry: dict[str, Any] = {
        "n": attempt.number,
        "task": _clean(attempt.task),
        "start": attempt.started_at_ms,
        "end": attempt.clock.now_ms(),
        "worker": worker,
        "reason": _clean(reason),
    }
    if error is not None:
        entry["error"] = msgspec.to_builtins(describe_error(tellable(error)))
    return msgspec.json.encode(entry).decode()


def _clean(reason: str) -> str:
    """Give a reason as it can be stored: short, and without lone surrogates."""
    return reason[:200].encode(errors="replace").decode()
