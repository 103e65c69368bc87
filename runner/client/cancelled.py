"""The result of a job that is cancelled before anybody ran it."""

from typing import Any

from ..wire import codec
from ..wire.keys import Keys


def cancelled_envelope(data: bytes | None, keys: Keys, job_id: str, now_ms: int) -> bytes:
    """Give the envelope; task and arguments are those of the payload, if it can be read."""
    try:
        payload = codec.decode_job(data or b"")
        fields: dict[str, Any] = {"f": payload.f, "a": payload.a, "k": payload.k, "et": payload.et}
    except ValueError:
        fields = {"f": "<unknown>", "a": [], "k": {}, "et": now_ms}
    error = codec.error_value(RuntimeError("cancelled"))
    ended: dict[str, Any] = {"t": 0, "s": False, "r": error, "o": "cancelled", "st": now_ms, "ft": now_ms}
    return codec.encode_result({**fields, **ended, "q": keys.queue, "id": job_id})
