"""Counts what happens in this process: listens to events, and keeps Prometheus metrics of them."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from .. import events
from ..errors import MissingExtra
from ..outcome import Cancelled, Dead, Lost, Outcome, Queued, Retrying, Succeeded
from .table import METRICS, PROCESS_METRICS, QUEUE_METRICS, Metric

MOST_VALUES = 100
"""Values a label may take in one process; the rest are counted together as ``other``."""

LAG_EVERY_S = 0.5


class Watched(Protocol):
    """A worker of this process."""

    @property
    def tasks(self) -> Mapping[str, Any]: ...
    @property
    def max_jobs(self) -> int: ...


class Names:
    """The values one label may take: the first hundred that come, as far as they are short."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set[str]()
        for name in known:
            self.of(name)

    def of(self, name: str) -> str:
        """Give the name, or ``other``."""
        if name in self._known:
            return name
        if len(self._known) >= MOST_VALUES or not 0 < len(name) <= 100:
            return "other"
        self._known.add(name)
        return name


class Meter:
    """The metrics of this process, from the moment it is started.

    Args:
        tasks: names of tasks; the first hundred have a label value of their own, jobs of others are `other`.
        workers: those that serve in this process now.

    Raises:
        MissingExtra: prometheus-client is not installed.
    """

    def __init__(self, tasks: Iterable[str], workers: Collection[Watched]) -> None:
        try:
            import prometheus_client
        except ImportError:
            what = "metrics"
            raise MissingExtra(what, "metrics") from None
        self._made: dict[str, Any] = {
            "counter": prometheus_client.Counter,
            "gauge": prometheus_client.Gauge,
            "histogram": prometheus_client.Histogram,
        }
        self._generate = prometheus_client.generate_latest
        self._new_registry = prometheus_client.CollectorRegistry
        self._registry = self._new_registry()
        self._tasks = frozenset(sorted(tasks)[:MOST_VALUES])
        self._reasons, self._schedules, self._gates = Names(), Names(), Names()
        self._workers = workers
        self._families = {
            name: self._make(name, row, self._registry) for name, row in PROCESS_METRICS.items()
        }
        self._children: dict[tuple[str, ...], Any] = {}
        self._ends: list[Callable[[], None]] = []
        self._lag: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen to events, and to the event loop that runs; calling it again does nothing."""
        if self._lag is not None:
            return
        self._lag = asyncio.get_running_loop().create_task(self._sample_lag(), name="runner loop lag")
        heard = {
            "job.claimed": self._claimed,
            "job.ended": self._ended,
            "job.dead": self._died,
            "job.stuck": self._stuck,
            "loop.blocked": self._blocked,
            "gate.opened": partial(self._changed, "opened"),
            "gate.paused": partial(self._changed, "paused"),
            "gate.closed": partial(self._changed, "closed"),
            "schedule.ticked": self._ticked,
            "schedule.missed": self._missed,
            "schedule.skipped": self._skipped,
        }
        self._ends = [events.subscribe(name, subscriber) for name, subscriber in heard.items()]

    def stop(self) -> None:
        """Listen no more."""
        if self._lag is not None:
            self._lag.cancel()
        for end in self._ends:
            end()
        self._lag, self._ends = None, []

    def own_text(self) -> str:
        """Give what is of this process alone, in Prometheus' text format."""
        self._child("runner_jobs_in_flight").set(sum(len(worker.tasks) for worker in self._workers))
        self._child("runner_slots").set(sum(worker.max_jobs for worker in self._workers))
        return self._generate(self._registry).decode()

    def text(self, queues: Mapping[str, Mapping[str, float]] | None) -> str:
        """Give that, and what is of the server.

        Args:
            queues: by metric of QUEUE_METRICS, its values by queue; None: the server did not answer.
        """
        registry = self._new_registry()
        self._make("runner_server_up", METRICS["runner_server_up"], registry).set(queues is not None)
        for name, values in (queues or {}).items():
            gauge = self._make(name, QUEUE_METRICS[name], registry)
            for queue, value in values.items():
                gauge.labels(queue).set(value)
        return self.own_text() + self._generate(registry).decode()

    @property
    def is_counting(self) -> bool:
        """Whether it was started and not stopped."""
        return self._lag is not None

    def run_quantile(self, share: float) -> float | None:
        """Say within how many seconds that share of all calls ended, to a bucket; None before any has."""
        below: dict[float, float] = {}
        for family in self._families["runner_job_run_seconds"].collect():
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    bound = float(sample.labels["le"])
                    below[bound] = below.get(bound, 0.0) + sample.value
        most = max(below.values(), default=0.0)
        return (
            min((bound for bound, count in below.items() if count >= share * most), default=None)
            if most
            else None
        )

    def _make(self, name: str, row: Metric, registry: Any) -> Any:
        more = {"buckets": row.buckets} if row.buckets else {}
        return self._made[row.kind](name, row.help, row.labels, registry=registry, **more)

    def _child(self, name: str, *labels: str) -> Any:
        """Give a metric with its labels; prometheus-client's own look-up takes a lock each time."""
        child = self._children.get((name, *labels))
        if child is None:
            family = self._families[name]
            child = self._children[name, *labels] = family.labels(*labels) if labels else family
        return child

    def _task(self, name: str) -> str:
        return name if name in self._tasks else "other"

    # -- what is heard ----------------------------------------------------------------------------------

    def _claimed(self, event: events.Event) -> None:
        self._child("runner_claims_total", event["queue"]).inc()
        self._child("runner_claim_latency_seconds", event["queue"]).observe(event["late_ms"] / 1000)

    def _ended(self, event: events.Event) -> None:
        task, outcome = self._task(event["task"]), event["outcome"]
        started_ms, ended_ms = event["started_at_ms"], event["ended_at_ms"]
        self._child("runner_attempts_total", task, type(outcome).__name__.lower()).inc()
        if started_ms:
            waited_ms = max(0, started_ms - event["due_at_ms"])
            self._child("runner_job_wait_seconds", task).observe(waited_ms / 1000)
            self._child("runner_job_run_seconds", task).observe(max(0, ended_ms - started_ms) / 1000)
        self._count(task, outcome)
        if isinstance(outcome, Succeeded | Dead | Cancelled) and event["enqueued_at_ms"]:
            total_ms = max(0, ended_ms - event["enqueued_at_ms"])
            self._child("runner_job_total_seconds", task).observe(total_ms / 1000)

    def _count(self, task: str, outcome: Outcome) -> None:
        match outcome:
            case Retrying(reason=reason):
                self._child("runner_retries_total", task, self._reasons.of(reason)).inc()
            case Queued(delay_ms=delay_ms):
                self._child("runner_limiter_waits_total", task).inc()
                self._child("runner_limiter_wait_seconds", task).observe(delay_ms / 1000)
            case Lost():
                self._child("runner_leases_lost_total", task).inc()
            case _:
                pass

    def _died(self, event: events.Event) -> None:
        self._child("runner_dead_total", self._task(event["task"]), event["reason"]).inc()

    def _stuck(self, event: events.Event) -> None:
        self._child("runner_stuck_calls_total", self._task(event["task"])).inc()

    def _blocked(self, event: events.Event) -> None:
        self._child("runner_loop_blocked_total", self._task(event["task"])).inc()

    def _changed(self, change: str, event: events.Event) -> None:
        self._child("runner_gate_changes_total", self._gates.of(event["gate"]), change).inc()

    def _ticked(self, event: events.Event) -> None:
        schedule = self._schedules.of(event["schedule"])
        self._child("runner_schedule_lateness_seconds", schedule).observe(event["late_ms"] / 1000)

    def _missed(self, event: events.Event) -> None:
        self._child("runner_schedule_missed_total", self._schedules.of(event["schedule"])).inc(event["ticks"])

    def _skipped(self, event: events.Event) -> None:
        self._child("runner_schedule_skipped_total", self._schedules.of(event["schedule"])).inc()

    async def _sample_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_at = loop.time() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._child("runner_loop_lag_seconds").observe(max(0.0, loop.time() - due_at))
