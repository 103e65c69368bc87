"""What an app's own endpoints, and those of a worker process, tell of it."""

import asyncio
import contextlib
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ServerError
from ..inspector import QueueStanding
from ..standing import depths
from ..wire.keys import Layout
from ..wire.passing import TROUBLE
from ..wire.scripts import Execute
from .meter import Meter, Watched

ANSWER_S = 2.0
"""How long the server may take; probes do not wait for longer."""


class ServingWorker(Watched, Protocol):
    """A worker that serves in this process."""

    @property
    def worker_name(self) -> str: ...
    @property
    def is_claiming(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether work can be given to this process.

    Attributes:
        ready: it can.
        reasons: why not; empty when it can.
    """

    ready: bool
    reasons: tuple[str, ...] = ()


class Health:
    """Metrics, readiness and scale of one process; ``runner.health``.

    Args:
        execute: gives what sends one command.
        queues: names of those that are looked at.
        layout: how keys are named.
        tasks: gives the names of the tasks it knows.
        max_jobs: calls one worker process runs at once.
    """

    def __init__(
        self,
        execute: Callable[[], Execute],
        *,
        queues: Iterable[str],
        layout: Layout,
        tasks: Callable[[], Iterable[str]],
        max_jobs: int,
    ) -> None:
        self._execute = execute
        self._queues = tuple(queues)
        self._layout: Layout = layout
        self._tasks = tasks
        self._max_jobs = max_jobs
        self._workers: set[ServingWorker] = set()
        self._died: tuple[str, ...] = ()
        self._meter: Meter | None = None

    @property
    def meter(self) -> Meter:
        """What counts in this process; it counts nothing before it is started.

        Raises:
            MissingExtra: prometheus-client is not installed.
        """
        if self._meter is None:
            self._meter = Meter(self._tasks(), self._workers)
        return self._meter

    def stop(self) -> None:
        """Count no more; what was counted stays."""
        if self._meter is not None:
            self._meter.stop()

    @contextlib.contextmanager
    def watch(self, worker: ServingWorker) -> Generator[None]:
        """Count a worker among those of this process while it serves; one that fails makes it unready."""
        self._workers.add(worker)
        try:
            yield
        except Exception as error:
            self._died = (*self._died, f"worker {worker.worker_name} has stopped: {type(error).__name__}")
            raise
        finally:
            self._workers.discard(worker)

    async def metrics_text(self) -> str:
        """Give all metrics in Prometheus' text format; counted from the first call on.

        One round trip. When the server does not answer within 2 s, ``runner_server_up``
        is 0 and the queues' metrics are absent.

        Raises:
            MissingExtra: prometheus-client is not installed.
        """
        self.meter.start()
        try:
            found = await self._depths()
        except (*TROUBLE, ServerError):
            return self.meter.text(None)
        return self.meter.text(_gauges(found))

    def process_metrics_text(self) -> str:
        """Give the metrics of this process alone: the server is not asked.

        Raises:
            MissingExtra: prometheus-client is not installed.
        """
        self.meter.start()
        return self.meter.own_text()

    async def readiness(self) -> Readiness:
        """Say whether this process can be given work: the server answers, and its workers claim.

        A process without a worker, as a web app that only enqueues, is ready when the server answers.
        """
        reasons = [*self._died]
        reasons += [
            f"worker {worker.worker_name} claims nothing: it drains"
            for worker in self._workers
            if not worker.is_claiming
        ]
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._execute()("PING")
        except (*TROUBLE, ServerError) as error:
            reasons.append(f"the server does not answer: {str(error) or type(error).__name__}")
        return Readiness(not reasons, tuple(reasons))

    @property
    def has_workers(self) -> bool:
        """Whether a worker serves in this process."""
        return bool(self._workers)

    @property
    def is_counting(self) -> bool:
        """Whether metrics are counted in this process; ``metrics_text`` begins that."""
        return self._meter is not None and self._meter.is_counting

    @property
    def died(self) -> tuple[str, ...]:
        """Which workers of this process have stopped by themselves, and why."""
        return self._died

    async def scale(self) -> dict[str, Any]:
        """Give what an autoscaler asks for: the backlog, and how many workers would run all of it at once.

        ``backlog`` is what is ready or runs; jobs that are due later do not count.

        Raises:
            TimeoutError: the server does not answer within 2 s.
            ServerError: nor does it otherwise.
        """
        found = await self._depths()
        backlog = sum(depth.ready + depth.running for depth in found)
        return {
            "backlog": backlog,
            "oldest_ready_s": max((depth.oldest_ready_s for depth in found), default=0.0),
            "workers": math.ceil(backlog / self._max_jobs),
            "queues": {depth.queue: {"ready": depth.ready, "running": depth.running} for depth in found},
        }

    async def _depths(self) -> list[QueueStanding]:
        async with asyncio.timeout(ANSWER_S):
            return await depths(self._execute(), self._queues, self._layout)


def _gauges(found: Iterable[QueueStanding]) -> Mapping[str, Mapping[str, float]]:
    return {
        "runner_queue_ready": {depth.queue: depth.ready for depth in found},
        "runner_queue_scheduled": {depth.queue: depth.scheduled for depth in found},
        "runner_queue_running": {depth.queue: depth.running for depth in found},
        "runner_queue_dead": {depth.queue: depth.dead for depth in found},
        "runner_queue_gates_held": {depth.queue: depth.gates for depth in found},
        "runner_queue_oldest_ready_seconds": {depth.queue: depth.oldest_ready_s for depth in found},
    }
