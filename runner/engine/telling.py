"""Events of a worker's jobs. Nobody listening costs one look a claim and one a job."""

import logging
from collections.abc import Mapping

from .. import events
from ..job import Attempt, current_attempt
from ..outcome import Outcome
from ..wire.scripts import Claimed
from .claim import OnClaimed
from .joblog import JobLog
from .sharing import ServedQueue

logger = logging.getLogger("runner.engine")


def telling_claims(hold: OnClaimed, worker: str) -> OnClaimed:
    """Give what emits ``job.claimed`` for each job, and takes them in then."""

    def claimed(queue: ServedQueue, jobs: list[Claimed], token: str, now_ms: int) -> None:
        if events.is_heard("job.claimed"):
            for job in jobs:
                late_ms = max(0, now_ms - job.due_at_ms)
                events.emit(
                    "job.claimed", job_id=job.job_id, queue=queue.keys.name, late_ms=late_ms, worker=worker
                )
        hold(queue, jobs, token, now_ms)

    return claimed


def tell_stuck(attempt: Attempt, worker: str) -> None:
    """Log and emit that code goes on although its job was cancelled."""
    logger.warning(
        "job %s (%s) did not stop when cancelled (%s): its slot is free again, its code still runs",
        attempt.job_id,
        attempt.task,
        attempt.cancel_reason,
    )
    events.emit(
        "job.stuck",
        job_id=attempt.job_id,
        queue=attempt.queue,
        task=attempt.task,
        why=attempt.cancel_reason,
        worker=worker,
    )


class Telling:
    """A JobLog that emits ``job.ended`` beside what another one logs, and names the job to what is called.

    Args:
        log: what else is told.
        worker: name of the worker.
        names: of its queues, by ZSET.
    """

    def __init__(self, log: JobLog, worker: str, names: Mapping[str, str]) -> None:
        self._log = log
        self._worker = worker
        self._names = names

    def started(self, attempt: Attempt, ref: str) -> None:
        current_attempt.set(attempt)
        self._log.started(attempt, ref)

    def ended(self, attempt: Attempt, ref: str, outcome: Outcome) -> None:
        if events.is_heard("job.ended"):
            events.emit(
                "job.ended",
                job_id=attempt.job_id,
                queue=self._names[attempt.queue],
                task=attempt.task,
                attempt=attempt.number,
                outcome=outcome,
                due_at_ms=attempt.due_at_ms,
                enqueued_at_ms=attempt.enqueued_at_ms,
                started_at_ms=attempt.started_at_ms,
                ended_at_ms=attempt.clock.now_ms(),
                worker=self._worker,
            )
        self._log.ended(attempt, ref, outcome)
