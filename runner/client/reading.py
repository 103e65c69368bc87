"""Reads all the server knows of one job, in one round trip."""

import asyncio
from typing import Any

import msgspec

from ..job import JobState
from ..wire import codec
from ..wire.keys import Keys
from ..wire.scripts import Execute
from .job import JobInfo


async def read_info(execute: Execute, keys: Keys, job_id: str) -> JobInfo:
    """Put together what is known of a job; state ``unknown`` when nothing is."""
    letter_key = keys.dead_letter(job_id)
    asked = (
        execute("TIME"),
        execute("GET", keys.result(job_id)),
        execute("EXISTS", keys.lease(job_id)),
        execute("ZSCORE", keys.queue, job_id),
        execute("GET", keys.retry(job_id)),
        execute("GET", keys.job(job_id)),
        execute("HGETALL", keys.record(job_id)),
        execute("HGETALL", letter_key),
    )
    time, result, leased, score, retry, payload, record, letter = await asyncio.gather(*asked)
    now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
    fields, buried = _pairs(record), _pairs(letter)
    ended = _result(result)
    state = _state(ended, buried, leased=bool(leased), score=score, now_ms=now_ms)
    history = _history(fields or buried)
    if (note := buried.get("note")) is not None and note:
        history.append(_json(note))
    error = ended.r.get("$error", {}) if ended is not None and isinstance(ended.r, dict) and not ended.s else {}
    if not error and history:
        error = history[-1].get("error", {})
    return JobInfo(
        id=job_id,
        queue=keys.name,
        state=state,
        task=_task(payload or (buried.get("payload") or b""), ended, history),
        attempts=int(retry or buried.get("attempts") or (ended.t if ended is not None and ended.t else 0)),
        due_at_ms=None if score is None or state.is_terminal else int(float(score)),
        waits_for=fields.get("w", b"").decode(),
        progress=_json(fields.get("p", b"{}")),
        history=history,
        result=ended.r if ended is not None and ended.s else None,
        error=error,
    )


def _state(
    ended: codec.Result | None, buried: dict[str, bytes], *, leased: bool, score: bytes | None, now_ms: int
) -> JobState:
    if score is not None:
        if leased:
            return JobState.RUNNING
        return JobState.SCHEDULED if float(score) > now_ms else JobState.READY
    if ended is not None:
        if ended.s:
            return JobState.SUCCEEDED
        return JobState(ended.o) if ended.o else JobState.DEAD
    if buried:
        return JobState.EXPIRED if buried.get("reason") == b"expired" else JobState.DEAD
    return JobState.UNKNOWN


def _result(data: bytes | None) -> codec.Result | None:
    try:
        return None if data is None else codec.decode_result(data)
    except msgspec.DecodeError:
        return codec.Result(s=False, r="(not readable here)")


def _task(payload: bytes, ended: codec.Result | None, history: list[dict[str, Any]]) -> str:
    if ended is not None:
        return ended.f
    try:
        return codec.decode_job(payload).f
    except ValueError:
        return history[-1].get("task", "") if history else ""


def _history(fields: dict[str, bytes]) -> list[dict[str, Any]]:
    numbered = sorted((int(name[1:]), value) for name, value in fields.items() if name[0] == "a" and name[1:].isdigit())
    return [_json(value) for _, value in numbered]


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _pairs(flat: list[bytes]) -> dict[str, bytes]:
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
