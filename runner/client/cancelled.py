"""Cancelling a job, and the result of one that is cancelled before anybody ran it."""

from typing import Any

from ..wire import codec
from ..wire.keys import Keys
from ..wire.scripts import Execute, Scripts
from ..wire.workflows import unrun_node

KEPT_MS = 3_600_000


async def cancel_job(
    execute: Execute, scripts: Scripts, keys: Keys, job_id: str, now_ms: int, *, only_waiting: bool
) -> bool:
    """End a waiting job, or ask a running one to stop; whether there was anything to cancel."""
    data = await execute("GET", keys.job(job_id))
    asked = await scripts.cancel(
        keys,
        job_id,
        result=cancelled_envelope(data, keys, job_id, now_ms),
        keep_ms=KEPT_MS,
        only_waiting=only_waiting,
        node=unrun_node("cancelled", "cancelled", data),
    )
    return asked in (1, 2)


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
