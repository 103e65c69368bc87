"""What runs in this worker: attempts, the asyncio tasks that carry them, and the way to an outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from arq.utils import ms_to_datetime

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import LeaseLost
from ..job import Attempt
from ..middleware.ahead import Asking, Asks, ask_ahead, undo_all
from ..middleware.retry import decide
from ..outcome import Dead, Failed, Outcome, Released, Retrying
from ..wire.scripts import Claimed, End
from .attempt import admit, attempt_of, classify, decode, fit, isolated, prepare, unknown, version_of
from .claim import Begun, ServedQueue
from .envelope import Envelope
from .finish import ending_of
from .function import Runnable
from .joblog import JobLog
from .nodes import Nodes
from .telling import tell_stuck

logger = logging.getLogger("runner.engine")

Hook = Callable[[Any], Awaitable[None]] | None


class Closing(NamedTuple):
    """An attempt that waits to tell ``after_job_end``."""

    written: asyncio.Future[None]
    carrier: asyncio.Task[Any] | None


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
        on_end: called with (queue key, end) for each outcome to write; None for nothing to write.
        stuck_after_s: how long a cancelled call may take to end before its slot is taken from it.
        is_stopping: whether a bare cancellation means that the worker stops.
        settle: writes outcomes now; does nothing while a serving loop does it.
        count: called with each outcome.
        nodes: knows nodes of workflows; None where jobs can be none.
        may_retry: arq's ``retry_jobs``: whether asking for another attempt is granted.
        on_start, on_finish, after_end: arq's hooks, the last one called once the outcome is written.
        attempts: by job id, until their outcome is written.
        tasks: what carries them, until their outcome is decided: these hold a slot.
        closing: by (job id, token).
    """

    shared: dict[Any, Any]
    envelope: Envelope
    log: JobLog
    worker: str
    unknown_task_grace_s: float
    default_keep_ms: int
    on_end: Callable[[str, End | None], None]
    stuck_after_s: float
    is_stopping: Callable[[], bool]
    settle: Callable[[], Awaitable[None]]
    count: Callable[[Outcome], None]
    may_retry: Callable[[], bool]
    nodes: Nodes | None = None
    runnables: Mapping[str, Runnable] = field(default_factory=dict[str, Runnable])
    on_start: Hook = None
    on_finish: Hook = None
    after_end: Hook = None
    clock: Clock = SYSTEM_CLOCK
    attempts: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict[str, "asyncio.Task[Any]"])
    closing: dict[tuple[str, str], Closing] = field(default_factory=dict[tuple[str, str], Closing])
    rng: Random = field(default_factory=Random)

    def start(self, queue: ServedQueue, jobs: list[Claimed], token: str, now_ms: int) -> Begun:
        """Begin an attempt of each claimed job; a worker that stops gives them back.

        A job that is still here was lost: its lease ran out unrenewed. Its earlier attempt ends.
        Those whose call begins with a question to the server are asked for first, all at once.
        """
        asking: list[Asking] = []
        for job in jobs:
            if (earlier := self.attempts.get(job.job_id)) is not None:
                self.cancel(earlier, "lost")
            attempt = attempt_of(job, queue.keys.queue, token, self.clock)
            attempt.refused = Released() if self.is_stopping() else self._refusal(attempt, now_ms)
            if attempt.refused is None and (asks := self._asks(attempt)):
                asking.append((attempt, asks))
            else:
                self._begin(attempt)
        return self._ask_and_begin(asking) if asking else None

    async def _ask_and_begin(self, asking: list[Asking]) -> None:
        await ask_ahead(self.shared["effects"].holds, asking)
        for attempt, _ in asking:
            self._begin(attempt)

    def _begin(self, attempt: Attempt) -> None:
        self.attempts[attempt.job_id] = attempt
        self.tasks.pop(attempt.job_id, None)
        if self.is_stopping():
            self._conclude(attempt, Released())
        else:
            self.tasks[attempt.job_id] = asyncio.get_running_loop().create_task(self._run(attempt))

    def cancel(self, attempt: Attempt, reason: str) -> None:
        """Cancel the call of an attempt; if its code does not stop, the slot is taken from it."""
        running = self.tasks.get(attempt.job_id)
        if attempt.is_over or running is None or self.attempts.get(attempt.job_id) is not attempt:
            return
        if attempt.cancel_reason == reason:
            return
        attempt.cancel_reason = attempt.cancel_reason or reason
        if not running.cancelling():
            running.cancel(LeaseLost.__name__ if reason == "lost" else reason)
        asyncio.get_running_loop().call_later(self.stuck_after_s, self.abandon, attempt)

    def abandon(self, attempt: Attempt) -> None:
        """Take the slot from an attempt whose code does not end although it was cancelled."""
        if attempt.is_over:
            return
        tell_stuck(attempt, self.worker)
        outcome = classify(asyncio.CancelledError(), attempt)
        if attempt.cancel_reason == "timeout":
            outcome = self._judge(attempt, TimeoutError("the hard timeout passed, and the task did not stop"))
        self._conclude(attempt, outcome)

    def release_unstarted(self) -> None:
        """End attempts whose asyncio task was cancelled before its first step."""
        for attempt in list(self.attempts.values()):
            running = self.tasks.get(attempt.job_id)
            if not attempt.is_over and running is not None and running.done():
                is_known = bool(attempt.cancel_reason)
                outcome = classify(asyncio.CancelledError(), attempt) if is_known else Released()
                self._conclude(attempt, outcome)

    def is_one_alone(self) -> bool:
        """Say whether a suspect runs, which has the worker to itself."""
        return len(self.tasks) == 1 and any(self.attempts[job_id].alone for job_id in self.tasks)

    def forget(self, job_id: str, token: str) -> None:
        """Free the slot of an attempt whose outcome is written."""
        attempt = self.attempts.get(job_id)
        if attempt is not None and attempt.token == token:
            del self.attempts[job_id]
        closing = self.closing.get((job_id, token))
        if closing is not None and not closing.written.done():
            closing.written.set_result(None)

    async def _run(self, attempt: Attempt) -> None:
        with isolated():
            try:
                outcome = await self._attempt(attempt)
                if attempt.is_over:
                    return
                if attempt.ctx is not None and self.on_finish is not None:
                    await self._hook("on_job_end", self.on_finish, attempt)
                    if attempt.is_over:
                        return
                if attempt.ctx is None or self.after_end is None:
                    self._conclude(attempt, outcome)
                    await self.settle()
                    return
                await self._conclude_then(self.after_end, attempt, outcome)
            finally:
                attempt.ctx = None  # they name each other: nothing for the garbage collector

    async def _conclude_then(
        self, after_end: Callable[[Any], Awaitable[None]], attempt: Attempt, outcome: Outcome
    ) -> None:
        """Pass an outcome on, and call ``after_job_end`` once it is written."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        key = (attempt.job_id, attempt.token)
        self.closing[key] = Closing(written, asyncio.current_task())
        try:
            self._conclude(attempt, outcome)
            await self.settle()
            if self.attempts.get(attempt.job_id) is attempt:
                await written
            await self._hook("after_job_end", after_end, attempt)
        finally:
            del self.closing[key]

    def _refusal(self, attempt: Attempt, now_ms: int) -> Outcome | None:
        """Say what is known before anybody is asked: why it is not called, or None."""
        if (refused := decode(attempt, self.envelope)) is not None:
            return refused
        runnable = self.runnables.get(attempt.task)
        if runnable is None or runnable.version < version_of(attempt):
            return unknown(attempt, self.runnables, grace_s=self.unknown_task_grace_s, worker=self.worker)
        try:
            refused = admit(attempt, runnable, now_ms)
            return refused or (None if self._is_node(attempt) else fit(attempt, runnable))
        except Exception as error:  # noqa: BLE001 - a model or upcaster of the user's: the job's fault, not the worker's
            return self._judge(attempt, error)

    def _is_node(self, attempt: Attempt) -> bool:
        return attempt.meta is not None and attempt.meta.w and self.nodes is not None

    def _asks(self, attempt: Attempt) -> Sequence[Asks]:
        """Give what is asked before the call; nothing where something else comes first."""
        if self.on_start is not None or self._is_node(attempt):
            return ()
        return self.runnables[attempt.task].asks

    async def _attempt(self, attempt: Attempt) -> Outcome:
        if attempt.refused is not None:
            return attempt.refused
        runnable = self.runnables[attempt.task]
        if self.nodes is not None and self._is_node(attempt):
            refused = await self.nodes.admit(attempt, takes_results=runnable.takes_results)
            if (refused := refused or fit(attempt, runnable)) is not None:
                return refused
        prepare(attempt, runnable, self.shared, ms_to_datetime(attempt.enqueued_at_ms))
        try:
            if self.on_start is not None:
                await self.on_start(attempt.ctx)
            attempt.started_at_ms = self.clock.now_ms()
            self._say(self.log.started, attempt)
            outcome = await runnable.run(attempt)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a hook's or a middleware's fault is the job's, not the worker's
            outcome = classify(error, attempt)
        return self._decided(attempt, outcome)

    def _decided(self, attempt: Attempt, outcome: Any) -> Outcome:
        """Give what can be written, whatever a hook or a user's middleware left."""
        if isinstance(outcome, Failed):
            return self._judge(attempt, outcome.error)
        if not isinstance(outcome, Outcome):
            return Dead("failed", TypeError(f"a middleware returned {outcome!r}, which is no Outcome"))
        return outcome

    def _judge(self, attempt: Attempt, error: BaseException) -> Outcome:
        runnable = self.runnables.get(attempt.task)
        if runnable is None or runnable.policy is None:
            return Dead("failed", error)
        try:
            return decide(runnable.policy, attempt, error, self.rng)
        except Exception as broken:  # noqa: BLE001 - a backoff of the user's
            return Dead("failed", broken)

    def _conclude(self, attempt: Attempt, outcome: Outcome) -> None:
        """Count, pass on and log an outcome; from here on nothing the call does matters."""
        if isinstance(outcome, Retrying) and outcome.reason == "cancelled" and self.is_stopping():
            outcome = Released()
        elif isinstance(outcome, Retrying) and not self.may_retry():
            outcome = Dead("failed", outcome.error or RuntimeError(outcome.reason))
        attempt.is_over = True
        undo_all(attempt)
        is_current = self.attempts.get(attempt.job_id) is attempt
        if is_current:
            self.tasks.pop(attempt.job_id, None)
        self.count(outcome)
        end = ending_of(
            attempt,
            outcome,
            self.runnables.get(attempt.task),
            self.envelope,
            worker=self.worker,
            default_keep_ms=self.default_keep_ms,
            may_be_node=self.nodes is not None,
        )
        if end is None and is_current:
            del self.attempts[attempt.job_id]
        self.on_end(attempt.queue, end)
        self._say(self.log.ended, attempt, outcome)

    def _say(self, line: Callable[..., None], attempt: Attempt, *more: Outcome) -> None:
        """Log; what cannot be put in words must not cost the job its outcome."""
        try:
            line(attempt, self._ref(attempt), *more)
        except Exception:
            logger.exception("job %s: its log line could not be written", attempt.job_id)

    def _ref(self, attempt: Attempt) -> str:
        runnable = self.runnables.get(attempt.task)
        is_cron = runnable is not None and runnable.is_cron
        return attempt.task if is_cron else f"{attempt.job_id}:{attempt.task}"

    async def _hook(self, name: str, hook: Callable[[Any], Awaitable[None]], attempt: Attempt) -> None:
        """Call a hook after the call: whatever it raises, a cancellation too, the outcome stands."""
        try:
            await hook(attempt.ctx)
        except (Exception, asyncio.CancelledError, SystemExit):
            text = "%s of job %s (%s) raised; the job's outcome stands"
            logger.exception(text, name, attempt.job_id, attempt.task)
