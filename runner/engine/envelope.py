"""Payloads and results in the serializer a worker was given: ours (JSON), or a user's own."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Protocol

from arq.jobs import Deserializer, SerializationError, Serializer, deserialize_job_raw, serialize_result

from ..errors import JobFailed
from ..job import Attempt
from ..json_values import NotEncodable, refuse_inexact
from ..wire import codec

logger = logging.getLogger("runner.engine")


class Envelope(Protocol):
    """Reads payloads and writes results."""

    def open(self, attempt: Attempt) -> None:
        """Fill in task, arguments and times from the attempt's payload.

        Raises:
            Exception: the payload cannot be read; the message says what it is.
        """
        ...

    def result(self, attempt: Attempt, *, success: bool, value: Any, end: str = "") -> bytes:
        """Give the result envelope; empty when there can be none.

        Args:
            attempt: whose result it is.
            success: whether the task returned.
            value: what it returned, or the exception it ended in.
            end: ``cancelled``, ``expired``, or empty.

        Raises:
            Exception: the value cannot be encoded.
        """
        ...


@dataclass(frozen=True)
class JsonEnvelope:
    """Ours: JSON in and out; a pickle that arrives is not loaded.

    Attributes:
        limit: largest result envelope, in bytes.
    """

    limit: int = 512 * 1024

    def open(self, attempt: Attempt) -> None:
        payload = codec.decode_job(attempt.payload or b"")
        attempt.task, attempt.args, attempt.kwargs = payload.f, payload.a, payload.k
        attempt.enqueued_at_ms = payload.et
        if payload.t and payload.t > attempt.number:
            attempt.number = payload.t
        if payload.m is not None:
            attempt.meta, attempt.expires_at_ms = payload.m, payload.m.x

    def result(self, attempt: Attempt, *, success: bool, value: Any, end: str = "") -> bytes:
        envelope = _fields(attempt, success=success)
        if success:
            refuse_inexact(value)
            envelope["r"] = value
        else:
            envelope["r"] = codec.error_value(tellable(value))
        if end:
            envelope["o"] = end
        try:
            encoded = codec.encode_result(envelope)
        except Exception:  # noqa: BLE001 - a user's model may raise anything while it is dumped
            encoded = _encoded_again(attempt, envelope)
        if success and len(encoded) > self.limit:
            size = f"{len(encoded):,} bytes, more than limits.result = {self.limit:,}"
            msg = f"the result of task '{attempt.task}' takes {size}"
            raise NotEncodable(msg)
        return encoded


def _encoded_again(attempt: Attempt, envelope: dict[str, Any]) -> bytes:
    """Encode an envelope with the arguments as they were enqueued: the task may have put anything into them.

    Raises:
        NotEncodable: it was the result.
    """
    try:
        payload = codec.decode_job(attempt.payload or b"")
        envelope["f"], envelope["a"], envelope["k"] = payload.f, payload.a, payload.k
    except ValueError:
        envelope["a"], envelope["k"] = (), {}
    try:
        return codec.encode_result(envelope)
    except Exception as error:
        msg = f"the result of task '{attempt.task}' cannot be encoded: {error}"
        raise NotEncodable(msg) from error


def tellable(error: BaseException) -> BaseException:
    """Give the error, or one that says what text can carry of it (a broken ``__str__``, lone surrogates)."""
    try:
        codec.encode_value(codec.error_value(error))
    except Exception:  # noqa: BLE001 - an exception class may do anything
        return JobFailed(type(error).__qualname__, "(its text could not be read)")
    return error


@dataclass(frozen=True)
class ArqEnvelope:
    """A user's: whatever arq's settings name, pickle when they name nothing."""

    serializer: Serializer | None
    deserializer: Deserializer | None

    def open(self, attempt: Attempt) -> None:
        try:
            task, args, kwargs, number, enqueued_at_ms = deserialize_job_raw(
                attempt.payload or b"", deserializer=self.deserializer
            )
        except SerializationError:
            logging.getLogger("arq.worker").exception("deserializing job %s failed", attempt.job_id)
            raise
        attempt.task, attempt.args, attempt.kwargs = task, args, kwargs
        attempt.enqueued_at_ms = enqueued_at_ms
        if number and number > attempt.number:
            attempt.number = number

    def result(self, attempt: Attempt, *, success: bool, value: Any, end: str = "") -> bytes:
        value = asyncio.CancelledError() if end == "cancelled" else value
        fields = _fields(attempt, success=success)
        encoded = serialize_result(
            function=attempt.task or "<unknown>",
            args=attempt.args,
            kwargs=attempt.kwargs,
            job_try=attempt.number,
            enqueue_time_ms=attempt.enqueued_at_ms,
            success=success,
            result=value,
            start_ms=fields["st"],
            finished_ms=fields["ft"],
            ref=f"{attempt.job_id}:{attempt.task}",
            queue_name=attempt.queue,
            job_id=attempt.job_id,
            serializer=self.serializer,
        )
        return encoded or b""


def _fields(attempt: Attempt, *, success: bool) -> dict[str, Any]:
    now_ms = attempt.clock.now_ms()
    return {
        "t": attempt.number,
        "f": attempt.task,
        "a": attempt.args,
        "k": attempt.kwargs,
        "et": attempt.enqueued_at_ms,
        "s": success,
        "r": None,
        "st": attempt.started_at_ms or now_ms,
        "ft": now_ms,
        "q": attempt.queue,
        "id": attempt.job_id,
    }
