"""arq's Worker with this engine underneath: the only subclass, and mostly delegation.

Read against arq 0.28.0. Inherited: construction, ``async_run``, ``run_check``, ``record_health``.
Replaced: ``main`` (rounds instead of a poll grid), ``_poll_iteration`` and ``start_jobs`` (one claim script),
``_cancel_aborted_jobs``, the signal handlers (they release jobs instead of failing them), ``run`` (a server
that cannot be used is one line), ``close`` (never raises on a dead link) and, in ``arq_cron``, ``run_cron``.
Not used: ``run_job``, ``finish_job``, ``finish_failed_job``. ``tests/engine/test_arq_pin.py`` pins the names.
"""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Sequence
from signal import SIGUSR1, Signals
from typing import Any, cast

import arq.worker
from redis.asyncio.connection import ConnectionPool

from ..errors import ServerError
from ..middleware.effects import Effects
from ..outcome import Cancelled, Dead, Outcome, Queued, Released, Retrying, Snoozed, Succeeded, Suspended
from ..wire.opening import AnyLink, AnyTracking, listened_for, open_link, open_tracking
from ..wire.scripts import End, Scripts
from . import build
from .arq_cron import CronWorker, beside_of
from .beside import Companions
from .claim import Rounds
from .connect import connect, greet
from .drain import drain, to_the_end
from .loop_watch import LoopWatch
from .nodes import noting_ends
from .options import EngineOptions
from .presence import Presence, about, default_name
from .running import Running
from .serve import Serving
from .survive import TROUBLE
from .telling import telling_claims
from .upkeep import Upkeep
from .wake import Wake

__all__ = ["EngineOptions", "Worker"]
logger = logging.getLogger("arq.worker")


