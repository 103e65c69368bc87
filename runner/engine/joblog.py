"""What a worker logs of its jobs: arq's lines for arq's settings, ours for ours.

Ours is one line per job end at most, without arguments and results: they may hold secrets.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from arq.utils import args_to_string, truncate

from ..job import Attempt
from ..outcome import (
    Cancelled,
    Dead,
    Outcome,
    Queued,
    Released,
    Retrying,
    Snoozed,
    Sorted,
    Succeeded,
    Suspended,
)
from .function import Runnable

logger = logging.getLogger("runner.engine")


class JobLog(Protocol):
    """Says what happens to jobs."""

    def started(self, attempt: Attempt, ref: str) -> None:
        """A call begins."""
        ...

    def ended(self, attempt: Attempt, ref: str, outcome: Outcome) -> None:
        """An attempt has ended."""
        ...


def say(line: Callable[..., None], attempt: Attempt, runnable: Runnable | None, *more: Outcome) -> None:
    """Log; what cannot be put in words must not cost the job its outcome."""
    is_cron = runnable is not None and runnable.is_cron
    try:
        line(attempt, attempt.task if is_cron else f"{attempt.job_id}:{attempt.task}", *more)
    except Exception:
        logger.exception("job %s: its log line could not be written", attempt.job_id)


class RunnerLog:
    """Ours, on the logger ``runner.job``; failures at WARNING: error reporters count them elsewhere."""

    def __init__(self) -> None:
        self._log = logging.getLogger("runner.job")

    def started(self, attempt: Attempt, ref: str) -> None:
        del attempt, ref

    def ended(self, attempt: Attempt, ref: str, outcome: Outcome) -> None:
        match outcome:
            case Succeeded():
                level, word, why = logging.INFO, "succeeded", ""
            case Retrying(delay_ms, reason):
                level, word, why = logging.INFO, "retrying", f" in {delay_ms / 1000:.3g} s: {reason}"
            case Snoozed(delay_ms, reason) | Queued(delay_ms, reason):
                level, word, why = logging.INFO, "snoozed", f" for {delay_ms / 1000:.3g} s: {reason}"
            case Suspended(reason=reason):
                level, word, why = logging.INFO, "suspended", f": {reason}"
            case Dead(reason, error):
                level, word, why = logging.WARNING, "dead", f" ({reason}): {type(error).__name__}"
            case Sorted():
                return
            case _:
                level, word, why = logging.INFO, type(outcome).__name__.lower(), ""
        if self._log.isEnabledFor(level):
            took = attempt.clock.now_ms() - attempt.started_at_ms if attempt.started_at_ms else 0
            self._log.log(
                level,
                "%s %s %s%s",
                ref,
                word,
                f"{took} ms, attempt {attempt.number}",
                why,
                extra={"job_id": attempt.job_id, "outcome": word},
            )


class ArqLog:
    """arq's own lines, to the letter, on arq's logger."""

    def __init__(self, *, log_results: bool) -> None:
        self._log = logging.getLogger("arq.worker")
        self._log_results = log_results

    def started(self, attempt: Attempt, ref: str) -> None:
        if not self._log.isEnabledFor(logging.INFO):
            return
        extra = f" try={attempt.number}" if attempt.number > 1 else ""
        late_ms = attempt.started_at_ms - attempt.due_at_ms
        if late_ms > 1200:
            extra += f" delayed={late_ms / 1000:0.2f}s"
        args = args_to_string(attempt.args, attempt.kwargs)
        self._log.info("%6.2fs → %s(%s)%s", self._age_s(attempt), ref, args, extra)

    def ended(self, attempt: Attempt, ref: str, outcome: Outcome) -> None:
        took = max(0, attempt.clock.now_ms() - attempt.started_at_ms) / 1000
        match outcome:
            case Succeeded(result):
                self._log.info("%6.2fs ← %s ● %s", took, ref, self._text(result))
            case Retrying(reason="Retry", delay_ms=delay_ms):
                self._log.info("%6.2fs ↻ %s retrying job in %0.2fs", took, ref, delay_ms / 1000)
            case Retrying() | Released() | Snoozed() | Queued() | Suspended():
                self._log.info("%6.2fs ↻ %s cancelled, will be run again", took, ref)
            case Sorted():
                pass
            case Cancelled(reason):
                when = took if attempt.started_at_ms else self._age_s(attempt)
                word = "aborted" if attempt.started_at_ms else reason
                self._log.info("%6.2fs ⊘ %s:%s %s", when, attempt.job_id, attempt.task, word)
            case Dead(reason, error):
                self._dead(attempt, ref, reason, error, took)
            case _:
                self._log.warning("%6.2fs ! %s lease lost", took, ref)

    def _dead(self, attempt: Attempt, ref: str, reason: str, error: BaseException, took: float) -> None:
        match reason:
            case "missing_payload":
                self._log.warning("job %s expired", attempt.job_id)
            case "undecodable":
                return
            case "unknown_task":
                self._log.warning("job %s, function %r not found", attempt.job_id, attempt.task)
            case "max_tries" if not attempt.started_at_ms:
                self._log.warning(
                    "%6.2fs ! %s max retries %d exceeded", self._age_s(attempt), ref, attempt.number - 1
                )
            case _:
                extra = getattr(error, "extra", None)
                self._log.error(
                    "%6.2fs ! %s failed, %s: %s",
                    took,
                    ref,
                    type(error).__name__,
                    error,
                    exc_info=error,
                    extra={"extra": extra() if callable(extra) else extra},
                )

    def _text(self, result: Any) -> str:
        if result is None or not self._log_results:
            return ""
        try:
            return truncate(repr(result))
        except Exception:  # noqa: BLE001 - a broken __repr__ must not cost the job its outcome
            return "(its text could not be read)"

    @staticmethod
    def _age_s(attempt: Attempt) -> float:
        started = attempt.started_at_ms or attempt.clock.now_ms()
        return (started - attempt.enqueued_at_ms) / 1000
