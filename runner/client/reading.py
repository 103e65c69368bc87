"""Reads all the server knows of one job, at one moment, in one round trip."""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from redis.exceptions import RedisError

from ..job import JobState
from ..wire import codec
from ..wire.keys import PARKED, Keys
from .job import JobInfo

Execute = Callable[..., "asyncio.Future[Any]"]
"""Sends at once, so that what is asked in one go arrives in one go: a Link's."""


class Moment(NamedTuple):
    """What is known of a job at one moment.

    Attributes:
        info: for everybody.
        now_ms: the server's clock.
        fields: its history, or its dead letter.
        payload: as it is stored.
        more: replies to what was asked in the same moment.
    """

    info: JobInfo
    now_ms: int
    fields: dict[str, bytes]
    payload: bytes
    more: list[Any]


async def read_info(execute: Execute, keys: Keys, job_id: str) -> JobInfo:
    """Put together what is known of a job; state ``unknown`` when nothing is."""
    return (await read_moment(execute, keys, job_id)).info


async def read_moment(execute: Execute, keys: Keys, job_id: str, *more: tuple[Any, ...]) -> Moment:
    """Read a job, and what else is asked, at one moment."""
    read = await at_one_moment(
        execute,
        ("TIME",),
        ("GET", keys.result(job_id)),
        ("EXISTS", keys.lease(job_id)),
        ("ZSCORE", keys.queue, job_id),
        ("GET", keys.retry(job_id)),
        ("GET", keys.job(job_id)),
        ("HGETALL", keys.record(job_id)),
        ("HGETALL", keys.dead_letter(job_id)),
        *more,
    )
    time, result, leased, score, retry, payload, record, letter = read[:8]
    now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
    fields, buried = _pairs(record), _pairs(letter)
    ended = _result(result)
    due_ms = None if score is None else int(float(score))
    due_ms = due_ms - PARKED if due_ms is not None and due_ms >= PARKED else due_ms  # ready, in its lane
    state = _state(ended, buried, leased=bool(leased), due_ms=due_ms, now_ms=now_ms)
    history = _history(fields, buried)
    info = JobInfo(
        id=job_id,
        queue=keys.name,
        state=state,
        task=_task(payload or buried.get("payload", b""), ended, history),
        attempts=_number(retry) or _number(buried.get("attempts")) or (ended.t or 0 if ended else 0),
        due_at_ms=due_ms,
        waits_for=fields.get("w", b"").decode(errors="replace"),
        progress=_json(fields.get("p") or buried.get("p") or b"{}"),
        history=history,
        result=ended.r if state is JobState.SUCCEEDED and ended else None,
        error=_error(ended, history),
    )
    return Moment(info, now_ms, fields or buried, payload or buried.get("payload", b""), read[8:])


async def at_one_moment(execute: Execute, *commands: tuple[Any, ...]) -> list[Any]:
    """Give the replies of a transaction: between two of them no job can go from one state to another.

    Raises:
        redis.exceptions.RedisError: of the first command that failed.
    """
    sent = [execute("MULTI"), *(execute(*command) for command in commands), execute("EXEC")]
    answers = await asyncio.gather(*sent, return_exceptions=True)
    replies = answers[-1]
    for error in (*answers, *(replies if isinstance(replies, list) else ())):
        if isinstance(error, BaseException):
            raise error
    if not isinstance(replies, list):
        msg = f"EXEC was answered with {replies!r}"
        raise RedisError(msg)
    return replies


def _state(
    ended: codec.Result | None, buried: dict[str, bytes], *, leased: bool, due_ms: int | None, now_ms: int
) -> JobState:
    if due_ms is not None:
        if leased:
            return JobState.RUNNING
        return JobState.SCHEDULED if due_ms > now_ms else JobState.READY
    if ended is not None:
        if ended.s:
            return JobState.SUCCEEDED
        return JobState(ended.o) if ended.o in ("cancelled", "expired") else JobState.DEAD
    if buried:
        return JobState.EXPIRED if buried.get("reason") == b"expired" else JobState.DEAD
    return JobState.UNKNOWN


def _result(data: bytes | None) -> codec.Result | None:
    try:
        return None if data is None else codec.decode_result(data)
    except (msgspec.DecodeError, RecursionError):
        return codec.Result(s=False, r="(its result is not readable here)")


def _error(ended: codec.Result | None, history: list[dict[str, Any]]) -> dict[str, Any]:
    if ended is not None and ended.s:
        return {}
    if ended is not None and isinstance(ended.r, dict) and "$error" in ended.r:
        return ended.r["$error"]
    return history[-1].get("error", {}) if history else {}


def _task(payload: bytes, ended: codec.Result | None, history: list[dict[str, Any]]) -> str:
    if ended is not None and ended.f:
        return ended.f
    try:
        return codec.decode_job(payload).f
    except ValueError:
        return history[-1].get("task", "") if history else ""


def _history(fields: dict[str, bytes], buried: dict[str, bytes]) -> list[dict[str, Any]]:
    """Give what is kept of each attempt, oldest first; a dead letter keeps its last one apart."""
    known = fields or buried
    numbered = sorted((int(name[1:]), value) for name, value in known.items() if _is_attempt(name))
    history = [_json(value) for _, value in numbered]
    if last := _json(buried.get("note", b"{}")):
        history.append(last)
    return history


def _is_attempt(name: str) -> bool:
    return name[:1] == "a" and name[1:].isdigit()


def _number(data: bytes | None) -> int:
    return int(data) if data is not None and data.isdigit() else 0


def _json(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _pairs(flat: list[bytes]) -> dict[str, bytes]:
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
