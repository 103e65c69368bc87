"""What runs in this worker: attempts, the asyncio tasks that carry them, and how each is brought to its outcome."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import arq.worker
from arq.utils import ms_to_datetime

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import LeaseLost
from ..job import Attempt
from ..middleware.retry import decide
from ..middleware.timeout import STUCK_AFTER_S
from ..outcome import Cancelled, Dead, Lost, Outcome, Released, Retrying, Snoozed
from ..wire.scripts import Claimed, End
from .attempt import UnknownTask, admit, classify, decode, prepare, rebuild
from .claim import ServedQueue
from .envelope import Envelope
from .finish import end_of
from .function import Runnable
from .joblog import JobLog

logger = logging.getLogger("runner.engine")

Hook = Callable[[Any], Awaitable[None]] | None


@dataclass
class Running:
    """The attempts of one worker.

    Attributes:
        shared: arq's ``ctx``: what every call gets.
        envelope: reads payloads and writes results.
        log: says what happens to jobs.
        worker: this worker's name.
        unknown_task_grace_s: how long jobs of an unknown name wait before they are dead; 0 for not at all.
        default_keep_ms: how long results of jobs without a Runnable are kept.
        on_end: called with (queue key, end) for each outcome to write.
        is_stopping: whether a bare cancellation means that the worker stops.
        settle: writes outcomes now; does nothing while a serving loop does it.
        count: called with each outcome.
        may_retry: arq's ``retry_jobs``: whether asking for another attempt is granted.
    """

    shared: dict[Any, Any]
    envelope: Envelope
    log: JobLog
    worker: str
    unknown_task_grace_s: float
    default_keep_ms: int
    on_end: Callable[[str, End], None]
    is_stopping: Callable[[], bool]
    settle: Callable[[], Awaitable[None]]
    count: Callable[[Outcome], None]
    may_retry: Callable[[], bool]
    runnables: Mapping[str, Runnable] = field(default_factory=dict[str, Runnable])
    on_start: Hook = None
    on_finish: Hook = None
    after_end: Hook = None
    clock: Clock = SYSTEM_CLOCK
    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict[str, "asyncio.Task[Any]"])
    closing: dict[str, asyncio.Future[None]] = field(default_factory=dict[str, "asyncio.Future[None]"])
    rng: Random = field(default_factory=Random)

    def start(self, queue: ServedQueue, jobs: list[Claimed], token: str, now_ms: int) -> None:
        """Begin an attempt of each claimed job."""
        loop = asyncio.get_running_loop()
        for job in jobs:
            attempt = Attempt(
                job_id=job.job_id,
                queue=queue.keys.queue,
                number=job.attempt,
                token=token,
                fence=job.fence,
                due_at_ms=job.due_at_ms,
                payload=job.payload,
                snoozes=job.snoozes,
                deaths=job.deaths,
                alone=job.alone,
                aborted=job.aborted,
                previous_delay_s=job.last_delay_ms / 1000 if job.last_delay_ms else None,
                clock=self.clock,
            )
            self.attempts[job.job_id] = attempt
            self.tasks[job.job_id] = loop.create_task(self._run(attempt, now_ms))

    def cancel(self, attempt: Attempt, reason: str) -> None:
        """Cancel the call of an attempt; if its code does not stop, the slot is taken from it."""
        running = self.tasks.get(attempt.job_id)
        if attempt.is_over or running is None or self.attempts.get(attempt.job_id) is not attempt:
            return
        attempt.cancel_reason = attempt.cancel_reason or reason
        running.cancel(LeaseLost.__name__ if reason == "lost" else reason)
        asyncio.get_running_loop().call_later(STUCK_AFTER_S, self.abandon, attempt)

    def abandon(self, attempt: Attempt) -> None:
        """Take the slot from an attempt whose code does not end although it was cancelled."""
        if attempt.is_over:
            return
        logger.warning(
            "job %s (%s) did not stop when cancelled (%s): its slot is free again, its code still runs",
            attempt.job_id,
            attempt.task,
            attempt.cancel_reason,
        )
        outcome = classify(asyncio.CancelledError(), attempt)
        if attempt.cancel_reason == "timeout":
            outcome = self._judge(attempt, TimeoutError("the hard timeout passed, and the task did not stop"))
        self._conclude(attempt, outcome)

    def release_unstarted(self) -> None:
        """Give back attempts whose asyncio task was cancelled before its first step."""
        for attempt in list(self.attempts.values()):
            running = self.tasks.get(attempt.job_id)
            if not attempt.is_over and running is not None and running.done():
                self._conclude(attempt, Released())

    def forget(self, job_id: str, token: str) -> None:
        """Free the slot of an attempt whose outcome is written."""
        attempt = self.attempts.get(job_id)
        if attempt is not None and attempt.token == token:
            del self.attempts[job_id]
            if (closing := self.closing.get(job_id)) is not None and not closing.done():
                closing.set_result(None)

    async def _run(self, attempt: Attempt, now_ms: int) -> None:
        with _isolated():
            outcome = await self._attempt(attempt, now_ms)
            if attempt.is_over:
                return
            if attempt.ctx is not None and self.on_finish is not None:
                await self._hook("on_job_end", self.on_finish, attempt)
            if attempt.ctx is None or self.after_end is None:
                self._conclude(attempt, outcome)
                await self.settle()
                return
            await self._conclude_then(self.after_end, attempt, outcome)

    async def _conclude_then(self, after_end: Callable[[Any], Awaitable[None]], attempt: Attempt, outcome: Outcome) -> None:
        """Pass an outcome on, and call ``after_job_end`` once it is written."""
        written = self.closing[attempt.job_id] = asyncio.get_running_loop().create_future()
        self._conclude(attempt, outcome)
        await self.settle()
        if attempt.job_id in self.attempts:
            await written
        await self._hook("after_job_end", after_end, attempt)
        del self.closing[attempt.job_id]

    async def _attempt(self, attempt: Attempt, now_ms: int) -> Outcome:
        if (refused := decode(attempt, self.envelope)) is not None:
            return refused
        runnable = self.runnables.get(attempt.task)
        if runnable is None:
            return Cancelled("aborted before start") if attempt.aborted else self._unknown(attempt)
        if (refused := admit(attempt, runnable, now_ms) or rebuild(attempt, runnable)) is not None:
            return refused
        prepare(attempt, runnable, self.shared, ms_to_datetime(attempt.enqueued_at_ms))
        try:
            if self.on_start is not None:
                await self.on_start(attempt.ctx)
            attempt.started_at_ms = self.clock.now_ms()
            self.log.started(attempt, self._ref(attempt))
            return await runnable.run(attempt)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - a hook's or a middleware's fault fails the job
            outcome = classify(error, attempt)
            return outcome if isinstance(error, asyncio.CancelledError) else self._judge(attempt, error)

    def _unknown(self, attempt: Attempt) -> Outcome:
        """Wait for a worker that knows the task, as in a rolling deploy: 1, 2, 4 … 60 s, until the grace is used up."""
        waited = sum(min(60, 2**n) for n in range(min(attempt.snoozes, 10_000)))
        if waited < self.unknown_task_grace_s:
            delay_s = min(60, 2 ** min(attempt.snoozes, 10), self.unknown_task_grace_s - waited)
            return Snoozed(max(1, round(delay_s * 1000)), f"no task named '{attempt.task}' on worker {self.worker}")
        known = ", ".join(sorted(self.runnables)[:20])
        error = arq.worker.JobExecutionFailed(f"function {attempt.task!r} not found")
        error.__cause__ = UnknownTask(f"this worker knows: {known}")
        return Dead("unknown_task", error)

    def _judge(self, attempt: Attempt, error: BaseException) -> Outcome:
        runnable = self.runnables.get(attempt.task)
        if runnable is None or runnable.policy is None:
            return Dead("failed", error)
        return decide(runnable.policy, attempt, error, self.rng)

    def _conclude(self, attempt: Attempt, outcome: Outcome) -> None:
        """Count, log and pass on an outcome; from here on nothing the call does matters."""
        if isinstance(outcome, Retrying) and outcome.reason == "cancelled" and self.is_stopping():
            outcome = Released()
        elif isinstance(outcome, Retrying) and not self.may_retry():
            outcome = Dead("failed", outcome.error or RuntimeError(outcome.reason))
        attempt.is_over = True
        self.tasks.pop(attempt.job_id, None)
        self.count(outcome)
        self.log.ended(attempt, self._ref(attempt), outcome)
        runnable = self.runnables.get(attempt.task)
        is_cron = runnable is not None and runnable.is_cron
        end = end_of(
            attempt,
            outcome,
            self.envelope,
            worker=self.worker,
            keep_ms=self.default_keep_ms if runnable is None else runnable.keep_result_ms,
            keep_lease_ms=round(arq.worker.keep_cronjob_progress * 1000) if is_cron else None,
        )
        if end is None:
            self.attempts.pop(attempt.job_id, None)
        else:
            self.on_end(attempt.queue, end)

    def _ref(self, attempt: Attempt) -> str:
        runnable = self.runnables.get(attempt.task)
        if runnable is not None and runnable.is_cron:
            return attempt.task
        return f"{attempt.job_id}:{attempt.task}"

    async def _hook(self, name: str, hook: Callable[[Any], Awaitable[None]], attempt: Attempt) -> None:
        try:
            await hook(attempt.ctx)
        except Exception:
            logger.exception("%s of job %s (%s) raised; the job's outcome stands", name, attempt.job_id, attempt.task)


def _isolated() -> contextlib.AbstractContextManager[Any]:
    """Give each job its own Sentry scope when Sentry is in use, as its arq integration does for stock workers."""
    sentry = sys.modules.get("sentry_sdk")
    return contextlib.nullcontext() if sentry is None else sentry.isolation_scope()
