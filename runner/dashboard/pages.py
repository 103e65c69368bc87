"""Pages that read: how all stands, queues, the jobs of one, one job, workers, settings."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from ..gates import GateState
from ..inspector import JobDetail, JobFilter, Overview
from ..inspector.pages import STATES
from ..job import JobState
from ..settings.shown import rows_of
from . import words
from .asked import Asked, Page
from .shown import arguments, error_text, line_of, value_text

LATE_S = 60.0
"""A job that is ready for longer is worth a line on the first page."""
PER_PAGE = 50
_STATUS = re.compile(r"\banswered ([1-5]\d\d)\b")


async def overview(asked: Asked) -> Page:
    """Is it healthy: what is wrong, if anything, then numbers, charts and queues."""
    seen = await asked.desk.watch.look()
    gates = await asked.doors.limits.states(most=20)
    points = asked.desk.watch.points
    values = {
        "seen": seen,
        "now_ms": seen.at_ms,
        "problems": list(_problems(seen, gates)),
        "ready": sum(queue.ready for queue in seen.queues),
        "scheduled": sum(queue.scheduled for queue in seen.queues),
        "running": sum(queue.running for queue in seen.queues),
        "dead": sum(queue.dead for queue in seen.queues),
        "oldest_s": max((queue.oldest_ready_s for queue in seen.queues), default=0.0),
        "last": points[-1],
        "p95_s": _p95(asked),
    }
    return Page("overview", "Overview", values)


def _problems(seen: Overview, gates: Sequence[GateState]) -> Any:
    waiting = sum(queue.ready for queue in seen.queues)
    if not seen.totals.workers and waiting:
        yield "bad", f"No worker is alive, and {words.count(waiting)} jobs are ready.", "workers"
    for queue in seen.queues:
        if queue.is_paused:
            by = f" by {queue.paused_by}" if queue.paused_by else ""
            yield "odd", f"Queue {queue.queue} is paused{by}.", "queues"
        elif queue.oldest_ready_s >= LATE_S:
            waits = words.span(queue.oldest_ready_s)
            yield "bad", f"In {queue.queue} the oldest ready job has waited for {waits}.", "queues"
    held: dict[str, GateState] = {}
    for gate in gates:
        if gate.closed_for_s >= held.setdefault(gate.key, gate).closed_for_s:
            held[gate.key] = gate
    for gate in list(held.values())[:5]:
        wait = f" for {words.span(gate.closed_for_s)} more" if gate.closed_for_s else ""
        text = f"The gate of {gate.key} is {gate.state.replace('_', ' ')}{wait}."
        yield "odd", text, f"destination?{urlencode({'key': gate.key})}"
    if len(held) > 5:
        yield "odd", f"{len(held) - 5} other gates hold calls up.", "limits"


def _p95(asked: Asked) -> float | None:
    """Give how long 95 of 100 calls ran at most, by the metrics of this process; None where it runs none."""
    health = asked.doors.health
    return health.meter.run_quantile(0.95) if health.has_workers and health.is_counting else None


async def history(asked: Asked) -> Sequence[Sequence[float]]:
    """Give the points of the charts, column by column."""
    await asked.desk.watch.look()
    return list(zip(*(point.plain for point in asked.desk.watch.points), strict=True))


async def queues(asked: Asked) -> Page:
    """How each queue stands."""
    seen = await asked.desk.watch.look(max_age_s=0)
    return Page("queues", "Queues", {"queues": seen.queues, "now_ms": seen.at_ms})


async def queue(asked: Asked) -> Page:
    """Jobs of a queue in one state, a page of them."""
    name, state = asked.needed("name"), asked.text("state", "ready")
    wanted = JobFilter(task=asked.text("task"), text=asked.text("text"))
    inspector = asked.doors.inspector
    standing = await inspector.queue(name)
    page = await inspector.jobs(
        name, state, wanted, cursor=asked.given.get("cursor", ""), limit=PER_PAGE, look=1000
    )
    rows = [
        {
            "job": job,
            "call": line_of(asked.doors.registry, job),
            "note": error_text(job.error or job.reason, 200),
            "progress": _progress(job.progress),
        }
        for job in page.jobs
    ]
    values = {
        "queue": standing,
        "now_ms": standing.at_ms,
        "state": state,
        "states": {each: getattr(standing, each) for each in STATES},
        "wanted": wanted,
        "rows": rows,
        "page": page,
        "is_first": not asked.given.get("cursor"),
    }
    return Page("queue", f"{name}, {state}", values, is_live=not asked.given.get("cursor"))


def _progress(told: Mapping[str, Any]) -> dict[str, Any]:
    done = told.get("done")
    is_share = isinstance(done, int | float) and 0 <= done <= 1
    return {"done": done if is_share else None, "note": error_text(told.get("note") or "", 200)}


async def job(asked: Asked) -> Page:
    """All of one job: why it is where it is, its attempts, its arguments."""
    job_id, queue_name = asked.needed("id"), asked.text("queue") or None
    found = await asked.doors.inspector.job(job_id, queue=queue_name)
    told = await asked.doors.client.explain(found.info.queue, job_id)
    info = found.info
    values = {
        "job": found,
        "now_ms": told.now_ms,
        "reasons": [(error_text(each.text), each.until_ms) for each in told.reasons],
        "attempts": [_attempt(entry) for entry in info.history],
        "arguments": arguments(asked.doors.registry, found),
        "why": error_text(found.why),
        "progress": _progress(info.progress),
        "result": value_text(info.result, "result") if info.state is JobState.SUCCEEDED else "",
        "error": {name: error_text(text) for name, text in info.error.items()},
        "facts": _facts(found),
        "can": _can(info.state),
    }
    return Page("job", f"Job {job_id[:80]}", values, is_live=not info.state.is_terminal)


def _can(state: JobState) -> tuple[str, ...]:
    match state:
        case JobState.RUNNING:
            return ("cancel",)
        case JobState.READY:
            return ("edit", "cancel")
        case JobState.SCHEDULED:
            return ("retry", "edit", "cancel")
        case JobState.DEAD | JobState.EXPIRED:
            return ("replay", "edit", "discard")
        case _:
            return ()


def _facts(found: JobDetail) -> list[tuple[str, str]]:
    info = found.info
    rows = [
        ("Queue", info.queue),
        ("Task", info.task),
        ("Attempts begun", str(info.attempts)),
        ("Due" if info.state is not JobState.RUNNING else "Lease until", words.utc(info.due_at_ms)),
        ("Enqueued", words.utc(found.enqueued_at_ms)),
        ("Expires", words.utc(found.expires_at_ms)),
        ("Worker", found.worker),
        ("Started", words.utc(found.started_at_ms)),
        ("Payload", words.size(found.size) if found.size else ""),
        ("Worker deaths", str(found.deaths or "")),
        ("Came back without an attempt", str(found.snoozes or "")),
        ("Replays", str(found.replays or "")),
    ]
    return [(name, value) for name, value in rows if value]


def _attempt(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Make a line of the timeline of what is kept of one attempt; whatever is not there is empty."""
    start, end, error = entry.get("start"), entry.get("end"), entry.get("error")
    error = error if isinstance(error, Mapping) else {}
    reason = error_text(entry.get("reason") or "")
    took_ms = end - start if isinstance(start, int) and isinstance(end, int) else None
    status = _STATUS.search(f"{reason} {error.get('message', '')}")
    return {
        "number": entry.get("n", ""),
        "start_ms": start if isinstance(start, int) else None,
        "took_s": None if took_ms is None else max(0, took_ms) / 1000,
        "worker": str(entry.get("worker") or ""),
        "reason": reason,
        "type": str(error.get("type") or ""),
        "message": error_text(error.get("message") or ""),
        "traceback": error_text(error.get("traceback") or ""),
        "status": int(status[1]) if status else None,
    }


async def workers(asked: Asked) -> Page:
    """The workers: what they serve, how busy they are."""
    seen = await asked.desk.watch.look()
    return Page("workers", "Workers", {"workers": seen.workers[:500], "now_ms": seen.at_ms, "seen": seen})


async def settings(asked: Asked) -> Page:
    """What applies; secrets are masked."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows_of(asked.doors.settings):
        group = row.key.partition(".")[0] if "." in row.key else "general"
        groups.setdefault(group, []).append(asdict(row))
    return Page("settings", "Settings", {"groups": groups}, is_live=False)
