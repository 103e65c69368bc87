"""Jobs and results to bytes and back: JSON with arq's fields.

A payload is ``{"t": attempts given, "f": task, "a": args, "k": kwargs, "et": enqueued ms, "m": meta}``, a
result envelope ``{t f a k et s r st ft q id}`` as arq writes them, plus ``o`` for an end that is neither
success nor failure. An error travels as ``{"$error": {type, message, traceback}}`` and comes back as
JobFailed, or as ``asyncio.CancelledError`` where arq's clients expect one.
"""

import asyncio
import traceback
from typing import Any

import msgspec

from ..errors import JobExpired, JobFailed
from ..json_values import encode_rich, refuse_inexact

TRACEBACK_BYTES = 8 * 1024
MESSAGE_CHARS = 2_000


class Meta(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """What we add to arq's payload.

    Attributes:
        v: version of this format.
        x: server ms after which the job no longer starts; 0 for never.
        n: random word of the enqueue call, so that a re-sent enqueue is recognised; empty for random ids.
        b: bulk id, empty for none.
        c: context of the trace it was enqueued in, as W3C headers; None for none.
        w: the workflow that the job is a node of; empty for none.
        e: what follows when that node has succeeded, ``|``, what when it has not; see workflow.flat.
        p: priority, of a job that has a lane; None otherwise.
        o: its tenant (its owner), likewise.
        r: version of the task by which it was enqueued.
    """

    v: int = 1
    x: int = 0
    n: str = ""
    b: str = ""
    c: dict[str, str] | None = None
    w: str = ""
    e: str = ""
    p: int | None = None
    o: str | None = None
    r: int = 1


class Payload(msgspec.Struct, frozen=True, gc=False):
    """A job as it stands in ``arq:job:<id>``."""

    t: int | None
    f: str
    a: list[Any]
    k: dict[str, Any]
    et: int
    m: Meta | None = None


class _Written(msgspec.Struct, omit_defaults=True):
    t: int | None
    f: str
    a: tuple[Any, ...]
    k: dict[str, Any]
    et: int
    m: Meta


class RemoteError(msgspec.Struct, frozen=True):
    """An exception as text."""

    type: str
    message: str
    traceback: str = ""


class Result(msgspec.Struct, frozen=True):
    """A result envelope as it stands in ``arq:result:<id>``."""

    s: bool
    r: Any = None
    f: str = ""
    o: str = ""
    t: int | None = None
    st: int = 0
    ft: int = 0


_encoder = msgspec.json.Encoder(enc_hook=encode_rich)
_payloads = msgspec.json.Decoder(Payload)
_results = msgspec.json.Decoder(Result)
_anything = msgspec.json.Decoder()


def encode_job(
    task: str, args: tuple[Any, ...], kwargs: dict[str, Any], enqueued_at_ms: int, meta: Meta
) -> bytes:
    """Give the payload bytes; the arguments have been checked against the task."""
    return _encoder.encode(_Written(None, task, args, kwargs, enqueued_at_ms, meta))


class _Unread(msgspec.Struct, frozen=True):
    t: int | None
    f: str
    a: msgspec.Raw
    k: msgspec.Raw
    et: int
    m: Meta


def expiring(payload: bytes, at_ms: int) -> bytes:
    """Give a payload of ours that no longer starts after ``at_ms``; its arguments stay as they are."""
    job = msgspec.json.decode(payload, type=_Unread)
    meta = msgspec.structs.replace(job.m, x=at_ms)
    return _encoder.encode(msgspec.structs.replace(job, m=meta))


def node_value(envelope: bytes) -> bytes:
    """Give what a result envelope of ours carries, as it is written there."""
    return bytes(msgspec.json.decode(envelope, type=_Carrying).r)


class _Carrying(msgspec.Struct):
    r: msgspec.Raw


def decode_job(data: bytes) -> Payload:
    """Read a payload.

    Raises:
        ValueError: says what the bytes are instead (pickle, not JSON, JSON of another shape).
    """
    if data[:1] == b"\x80":
        msg = (
            "the payload is a pickle, which is never loaded here; "
            "enqueue with job_serializer=runner.wire.serialize"
        )
        raise ValueError(msg)
    try:
        return _payloads.decode(data)
    except RecursionError:
        msg = "the payload is JSON nested too deeply to read"
        raise ValueError(msg) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"the payload is not a job: {error}"
        raise ValueError(msg) from None


def encode_value(value: Any) -> bytes:
    """Encode any value a task may return.

    Raises:
        ValueError: JSON cannot carry it.
        TypeError: neither.
    """
    refuse_inexact(value)
    return _encoder.encode(value)


def encode_result(envelope: dict[str, Any]) -> bytes:
    """Encode a result envelope; its ``r`` has been checked by ``refuse_inexact``."""
    return _encoder.encode(envelope)


def decode_result(data: bytes) -> Result:
    """Read a result envelope of ours."""
    return _results.decode(data)


def describe_error(error: BaseException) -> RemoteError:
    """Give an exception as text, cut to what is worth storing (message 2,000 characters, traceback 8 KiB)."""
    if isinstance(error, JobFailed):
        return RemoteError(error.type, error.message, error.traceback)
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not cost the job its record
        message = "(its text could not be read)"
    text = "".join(traceback.format_exception(kind, error, error.__traceback__, limit=-20))
    return RemoteError(
        name, message[:MESSAGE_CHARS], text.encode()[-TRACEBACK_BYTES:].decode(errors="replace")
    )


def error_value(error: BaseException) -> dict[str, Any]:
    """Give an exception in the form it has in a result envelope."""
    return {"$error": msgspec.to_builtins(describe_error(error))}


def exception_of(result: Result) -> BaseException:
    """Give the exception that an envelope without success stands for."""
    body = result.r.get("$error", {}) if isinstance(result.r, dict) else {}
    if result.o == "cancelled":
        return asyncio.CancelledError(body.get("message", "cancelled"))
    if result.o == "expired":
        return JobExpired(body.get("message", "expired"))
    if not body:
        return JobFailed("runner.errors.JobFailed", str(result.r))
    return JobFailed(body.get("type", "Exception"), body.get("message", ""), body.get("traceback", ""))


def serialize(data: dict[str, Any]) -> bytes:
    """Encode a job or a result as a dict with arq's fields; for plain arq clients (``job_serializer``).

    Raises:
        ValueError: something in it has no JSON form.
        TypeError: the same.
    """
    result = data.get("r")
    if isinstance(result, BaseException):
        data = {**data, "r": error_value(result)}
        if isinstance(result, asyncio.CancelledError):
            data["o"] = "cancelled"
    refuse_inexact(data)
    return _encoder.encode(data)


def deserialize(data: bytes) -> dict[str, Any]:
    """Decode what ``serialize`` and our workers write; for plain arq clients (``job_deserializer``).

    Raises:
        ValueError: the bytes are not JSON.
    """
    if data[:1] == b"\x80":
        msg = "this is a pickle, which is never loaded here"
        raise ValueError(msg)
    decoded = _anything.decode(data)
    decoded["a"] = tuple(decoded["a"])
    if decoded.get("s") is False:
        decoded["r"] = exception_of(Result(s=False, r=decoded.get("r"), o=decoded.get("o", "")))
    return decoded
