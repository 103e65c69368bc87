"""Reads what can keep a job from running: two round trips, bounded, whatever the queue holds."""

import asyncio
import re
from dataclasses import replace

import msgspec

from ..explain import Facts, Holder, Serving
from ..job import JobState
from ..wire import codec, effects
from ..wire import keys as wire_keys
from ..wire.keys import Keys, Layout
from .gates_ahead import read_ahead
from .reading import Execute, Moment, read_moment

MAX_WORKERS = 200
"""Workers that are looked at, those seen last."""

_LOCK = re.compile(r"lock (.+) is busy")


async def read_facts(execute: Execute, keys: Keys, job_id: str, layout: Layout) -> Facts:
    """Read a job and all that it may wait for."""
    moment = await read_moment(
        execute,
        keys,
        job_id,
        ("HGET", keys.running, job_id),
        ("ZRANK", keys.queue, job_id),
        ("ZSCORE", keys.suspects, job_id),
        ("GET", keys.ward),
        ("ZSCORE", keys.abort, job_id),
        ("HMGET", keys.paused, "at", "by"),
    )
    facts = _facts(moment)
    if facts.state not in (JobState.SCHEDULED, JobState.READY):
        return facts
    workers, lock, ahead = await asyncio.gather(
        _workers(execute),
        _lock(execute, keys, facts.waits_for, layout, moment.now_ms),
        read_ahead(execute, keys, job_id, facts.waits_for),
    )
    return replace(facts, workers=workers, lock=lock, gates=ahead.gates, lane_ahead=ahead.lane_ahead)


def _facts(moment: Moment) -> Facts:
    info, (entry, rank, suspect, ward, abort, (paused_at, paused_by)) = moment.info, moment.more
    _, since_ms, worker = _entry(entry)
    return Facts(
        id=info.id,
        queue=info.queue,
        state=info.state,
        now_ms=moment.now_ms,
        task=info.task,
        due_at_ms=info.due_at_ms,
        expires_at_ms=_expires(moment.payload),
        attempts=info.attempts,
        error=": ".join(filter(None, (info.error.get("type", ""), info.error.get("message", "")))),
        reason=_text(moment.fields.get("reason")),
        waits_for=info.waits_for,
        in_line={b"1": True, b"0": False}.get(moment.fields.get("t", b"")),
        ahead=rank or 0,
        worker=worker,
        since_ms=since_ms,
        is_leased=info.state is JobState.RUNNING,
        suspect_since_ms=None if suspect is None else int(float(suspect)),
        ward=_text(ward),
        cancel_asked=abort is not None,
        paused=None if paused_at is None else (int(paused_at), _text(paused_by)),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")


def _entry(entry: bytes | None) -> tuple[str, int, str]:
    """Give token, since when (ms), and worker of a running entry; a fence is the time of its claim in us."""
    match = re.fullmatch(r"(\S+) (\d+) (.*) \d", _text(entry))
    return (match[1], int(match[2]) // 1000, match[3]) if match else ("", 0, "")


def _expires(payload: bytes) -> int:
    try:
        meta = codec.decode_job(payload).m
    except ValueError:
        return 0
    return meta.x if meta else 0


async def _lock(
    execute: Execute, keys: Keys, waits_for: str, layout: Layout, now_ms: int
) -> tuple[str, Holder | None] | None:
    match = _LOCK.fullmatch(waits_for)
    if match is None:
        return None
    name = match[1]
    stored = await execute("GET", f"{effects.prefix_of(layout)}lock:{name}")
    if stored is None:
        return name, None
    owner, until_ms, fence, _ = msgspec.msgpack.decode(b"\x94" + stored)  # as an array of its four values
    held = re.fullmatch(r"\S+ \d+ (.*)", owner)
    if held is None or int(until_ms) <= now_ms:
        return name, None
    _, _, worker = _entry(await execute("HGET", keys.running, held[1]))
    return name, Holder(held[1], worker, int(fence) // 1000, int(until_ms))


async def _workers(execute: Execute) -> list[Serving]:
    """Give the workers whose record is there: it vanishes a minute after they last wrote it."""
    names = [name.decode() for name in await execute("ZREVRANGE", wire_keys.WORKERS, 0, MAX_WORKERS - 1)]
    records = await asyncio.gather(*(execute("GET", wire_keys.worker(name)) for name in names))
    return [
        serving
        for name, record in zip(names, records, strict=True)
        if record and (serving := _serving(name, record))
    ]


def _serving(name: str, record: bytes) -> Serving | None:
    try:
        told = msgspec.json.decode(record)
        running, max_jobs = int(told.get("running", 0)), int(told.get("max_jobs", 0))
        return Serving(name, list(told.get("queues", ())), list(told.get("tasks", ())), running, max_jobs)
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return None
