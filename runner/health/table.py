"""Every metric: its kind, its meaning and its labels. docs/observability.md shows this table."""

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One row of the table.

    Attributes:
        kind: as Prometheus calls it.
        help: what it counts or measures; the unit stands in the metric's name.
        labels: each has a bounded number of values.
        buckets: upper bounds of a histogram; empty for other kinds.
    """

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


QUICK = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LONG = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)

PROCESS_METRICS: Mapping[str, Metric] = {
    "runner_claims_total": Metric("counter", "attempts claimed by this process", ("queue",)),
    "runner_claim_latency_seconds": Metric("histogram", "from due to claimed", ("queue",), QUICK),
    "runner_job_wait_seconds": Metric("histogram", "from due to the call's start", ("task",), LONG),
    "runner_job_run_seconds": Metric("histogram", "from the call's start to its outcome", ("task",), LONG),
    "runner_job_total_seconds": Metric("histogram", "from enqueued to ended for good", ("task",), LONG),
    "runner_attempts_total": Metric("counter", "attempts by how they ended", ("task", "outcome")),
    "runner_retries_total": Metric("counter", "attempts that lead to another one", ("task", "reason")),
    "runner_dead_total": Metric("counter", "dead letters made", ("task", "reason")),
    "runner_leases_lost_total": Metric("counter", "attempts whose job another worker took over", ("task",)),
    "runner_limiter_waits_total": Metric("counter", "attempts a limit or gate sent back to wait", ("task",)),
    "runner_limiter_wait_seconds": Metric("histogram", "for how long it sent them back", ("task",), LONG),
    "runner_loop_lag_seconds": Metric("histogram", "how late the event loop runs a timer", (), QUICK),
    "runner_loop_blocked_total": Metric("counter", "times the event loop did not turn for long", ("task",)),
    "runner_stuck_calls_total": Metric("counter", "cancelled calls whose code went on", ("task",)),
    "runner_gate_changes_total": Metric(
        "counter",
        "gates opened, paused (the other side asked), closed again",
        ("gate", "change"),
    ),
    "runner_schedule_lateness_seconds": Metric("histogram", "from tick to its job", ("schedule",), LONG),
    "runner_schedule_missed_total": Metric("counter", "ticks that came too late to run", ("schedule",)),
    "runner_schedule_skipped_total": Metric(
        "counter", "ticks left out: the job of an earlier one had not ended", ("schedule",)
    ),
    "runner_jobs_in_flight": Metric("gauge", "calls that run in this process"),
    "runner_slots": Metric("gauge", "calls that may run in this process at once"),
}
"""Of one process; sum them over processes."""

QUEUE_METRICS: Mapping[str, Metric] = {
    "runner_server_up": Metric("gauge", "1 when the server answered this scrape; else the others are absent"),
    "runner_queue_ready": Metric("gauge", "due jobs that nobody has claimed", ("queue",)),
    "runner_queue_scheduled": Metric("gauge", "jobs that are due later, retries among them", ("queue",)),
    "runner_queue_running": Metric("gauge", "jobs that workers hold", ("queue",)),
    "runner_queue_dead": Metric("gauge", "dead letters", ("queue",)),
    "runner_queue_gates_held": Metric("gauge", "gates that hold jobs up: breakers, pauses", ("queue",)),
    "runner_queue_oldest_ready_seconds": Metric(
        "gauge", "how long the first job has been due; 0 for none", ("queue",)
    ),
}
"""Of the server, read at each scrape: every process says the same. Take ``max by (queue)``, never the sum."""

METRICS = {**PROCESS_METRICS, **QUEUE_METRICS}
