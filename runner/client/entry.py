"""From a call to what is sent: checked against the task, encoded, and small enough."""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from ..errors import InvalidArguments, InvalidJob, InvalidTask, PayloadTooLarge
from ..json_values import encode_rich
from ..lanes import Lane
from ..placement import Placement
from ..tasks import Task
from ..unique import Sole
from ..wire import codec
from ..wire.intake import Wish
from ..wire.scripts import Entry

_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError)


def wish_of(
    task: Task[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    key: str | None,
    now_ms: int,
    server_now_ms: int,
    limit: int,
    carrier: dict[str, str] | None = None,
) -> Wish:
    """Make the job of a call, and what it asks for as a unique one.

    Args:
        task: with its placement.
        args: of the call.
        kwargs: likewise.
        key: the job's id where the placement names none; None for a random one.
        now_ms: this machine's clock, for people.
        server_now_ms: the server's clock as far as known: the job expires by it.
        limit: largest payload, in bytes.
        carrier: context of the trace it is enqueued in.

    Raises:
        InvalidTask: it is no task.
        InvalidJob: its arguments do not fit, have no JSON form or are too large, or its place does not fit.
    """
    args, kwargs = _refuse_others(task).check(args, kwargs)
    key = task.placement.key or key
    at_ms, delay_ms, expires_at_ms = _times(task.placement, server_now_ms)
    lane = task.lane(args, kwargs)
    meta = _meta(lane, expires_at_ms, carrier, has_key=bool(key or task.unique))
    payload = payload_of(task, args, kwargs, now_ms=now_ms, meta=meta, limit=limit)
    entry = Entry(key or uuid.uuid4().hex, at_ms, delay_ms, payload, lane.spec)
    return Wish(entry, _sole(task, args, kwargs))


def payload_of(
    task: Task[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    now_ms: int,
    meta: codec.Meta,
    limit: int,
) -> bytes:
    """Encode a call whose arguments have been checked; they are those of ``wish_of``.

    Raises:
        InvalidArguments: they have no JSON form.
        PayloadTooLarge: says how large, and what is largest.
    """
    if task.version > 1:
        meta = msgspec.structs.replace(meta, r=task.version)
    try:
        payload = codec.encode_job(task.name, args, kwargs, now_ms, meta)
    except _UNENCODABLE as error:
        msg = f"task '{task.name}': {_culprit(task, args, kwargs)} cannot be encoded: {error}"
        raise InvalidArguments(msg) from error
    _check_size(task, args, kwargs, len(payload), limit)
    return payload


def _sole(task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Sole | None:
    unique, placed = task.unique, task.placement
    if unique is None:
        return None
    if unique.wait_s and (placed.delay_s or placed.until):
        msg = f"task '{task.name}': its debounce says when it is due; leave out delay= and until="
        raise InvalidJob(msg)
    named = task.parameters.named(task.name, *task.parameters.delivered(task.name, args, kwargs))
    return unique.claim(task.name, placed.queue or task.queue, named)


def _refuse_others(task: Any) -> Task[..., Any]:
    if not isinstance(task, Task):
        msg = f"only tasks can be enqueued, not {task!r}: put @task above its 'async def' and pass it itself"
        raise InvalidTask(msg)
    return task


def _meta(lane: Lane, expires_at_ms: int, carrier: dict[str, str] | None, *, has_key: bool) -> codec.Meta:
    priority, tenant = (lane.priority, lane.tenant) if lane.spec else (None, None)
    word = uuid.uuid4().hex[:12] if has_key else ""
    return codec.Meta(x=expires_at_ms, n=word, c=carrier, p=priority, o=tenant)


def _times(placed: Placement, server_now_ms: int) -> tuple[int, int, int]:
    """Give due time, delay and end in ms; 0 where there is none."""
    delay_ms = round(placed.delay_s * 1000)
    at_ms = 0 if placed.until is None else round(placed.until.timestamp() * 1000)
    if placed.expires_s is None:
        return at_ms, delay_ms, 0
    return at_ms, delay_ms, (at_ms or server_now_ms + delay_ms) + round(placed.expires_s * 1000)


def _culprit(task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    for name, value in task.parameters.named(task.name, args, kwargs).items():
        try:
            msgspec.json.encode(value, enc_hook=encode_rich)
        except _UNENCODABLE:
            return f"argument '{name}'"
    return "an argument"


def _check_size(
    task: Task[..., Any], args: Sequence[Any], kwargs: dict[str, Any], size: int, limit: int
) -> None:
    if size <= limit:
        return
    sizes = {
        name: len(msgspec.json.encode(value, enc_hook=encode_rich))
        for name, value in task.parameters.named(task.name, args, kwargs).items()
    }
    largest = max(sizes, key=lambda name: sizes[name], default="")
    where = f"; the largest part is argument '{largest}' with {sizes[largest]:,} bytes" if largest else ""
    msg = (
        f"task '{task.name}': the job takes {size:,} bytes, more than limits.payload = {limit:,}{where}. "
        "Store the data elsewhere and pass a reference, or raise the limit"
    )
    raise PayloadTooLarge(msg)
