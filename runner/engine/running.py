"""What runs in this worker: attempts, the asyncio tasks that carry them, and the way to an outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from arq.utils import ms_to_datetime

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import LeaseLost
from ..job import Attempt
from ..middleware.ahead import Asking, Asks, ask_ahead, undo_all
from ..middleware.retry import decide
from ..outcome import Dead, Failed, Outcome, Released, Retrying
from ..wire.scripts import Claimed, End
from .attempt import admit, attempt_of, checked, classify, decode, fit, isolated, prepare, unknown, version_of
from .envelope import Envelope
from .finish import ending_of
from .function import Runnable
from .hooks import Closings, call_hook, closing_of, note_written
from .joblog import JobLog, say
from .nodes import Nodes
from .sharing import ServedQueue
from .telling import tell_stuck

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
        on_end: called with (queue key, end) for each outcome to write; None for nothing to write.
        stuck_after_s: how long a cancelled call may take to end before its slot is taken from it.
        is_stopping: whether a bare cancellation means that the worker stops.
        settle: writes outcomes now; does nothing while a serving loop does it.
        count: called with each outcome.
        nodes: knows nodes of workflows; None where jobs can be none.
        may_retry: arq's ``retry_jobs``: whether asking for another attempt is granted.
        on_start, on_finish, after_end: arq's hooks, the last one called once the outcome is written.
        attempts: by job id, until their outcome is written.
        held, ready: claimed, with the server's time of the claim, and of them those that begin in this round:
            these hold a slot.
        asking: how many begin when the server has answered what their call asks first: these, too.
        tasks: what carries those that have begun, until their outcome is decided: and these.
        closing: those that wait to tell ``after_end``.
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
    held: list[tuple[Attempt, int]] = field(default_factory=list[tuple[Attempt, int]])
    ready: list[Attempt] = field(default_factory=list[Attempt])
    asking: int = 0
    tasks: dict[str, asyncio.Task[Any]] = field(default_factory=dict[str, "asyncio.Task[Any]"])
    closing: Closings = field(default_factory=Closings)
    rng: Random = field(default_factory=Random)

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return len(self.tasks) + len(self.held) + len(self.ready) + self.asking

    def hold(self, queue: ServedQueue, jobs: list[Claimed], token: str, now_ms: int) -> None:
        """Take in what was claimed: from now on its lease is kept. ``begin`` calls it.

        A job that is still here was lost: its lease ran out unrenewed. Its earlier attempt ends.
        """
        for job in jobs:
            if (earlier := self.attempts.get(job.job_id)) is not None:
                self.cancel(earlier, "lost")
                self.tasks.pop(job.job_id, None)
            attempt = attempt_of(job, queue.keys.queue, token, self.clock)
            self.attempts[job.job_id] = attempt
            self.held.append((attempt, now_ms))

    def ask(self, most: int | None = None) -> Coroutine[Any, Any, None] | None:
        """Let those begin that first ask, and give what to await until they have; the rest is ready."""
        most = len(self.held) if most is None else most
        held, self.held = self.held[:most], self.held[most:]
        asking: list[Asking] = []
        begun = len(self.tasks)
        for attempt, now_ms in held:
            attempt.refused = Released() if self.is_stopping() else self._refusal(attempt, now_ms)
            if attempt.refused is not None or not self.runnables[attempt.task].begins_by_asking:
                self.ready.append(attempt)
            elif asks := self._asks(attempt):
                asking.append((attempt, asks))
            else:
                self._begin(attempt)
        self.asking += len(asking)
        return self._ask_and_begin(asking) if asking or len(self.tasks) > begun else None

    async def _ask_and_begin(self, asking: Sequence[Asking]) -> None:
        try:
            await ask_ahead(self.shared["effects"].holds, asking)
        finally:
            self.asking -= len(asking)
            for attempt, _ in asking:
                self._begin(attempt)

    async def begin(self, most: int | None = None) -> None:
        """Begin what is ready or held, at most so many of the latter; a worker that stops gives it back."""
        asking = self.ask(most)
        ready, self.ready = self.ready, []
        for attempt in ready:
            self._begin(attempt)
        if asking is not None:
            await asking

    def _begin(self, attempt: Attempt) -> None:
        if self.is_stopping():
            self._conclude(attempt, Released())
        elif attempt.cancel_reason:
            self._conclude(attempt, attempt.refused or classify(asyncio.CancelledError(), attempt))
        else:
            self.tasks[attempt.job_id] = asyncio.get_running_loop().create_task(self._run(attempt))

    def cancel(self, attempt: Attempt, reason: str) -> None:
        """Cancel the call of an attempt; if its code does not stop, the slot is taken from it."""
        is_current = self.attempts.get(attempt.job_id) is attempt
        if attempt.is_over or not is_current or attempt.cancel_reason == reason:
            return
        attempt.cancel_reason = attempt.cancel_reason or reason
        if (running := self.tasks.get(attempt.job_id)) is None:  # it will not begin
            return
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
        if self.in_flight != 1:
            return False
        attempts = [attempt for attempt, _ in self.held] or [self.attempts[job_id] for job_id in self.tasks]
        return any(attempt.alone for attempt in attempts)

    def forget(self, job_id: str, token: str) -> None:
        """Free the slot of an attempt whose outcome is written."""
        attempt = self.attempts.get(job_id)
        if attempt is not None and attempt.token == token:
            del self.attempts[job_id]
        note_written(job_id, token, self.closing)

    async def _run(self, attempt: Attempt) -> None:
        with isolated():
            try:
                outcome = await self._attempt(attempt)
                if attempt.is_over:
                    return
                if attempt.ctx is not None and self.on_finish is not None:
                    await call_hook("on_job_end", self.on_finish, attempt)
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
        with closing_of(attempt, self.closing) as written:
            self._conclude(attempt, outcome)
            await self.settle()
            if self.attempts.get(attempt.job_id) is attempt:
                await written
            await call_hook("after_job_end", after_end, attempt)

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
            say(self.log.started, attempt, runnable)
            outcome = await runnable.run(attempt)
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a hook's or a middleware's fault is the job's, not the worker's
            outcome = classify(error, attempt)
        outcome = checked(outcome)
        return self._judge(attempt, outcome.error) if isinstance(outcome, Failed) else outcome

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
        runnable = self.runnables.get(attempt.task)
        end = ending_of(
            attempt,
            outcome,
            runnable,
            self.envelope,
            worker=self.worker,
            default_keep_ms=self.default_keep_ms,
            may_be_node=self.nodes is not None,
        )
        if end is None and is_current:
            del self.attempts[attempt.job_id]
        self.on_end(attempt.queue, end)
        say(self.log.ended, attempt, runnable, outcome)
