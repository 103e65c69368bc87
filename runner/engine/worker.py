"""arq's Worker with this engine underneath: the only subclass, and mostly delegation.

Read against arq 0.28.0. Inherited: construction, ``run``, ``async_run``, ``run_check``, ``run_cron``,
``record_health``, ``repr``. Replaced: ``main`` (rounds instead of a poll grid), ``_poll_iteration`` and ``start_jobs``
(one claim script), ``_cancel_aborted_jobs``, the signal handlers (they release jobs instead of failing them) and
``close`` (never raises on a dead link). Not used any more: ``run_job``, ``finish_job``, ``finish_failed_job``.
``tests/engine/test_arq_pin.py`` asserts that these names still have the signatures they were read with.
"""

import asyncio
import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from signal import SIGUSR1, Signals
from typing import Any

import arq.worker
from arq.connections import ArqRedis, create_pool, log_redis_info
from arq.cron import CronJob
from arq.worker import Function
from redis.exceptions import RedisError

from ..clock import SYSTEM_CLOCK
from ..errors import ServerError, ServerUnreachable
from ..job import Attempt
from ..middleware.chain import Middleware
from ..outcome import Cancelled, Dead, Lost, Outcome, Succeeded
from ..wire.keys import Keys, Layout, keys_of, keys_of_arq_queue
from ..wire.link import Link
from ..wire.scripts import End, Scripts
from ..wire.tracking import Tracking
from .claim import Rounds, ServedQueue
from .envelope import ArqEnvelope, Envelope, JsonEnvelope
from .function import Runnable, resolve
from .joblog import ArqLog, JobLog, RunnerLog
from .presence import Presence, default_name
from .renew import renew
from .running import Running
from .survive import Patience, is_passing
from .wake import Wake

logger = logging.getLogger("arq.worker")
POLL_WITHOUT_PUSHES_S = 0.25
"""How often an idle worker looks while the server does not push."""
SETTLE_PATIENCE_S = 10.0
"""How long a stopping worker tries to write its last outcomes; their leases end soon after anyway."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What this Worker knows beyond arq's parameters.

    Attributes:
        name: of this worker; empty for ``host:pid``.
        queues: weights by queue name; empty: arq's one ``queue_name``.
        strict: earlier queues always first, instead of by weight.
        layout: how keys are named.
        lease_s: how long a lease lasts; renewed at a third of it.
        unknown_task_grace_s: how long jobs of an unknown name wait for a worker that knows it.
        safety_poll_s: how often an idle worker looks although nothing was pushed.
        server_timeout_s: how long an answer of the server may take.
        speaks_json: JSON payloads and our own log lines, instead of arq's serializer and lines.
        result_limit: largest result envelope, in bytes; JSON only.
        middleware: around every job, outermost first.
        before_start: checks the server before the first claim; may refuse by raising.
    """

    name: str = ""
    queues: Mapping[str, int] = field(default_factory=dict[str, int])
    strict: bool = False
    layout: Layout = "classic"
    lease_s: float = 15.0
    unknown_task_grace_s: float = 0.0
    safety_poll_s: float = 5.0
    server_timeout_s: float = 5.0
    speaks_json: bool = False
    result_limit: int = 512 * 1024
    middleware: Sequence[Middleware] = ()
    before_start: Callable[[Any], Any] | None = None