class Worker(CronWorker):
    """A drop-in for ``arq.worker.Worker``: the same parameters, keys, hooks and signals.

    Args:
        functions: as arq's.
        engine: what arq has no parameter for; None for arq's behaviour where the two differ.
        **parameters: arq's own, by arq's names.
    """

    _effects: Effects | None = None
    _link: AnyLink | None = None
    _tracking: AnyTracking | None = None
    _served: asyncio.Future[None] | None = None

    def __init__(
        self, functions: Sequence[Any] = (), *, engine: EngineOptions | None = None, **parameters: Any
    ) -> None:
        super().__init__(functions, **parameters)
        self.options = engine or EngineOptions()
        self.worker_name = self.options.name or default_name()
        self._is_serving = self._is_stopping = False
        self._wake = Wake()
        self._queues = build.queues_of(self.options, self.queue_name)
        self._keys = {queue.keys.queue: queue.keys for queue in self._queues}
        beside = beside_of(self, self._queues[0].keys, self.options.beside)
        self._nodes = build.nodes_of(self.options, self._execute, self._keys, self._note_changed)
        self._companions = Companions(build.with_nodes(beside, self._nodes), self._execute)
        self._running = self._make_running()
        self._loop_watch = LoopWatch(self._running, self.options.blocked_after_s)
        self.tasks = self.job_tasks = self._running.tasks
        self._rounds = Rounds(
            Scripts(self._execute),
            self._queues,
            worker=self.worker_name,
            lease_ms=round(self.options.lease_s * 1000),
            strict=self.options.strict,
            on_claimed=telling_claims(self._running.hold, self.worker_name),
            on_settled=noting_ends(self._running.forget, self._nodes),
            before_ends=lambda: self._effects and self._effects.before_outcomes(),
            on_cancels=lambda: self._note_changed([b"abort"]),
        )
        self._upkeep = self._make_upkeep()
        self._serving = self._make_serving()

    def _make_running(self) -> Running:
        return Running(
            shared=self.ctx,
            envelope=build.envelope_of(self, self.options),
            log=build.log_of(self, self.options, self.worker_name, self._queues),
            worker=self.worker_name,
            unknown_task_grace_s=self.options.unknown_task_grace_s,
            default_keep_ms=build.default_keep_ms(self),
            on_end=self._note_end,
            stuck_after_s=self.options.stuck_after_s,
            is_stopping=lambda: self._is_stopping or not self.allow_pick_jobs,
            settle=self._settle_unless_serving,
            count=self._count,
            may_retry=lambda: self.retry_jobs,
            nodes=self._nodes,
            on_start=self.on_job_start,
            on_finish=self.on_job_end,
            after_end=self.after_job_end,
        )

    def _make_upkeep(self) -> Upkeep:
        return Upkeep(
            execute=self._execute,
            scripts=Scripts(self._execute),
            keys=self._keys,
            running=self._running,
            lease_s=self.options.lease_s,
            safety_poll_s=self.options.safety_poll_s,
            counts=lambda: (self.jobs_complete, self.jobs_failed, self.jobs_retried),
            on_tick=lambda: self._note_changed([]),
            retention=self.options.retention,
            rules=self.options.rules,
            tell_more=build.telling_more(self.ctx),
        )

    def _make_serving(self) -> Serving:
        return Serving(
            limits=self,
            running=self._running,
            rounds=self._rounds,
            wake=self._wake,
            upkeep=self._upkeep,
            look_for_aborts=self._cancel_aborted_jobs,
            jobs_started=lambda: self._jobs_started() + self._running.in_flight - len(self._running.tasks),
            is_pushed=lambda: self._tracking is None or self._tracking.is_on,
            execute=self._execute,
            queues=(*self._keys, *(self._nodes.prefixes if self._nodes else ())),
        )

    @property
    def is_claiming(self) -> bool:
        """Whether it takes new jobs: it serves, its loop turns, and nobody has told it to stop."""
        is_told_to_stop = self._is_stopping or not self.allow_pick_jobs
        return self._is_serving and not is_told_to_stop and not self._loop_watch.is_blocked

    def run(self) -> None:
        """Serve until told to stop; what is wrong with the server is one line on stderr and exit code 3."""
        gc.freeze()  # what is imported by now stays: nothing for the collector to walk over again and again
        try:
            super().run()
        except ServerError as error:
            print(error, file=sys.stderr)  # noqa: T201 - the person at the keyboard reads it
            raise SystemExit(3) from None

    async def main(self) -> None:
        """Serve until cancelled; in burst mode until the queues are empty."""
        await self._open()
        pool = cast("ConnectionPool", self.pool.connection_pool)
        self._link = open_link(pool, timeout_s=self.options.server_timeout_s)
        prefixes = (*listened_for(self._keys.values()), *self._companions.prefixes)
        on_change = self._companions.hearing(self._note_changed)
        self._tracking = open_tracking(pool, self._link, prefixes=prefixes, on_change=on_change)
        us = about(self, self._queues)
        presence = None if self.burst else Presence(self._execute, self.worker_name, us)
        self._is_stopping, self._serving.is_closing, self._serving.next_beat = False, False, 0.0
        served = self._served = self.loop.create_future()
        upkeep = self.loop.create_task(self._upkeep.run(self._tracking, presence))
        try:
            self._is_serving = True
            self._companions.start()
            with self.options.watch(self), self._loop_watch.on():
                await self._serving.run()
        finally:
            try:
                await to_the_end(self._leave(upkeep, self._tracking, presence))
            finally:
                served.set_result(None)

    async def _open(self) -> None:
        if self._pool is None:
            self._pool = await connect(self)
        logger.info("Starting worker for %d functions: %s", len(self.functions), ", ".join(self.functions))
        await greet(self.pool, self.options, self._keys.values(), self._execute)
        if self.options.before_start is None and self.job_serializer is None:
            logger.warning("payloads are pickles: whoever can write to this server can run code here")
        self.ctx.update(
            build.shared_by_jobs(self, self.options, self._execute, self.pool, self._queues, self._running)
        )
        effects = self._effects = self.ctx["effects"]
        self._serving.outage = effects.holds.scripts.outage
        self._running.runnables = build.runnables_of(self, self.options, on_stuck=self._running.abandon)
        if self.on_startup is not None:
            await self.on_startup(self.ctx)

    async def _leave(
        self, upkeep: "asyncio.Task[None]", tracking: AnyTracking, presence: Presence | None
    ) -> None:
        self._is_stopping = True
        await self._companions.end()
        await asyncio.gather(*self._serving.under_way, return_exceptions=True)
        self._serving.under_way.clear()
        await drain(self._running, self._rounds, self._wake)
        if self._nodes is not None:
            await self._nodes.leave()
        upkeep.cancel()
        await asyncio.gather(upkeep, tracking.close(), return_exceptions=True)
        if presence is not None:
            with contextlib.suppress(*TROUBLE):
                await presence.leave()
        self._is_serving = False
        await build.let_go(self.ctx)
        if self._link is not None:
            await self._link.close()
            self._link = None

    async def _poll_iteration(self) -> None:
        """Do one round outside ``main``; errors of the server are the caller's."""
        count = self.queue_read_limit
        if self.burst and self.max_burst_jobs >= 0:
            count = min(self.max_burst_jobs - self._jobs_started(), count)
            if count < 1:
                return
        if self.allow_pick_jobs:
            await self._pick(count)
        await self._cancel_aborted_jobs()
        await self.heart_beat()

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Claim and start as many due jobs as there are ids; which ones, the server decides."""
        await self._pick(len(job_ids))

    async def _pick(self, count: int) -> None:
        if not self._running.runnables:
            self._running.runnables = build.runnables_of(self, self.options, on_stuck=self._running.abandon)
        self._rounds.note_changed([])
        in_flight = self._running.in_flight
        await self._rounds.run(in_flight=in_flight, slots=min(count, self.max_jobs - in_flight))
        await self._running.begin()

    async def _cancel_aborted_jobs(self) -> None:
        """Cancel running jobs that somebody asked to abort; arq's settings have to allow it."""
        if self.allow_abort_jobs or self.options.speaks_json:
            await self._upkeep.look_for_aborts()

    def handle_sig(self, signum: Signals) -> None:
        """Stop now: running calls are cancelled and their jobs given back unharmed."""
        self._is_stopping = True
        super().handle_sig(signum)

    def handle_sig_wait_for_completion(self, signum: Signals) -> None:
        """Stop claiming and let running jobs finish within the grace; a second signal stops now."""
        stop = super().handle_sig_wait_for_completion if self.allow_pick_jobs else self.handle_sig
        stop(signum)

    async def close(self) -> None:
        """End what runs, tell ``on_shutdown``, close the connections; a dead server does not stop it."""
        if not self._handle_signals:
            self.handle_sig(SIGUSR1)
        if not self._pool:
            return
        self._serving.is_closing = True
        self._wake.set()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        if self._served is not None:
            await self._served
        with contextlib.suppress(*TROUBLE):
            await self.pool.delete(self.health_check_key)
        try:
            if self.on_shutdown is not None:
                await self.on_shutdown(self.ctx)
        finally:
            with contextlib.suppress(*TROUBLE):
                await self.pool.aclose(close_connection_pool=True)
            self._pool = None

    def _execute(self, *command: Any) -> Any:
        return self.pool.execute_command(*command) if self._link is None else self._link.execute(*command)

    def _note_changed(self, keys: list[bytes]) -> None:
        self._rounds.note_changed(keys)
        self._serving.note_changed(keys)
        self._wake.set()

    def _note_end(self, queue_key: str, end: End | None) -> None:
        if end is not None:
            self._rounds.add(queue_key, end)
        self._wake.set()

    async def _settle_unless_serving(self) -> None:
        if not self._is_serving:
            await self._rounds.run(in_flight=self._running.in_flight, slots=-1)

    def _count(self, outcome: Outcome) -> None:
        self.jobs_complete += isinstance(outcome, Succeeded)
        self.jobs_failed += isinstance(outcome, Dead | Cancelled)
        self.jobs_retried += isinstance(outcome, Retrying | Snoozed | Queued | Suspended | Released)


Worker.__signature__ = build.signature_with("engine", arq.worker.Worker)  # pyright: ignore[reportAttributeAccessIssue]
