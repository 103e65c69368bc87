"""One job in full: what its keys say, put together."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..client import JobInfo
from ..dead_letters.letter import number, parse
from ..job import JobState
from ..outcome import DEAD_REASONS
from ..wire import codec
from ..wire.keys import Keys
from ..wire.scripts import Execute
from .pages import holder
from .values import JobDetail


class _Call(NamedTuple):
    """What a payload, or what a result keeps of it, says of the call."""

    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    enqueued_at_ms: int = 0
    expires_at_ms: int = 0
    unreadable: str = ""


async def read_detail(execute: Execute, keys: Keys, info: JobInfo) -> JobDetail:
    """Add to what the client knows of a job all else that its keys say; one round trip."""
    job_id = info.id
    payload, letter, result, entry, history, suspect, paused = await asyncio.gather(
        execute("GET", keys.job(job_id)),
        execute("HMGET", keys.dead_letter(job_id), "payload", "d", "s", "r", "reason"),
        execute("GET", keys.result(job_id)),
        execute("HGET", keys.running, job_id),
        execute("HMGET", keys.record(job_id), "d", "s", "r"),
        execute("ZSCORE", keys.suspects, job_id),
        execute("EXISTS", keys.paused),
    )
    payload = letter[0] if payload is None else payload
    call = _of_payload(payload) if payload is not None else _of_result(result)
    deaths, snoozes, replays = (number(a) or number(b) for a, b in zip(history, letter[1:4], strict=True))
    runs = info.state is JobState.RUNNING
    worker, started_at_ms = holder(entry) if runs else ("", None)
    return JobDetail(
        info=info,
        at=keys.at,
        payload=payload,
        args=call.args,
        kwargs=call.kwargs,
        unreadable=call.unreadable,
        size=len(payload or b""),
        enqueued_at_ms=call.enqueued_at_ms,
        expires_at_ms=call.expires_at_ms,
        worker=worker,
        started_at_ms=started_at_ms,
        deaths=deaths,
        snoozes=snoozes,
        replays=replays,
        why=_why(info, (letter[4] or b"").decode(), is_suspect=suspect is not None, is_paused=bool(paused)),
    )


def _of_payload(payload: bytes) -> _Call:
    try:
        job = codec.decode_job(payload)
    except ValueError as error:
        return _Call(unreadable=str(error))
    return _Call(job.a, job.k, job.et, 0 if job.m is None else job.m.x)


def _of_result(result: bytes | None) -> _Call:
    if result is None:
        return _Call(unreadable="nothing is kept of its arguments")
    kept = parse(result)
    if not isinstance(kept.get("a"), list) or not isinstance(kept.get("k"), dict):
        return _Call(unreadable="its result is not JSON of ours, so its arguments are not read")
    enqueued = kept.get("et")
    return _Call(kept["a"], kept["k"], enqueued if isinstance(enqueued, int) else 0)


def _why(info: JobInfo, reason: str, *, is_suspect: bool, is_paused: bool) -> str:
    match info.state:
        case JobState.DEAD | JobState.EXPIRED:
            return f"{reason}: {DEAD_REASONS[reason]}" if reason in DEAD_REASONS else reason
        case JobState.READY | JobState.SCHEDULED if is_paused:
            return f"queue {info.queue} is paused; runner queues resume {info.queue} lets it start"
        case JobState.READY | JobState.SCHEDULED if is_suspect:
            return "two workers died while they ran it, so it waits for one that runs nothing else"
        case JobState.SCHEDULED if info.waits_for:
            return info.waits_for
        case JobState.SCHEDULED if info.attempts:
            return f"attempt {info.attempts} failed; it waits for the next one"
        case JobState.SCHEDULED:
            return "it is due later"
        case JobState.READY:
            return "it waits for a free slot of a worker that serves its queue"
        case _:
            return ""