class Worker(arq.worker.Worker):
    """A drop-in for ``arq.worker.Worker``: the same parameters, keys, hooks and signals.

    Args:
        functions: as arq's.
        engine: what arq has no parameter for; None for arq's behaviour where the two differ.
        **parameters: arq's own, by arq's names.
    """

    def __init__(
        self, functions: Sequence[Any] = (), *, engine: EngineOptions | None = None, **parameters: Any
    ) -> None:
        super().__init__(functions, **parameters)
        self.options = engine or EngineOptions()
        self.worker_name = self.options.name or default_name()
        self._link: Link | None = None
        self._wake = Wake()
        self._tracking: Tracking | None = None
        self._is_serving = False
        self._is_stopping = False
        self._is_closing = False
        self._served: asyncio.Future[None] | None = None
        self._must_look_for_aborts = True
        self._next_beat = 0.0
        self._upkeep_cursor: dict[str, int] = {}
        self._scripts = Scripts(self._execute)
        self._queues = [ServedQueue(keys, weight) for keys, weight in self._keys_served()]
        self._keys: dict[str, Keys] = {queue.keys.queue: queue.keys for queue in self._queues}
        self._running = self._make_running()
        self.tasks = self._running.tasks
        self.job_tasks = self._running.tasks
        self._rounds = Rounds(
            self._scripts,
            self._queues,
            worker=self.worker_name,
            lease_ms=round(self.options.lease_s * 1000),
            strict=self.options.strict,
            on_claimed=self._running.start,
            on_lost=self._note_lost,
            on_settled=self._note_settled,
        )

    # -- construction -----------------------------------------------------------------------------------------

    def _keys_served(self) -> list[tuple[Keys, int]]:
        if not self.options.queues:
            return [(keys_of_arq_queue(self.queue_name), 1)]
        return [(keys_of(name, self.options.layout), weight) for name, weight in self.options.queues.items()]

    def _make_running(self) -> Running:
        json = self.options.speaks_json
        envelope: Envelope = JsonEnvelope(self.options.result_limit) if json else ArqEnvelope(self.job_serializer, self.job_deserializer)
        log: JobLog = RunnerLog() if json else ArqLog(log_results=self.log_results)
        return Running(
            shared=self.ctx,
            envelope=envelope,
            log=log,
            worker=self.worker_name,
            unknown_task_grace_s=self.options.unknown_task_grace_s,
            default_keep_ms=-1 if self.keep_result_forever else round((self.keep_result_s or 0) * 1000),
            on_end=self._note_end,
            is_stopping=lambda: self._is_stopping or not self.allow_pick_jobs,
            settle=self._settle_unless_serving,
            count=self._count,
            may_retry=lambda: self.retry_jobs,
            on_start=self.on_job_start,
            on_finish=self.on_job_end,
            after_end=self.after_job_end,
        )

    def _resolve_functions(self) -> Mapping[str, Runnable]:
        return {
            name: resolve(
                function,
                around=self.options.middleware,
                default_timeout_s=self.job_timeout_s,
                default_max_tries=self.max_tries,
                keep_result_ms=self._keep_ms,
                on_stuck=self._running.abandon,
            )
            for name, function in self.functions.items()
        }

    def _keep_ms(self, function: Function | CronJob) -> int:
        forever = self.keep_result_forever if function.keep_result_forever is None else function.keep_result_forever
        seconds = self.keep_result_s if function.keep_result_s is None else function.keep_result_s
        return -1 if forever else round((seconds or 0) * 1000)

    def run(self) -> None:
        """Serve until told to stop; what is wrong with the server is one line on stderr and exit code 3."""
        try:
            super().run()
        except ServerError as error:
            print(error, file=sys.stderr)  # noqa: T201 - the person at the keyboard reads it
            raise SystemExit(3) from None

    # -- serving ------------------------------------------------------------------------------------------------

    async def main(self) -> None:
        """Serve until cancelled; in burst mode until the queues are empty."""
        await self._open()
        link = self._link = Link(self.pool.connection_pool, timeout_s=self.options.server_timeout_s)
        prefixes = (*self._keys, *{keys.abort for keys in self._keys.values()})
        tracking = self._tracking = Tracking(self.pool.connection_pool, link, prefixes=prefixes, on_change=self._note_changed)
        presence = Presence(self._execute, self.worker_name, self._about())
        self._is_stopping, self._is_closing, self._next_beat = False, False, 0.0
        served = self._served = self.loop.create_future()
        upkeep = self.loop.create_task(self._keep_up(presence, tracking))
        try:
            self._is_serving = True
            await self._serve()
        finally:
            await self._to_the_end(self._drain(upkeep, tracking, presence))
            served.set_result(None)

    async def _open(self) -> None:
        if self._pool is None:
            self._pool = await self._connect()
        logger.info("Starting worker for %d functions: %s", len(self.functions), ", ".join(self.functions))
        await log_redis_info(self.pool, logger.info)
        if self.options.before_start is not None:
            await self.options.before_start(self.pool)
        elif self.job_serializer is None:
            logger.warning("payloads are pickles: whoever can write to this server can run code here")
        self.ctx["redis"] = self.pool
        self._running.runnables = self._resolve_functions()
        if self.on_startup is not None:
            await self.on_startup(self.ctx)

    async def _connect(self) -> ArqRedis:
        try:
            return await create_pool(
                self.redis_settings,
                job_deserializer=self.job_deserializer,
                job_serializer=self.job_serializer,
                default_queue_name=self.queue_name,
                expires_extra_ms=self.expires_extra_ms,
            )
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            if not self.options.speaks_json:
                raise
            at = self.redis_settings
            where = at and (at.unix_socket_path or f"{at.host}:{at.port}")
            msg = f"no server at {where} ({error}); is it running, is redis.url right?"
            raise ServerUnreachable(msg) from error

    async def _serve(self) -> None:
        patience = Patience()
        while not self._is_closing:
            try:
                if await self._step():
                    patience.reset()
                elif self.burst and await self._is_burst_over():
                    return
                else:
                    await self._wake.sleep(self._sleep_s())
                    if self._tracking is not None and not self._tracking.is_on:
                        self._rounds.note_changed([])
            except (RedisError, OSError, asyncio.TimeoutError) as error:
                if not is_passing(error):
                    raise
                if patience.failures == 0:
                    logger.warning("the server is away (%s: %s); running jobs go on", type(error).__name__, error)
                await asyncio.sleep(patience.next_delay_s())

    async def _step(self) -> bool:
        """Do what is to be done now; False when there was nothing."""
        now = self.loop.time()
        self._rounds.note_time(now)
        if now >= self._next_beat:
            self._next_beat = now + (0.5 if self.cron_jobs else 1.0)
            await self.heart_beat()
        if self._must_look_for_aborts:
            self._must_look_for_aborts = False
            await self._cancel_aborted_jobs()
        slots = self._free_slots()
        if not self._rounds.has_work(slots=slots):
            return False
        await self._rounds.run(in_flight=len(self._running.attempts), slots=slots)
        return True

    def _free_slots(self) -> int:
        """Give how many more jobs may start; -1 when none may be claimed whatever ends."""
        attempts = self._running.attempts
        if not self.allow_pick_jobs or any(attempt.alone for attempt in attempts.values()):
            return -1
        slots = self.max_jobs - len(attempts)
        if self.burst and self.max_burst_jobs >= 0:
            left = self.max_burst_jobs - self._jobs_started()
            return -1 if left < 1 else min(slots, left)
        return min(slots, self.queue_read_limit)

    def _sleep_s(self) -> float:
        now = self.loop.time()
        until = min(self._next_beat, self._rounds.next_due_at() or self._next_beat)
        if self._tracking is not None and not self._tracking.is_on:
            until = min(until, now + POLL_WITHOUT_PUSHES_S)
        if self.burst:
            until = min(until, now + max(self.poll_delay_s or 0, 0.01))
        return max(0.001, until - now)

    async def _is_burst_over(self) -> bool:
        if 0 <= self.max_burst_jobs <= self._jobs_started():
            return not self._running.attempts
        waiting = [await self.pool.zcard(queue) for queue in self._keys]
        return not any(waiting) and not self._running.attempts

    # -- beside serving -----------------------------------------------------------------------------------------

    async def _keep_up(self, presence: Presence, tracking: Tracking) -> None:
        """Renew leases, look after what pushes may have missed, and say that this worker lives."""
        tracking.start()
        pause_s = self.options.lease_s / 3
        if not tracking.is_on:
            pause_s = min(pause_s, self.options.safety_poll_s)
        ticks = 0
        while True:
            with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):
                await self._renew()
                self._running.release_unstarted()
                if not self.burst and ticks % 2 == 0:
                    await presence.tell(
                        running=len(self._running.attempts),
                        completed=self.jobs_complete,
                        failed=self.jobs_failed,
                        retried=self.jobs_retried,
                        now_ms=SYSTEM_CLOCK.now_ms(),
                    )
                if ticks:
                    await self._maintain()
            ticks += 1
            await asyncio.sleep(pause_s)
            self._must_look_for_aborts = True
            self._note_changed([])

    async def _renew(self) -> None:
        attempts = [attempt for attempt in self._running.attempts.values() if not attempt.is_over]
        await renew(
            self._scripts,
            attempts,
            self._keys,
            lease_ms=round(self.options.lease_s * 1000),
            on_lost=lambda attempt: self._running.cancel(attempt, "lost"),
        )

    async def _maintain(self) -> None:
        for queue, keys in self._keys.items():
            cursor = self._upkeep_cursor.get(queue, 0)
            self._upkeep_cursor[queue] = await self._scripts.maintain(keys, cursor=cursor, limit=500)

    async def _cancel_aborted_jobs(self) -> None:
        """Cancel running jobs that somebody asked to abort."""
        if not (self.allow_abort_jobs or self.options.speaks_json):
            return
        for abort in {keys.abort for keys in self._keys.values()}:
            for job_id in await self._execute("ZRANGE", abort, 0, -1):
                attempt: Attempt | None = self._running.attempts.get(job_id.decode())
                if attempt is not None:
                    self._running.cancel(attempt, "abort")

    async def _drain(self, upkeep: "asyncio.Task[None]", tracking: Tracking, presence: Presence) -> None:
        """Let nothing be lost: cancelled calls end, outcomes are written, unfinished jobs are given back."""
        self._is_stopping = True
        for attempt in list(self._running.attempts.values()):
            self._running.cancel(attempt, "shutdown")
        deadline, patience = self.loop.time() + SETTLE_PATIENCE_S, Patience()
        while self._running.attempts and self.loop.time() < deadline:
            self._running.release_unstarted()
            try:
                if self._rounds.has_work(slots=-1):
                    await self._rounds.run(in_flight=len(self._running.attempts), slots=-1)
                    continue
            except (RedisError, OSError, asyncio.TimeoutError):
                await asyncio.sleep(patience.next_delay_s())
            await self._wake.sleep(0.1)
        await asyncio.gather(*self._running.closing.values(), return_exceptions=True)
        upkeep.cancel()
        await asyncio.gather(upkeep, tracking.close(), return_exceptions=True)
        if not self.burst:
            with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):
                await presence.leave()
        self._is_serving = False
        if self._link is not None:
            await self._link.close()
            self._link = None

    async def _to_the_end(self, draining: Any) -> None:
        """Finish draining even when cancelled again; a second signal has already cancelled the calls."""
        task = self.loop.create_task(draining)
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(task)
        task.result()

    # -- arq's methods, by hand ---------------------------------------------------------------------------------

    async def _poll_iteration(self) -> None:
        """Do one round outside ``main``; errors of the server are the caller's."""
        count = self.queue_read_limit
        if self.burst and self.max_burst_jobs >= 0:
            count = min(self.max_burst_jobs - self._jobs_started(), count)
            if count < 1:
                return
        self._running.runnables = self._running.runnables or self._resolve_functions()
        if self.allow_pick_jobs:
            await self._pick(count)
        await self._cancel_aborted_jobs()
        await self.heart_beat()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim and start as many due jobs as there are ids; which ones, the server decides."""
        self._running.runnables = self._running.runnables or self._resolve_functions()
        await self._pick(len(job_ids))

    async def _pick(self, count: int) -> None:
        self._rounds.note_changed([])
        slots = min(count, self.max_jobs - len(self._running.attempts))
        await self._rounds.run(in_flight=len(self._running.attempts), slots=slots if slots > 0 else -1)

    def handle_sig(self, signum: Signals) -> None:
        """Stop now: running calls are cancelled and their jobs given back unharmed."""
        self._is_stopping = True
        super().handle_sig(signum)

    def handle_sig_wait_for_completion(self, signum: Signals) -> None:
        """Stop claiming and let running jobs finish within the grace; a second signal stops now."""
        if not self.allow_pick_jobs:
            self.handle_sig(signum)
            return
        super().handle_sig_wait_for_completion(signum)

    async def close(self) -> None:
        """End what runs, tell ``on_shutdown``, close the connections; a dead server does not stop it."""
        if not self._handle_signals:
            self.handle_sig(SIGUSR1)
        if not self._pool:
            return
        self._is_closing = True
        self._wake.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        if self._served is not None:
            await self._served
        with contextlib.suppress(RedisError, OSError):
            await self.pool.delete(self.health_check_key)
        if self.on_shutdown is not None:
            await self.on_shutdown(self.ctx)
        with contextlib.suppress(RedisError, OSError):
            await self.pool.close(close_connection_pool=True)
        self._pool = None

    # -- news -----------------------------------------------------------------------------------------------------

    def _execute(self, *command: Any) -> Any:
        return self.pool.execute_command(*command) if self._link is None else self._link.execute(*command)

    def _note_changed(self, keys: list[bytes]) -> None:
        self._rounds.note_changed(keys)
        if not keys or any(key.endswith(b"abort") for key in keys):
            self._must_look_for_aborts = True
        self._wake.set()

    def _note_end(self, queue_key: str, end: End) -> None:
        self._rounds.add(queue_key, end)
        self._wake.set()

    def _note_settled(self, ends: Sequence[End]) -> None:
        for end in ends:
            self._running.forget(end.job_id, end.token)

    def _note_lost(self, end: End) -> None:
        logger.warning("job %s: its outcome was refused, another worker holds it now", end.job_id)

    async def _settle_unless_serving(self) -> None:
        if not self._is_serving:
            await self._rounds.run(in_flight=len(self._running.attempts), slots=-1)

    def _count(self, outcome: Outcome) -> None:
        if isinstance(outcome, Succeeded):
            self.jobs_complete += 1
        elif isinstance(outcome, Dead | Cancelled):
            self.jobs_failed += 1
        elif not isinstance(outcome, Lost):
            self.jobs_retried += 1

    def _about(self) -> Mapping[str, Any]:
        return {
            "queues": {queue.keys.name: queue.weight for queue in self._queues},
            "tasks": sorted(self.functions),
            "max_jobs": self.max_jobs,
            "started_at_ms": SYSTEM_CLOCK.now_ms(),
        }


def _signature() -> inspect.Signature:
    """Give arq's constructor signature plus ours: ``arq.worker.get_kwargs`` reads names off it."""
    ours = inspect.Parameter("engine", inspect.Parameter.KEYWORD_ONLY, default=None)
    stock = inspect.signature(arq.worker.Worker)
    return stock.replace(parameters=[*stock.parameters.values(), ours])


Worker.__signature__ = _signature()  # pyright: ignore[reportAttributeAccessIssue]
