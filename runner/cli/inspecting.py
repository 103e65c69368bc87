"""How queues, workers and jobs look: as rows for people, as plain values for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..inspector import JobDetail, JobRow, Overview, QueueStanding, WorkerStanding
from ..job import JobState
from ..shards import whole
from ..wire.keys import keys_of
from ..wire.slots import slot_of
from .dead_view import print_attempts, print_traceback
from .showing import brief, moment, print_facts, span

QUEUE_COLUMNS = ("queue", "ready", "scheduled", "running", "dead", "oldest ready")
SHARD_COLUMNS = (*QUEUE_COLUMNS, "slot")
WORKER_COLUMNS = ("worker", "queues", "busy", "completed", "failed", "retried", "up", "seen")
JOB_COLUMNS = ("id", "queue", "state", "task", "attempts", "when", "note")


def queue_row(queue: QueueStanding) -> list[str]:
    """Give a row of QUEUE_COLUMNS."""
    oldest = "-" if queue.ready_since_ms is None else span(queue.oldest_ready_s)
    if queue.paused_at_ms is not None:
        oldest += f" (paused {moment(queue.paused_at_ms)} by {queue.paused_by})"
    counts = (queue.ready, queue.scheduled, queue.running, queue.dead)
    return [queue.queue, *(f"{count:,}" for count in counts), oldest]


def shard_row(shard: QueueStanding) -> list[str]:
    """Give a row of SHARD_COLUMNS."""
    return [*queue_row(shard), str(slot_of(keys_of(shard.queue, "tagged").queue))]


def worker_row(worker: WorkerStanding, at_ms: int) -> list[str]:
    """Give a row of WORKER_COLUMNS."""
    if not worker.is_alive:
        gone = f"{moment(worker.seen_at_ms)}, gone"
        return [worker.name, "", "", "", "", "", "", gone]
    queues = ", ".join(f"{name}={weight}" for name, weight in worker.queues.items())
    busy = f"{worker.running} of {worker.max_jobs}"
    counts = (worker.completed, worker.failed, worker.retried)
    up, seen = ((at_ms - each) / 1000 for each in (worker.started_at_ms, worker.seen_at_ms))
    told = f"{span(max(0.0, float(round(seen))))} ago"
    return [worker.name, queues, busy, *(f"{count:,}" for count in counts), span(max(0.0, up)), told]


def job_row(job: JobRow) -> list[str]:
    """Give a row of JOB_COLUMNS."""
    match job.state:
        case JobState.RUNNING:
            when = "" if job.started_at_ms is None else f"since {moment(job.started_at_ms)}"
            note = f"on {job.worker}"
        case JobState.DEAD | JobState.EXPIRED:
            when, note = moment(job.due_at_ms), f"{job.reason} {job.error}"
        case _:
            when, note = f"due {moment(job.due_at_ms)}", job.reason
    task = job.task or "(not readable)"
    return [job.id, whole(job.queue), job.state, task, str(job.attempts), when, brief(note, 70)]


def job_plain(job: JobRow) -> dict[str, Any]:
    """Give a job of a list as JSON takes it."""
    return asdict(job)


def detail_plain(job: JobDetail) -> dict[str, Any]:
    """Give one job as JSON takes it; the payload only by its size."""
    plain = asdict(job)
    del plain["payload"]
    return {**plain.pop("info"), **plain}


def overview_plain(overview: Overview) -> dict[str, Any]:
    """Give an overview as JSON takes it."""
    queues = [queue_plain(queue) for queue in overview.queues]
    workers = [asdict(worker) for worker in overview.workers]
    return {"at_ms": overview.at_ms, "queues": queues, "workers": workers, "totals": asdict(overview.totals)}


def queue_plain(queue: QueueStanding) -> dict[str, Any]:
    """Give a queue as JSON takes it."""
    return {**asdict(queue), "oldest_ready_s": queue.oldest_ready_s, "is_paused": queue.is_paused}


def totals_line(overview: Overview) -> str:
    """Say in a line what the workers do together."""
    totals = overview.totals
    if not totals.workers:
        return "no worker is alive: runner worker starts one"
    ended = f"completed {totals.completed:,}, failed {totals.failed:,}, retried {totals.retried:,}"
    return (
        f"workers {totals.workers}, busy {totals.running:,} of {totals.slots:,}; since they started {ended}"
    )


def print_detail(job: JobDetail) -> None:
    """Print all of one job."""
    info = job.info
    print_facts(
        {
            "id": info.id,
            "queue": info.queue,
            "state": info.state,
            "why": job.why,
            "task": info.task or "(not readable)",
            "args": "" if job.args is None else _json(job.args),
            "kwargs": _json(job.kwargs) if job.kwargs else "",
            "payload": job.unreadable or (f"{job.size:,} bytes" if job.payload is not None else ""),
            "enqueued": moment(job.enqueued_at_ms) if job.enqueued_at_ms else "",
            "expires": moment(job.expires_at_ms) if job.expires_at_ms else "",
            _due_word(info.state): "" if info.due_at_ms is None else moment(info.due_at_ms),
            "worker": job.worker,
            "started": "" if job.started_at_ms is None else moment(job.started_at_ms),
            "attempts": str(info.attempts),
            "counts": _counts(job),
            "progress": _json(info.progress) if info.progress else "",
            "result": _json(info.result) if info.state is JobState.SUCCEEDED else "",
        }
    )
    print_attempts(info.history)
    print_traceback(info.error)


def _due_word(state: JobState) -> str:
    return "lease until" if state is JobState.RUNNING else "due"


def _counts(job: JobDetail) -> str:
    counts = {"snoozed": job.snoozes, "workers died": job.deaths, "replayed": job.replays}
    return ", ".join(f"{name} {count}" for name, count in counts.items() if count)


def _json(value: Sequence[Any] | Any) -> str:
    return brief(value, 2000)
