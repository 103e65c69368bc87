"""The client: what a web app holds to enqueue jobs and wait for them."""

import asyncio
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

import msgspec
from redis.asyncio import ConnectionPool

from ..arguments import encode_rich
from ..clock import SYSTEM_CLOCK, Clock
from ..errors import InvalidArguments, PayloadTooLarge
from ..tasks import Call, Task
from ..wire import codec
from ..wire.coalesce import Coalesced
from ..wire.keys import Keys, Layout, keys_of
from ..wire.link import Link
from ..wire.lua_loader import load_from
from ..wire.scripts import MAX_BATCH, Entry, Scripts, send_script
from ..wire.tracking import Tracking
from .job import Disposition, Job, JobInfo
from .patience import patiently
from .reading import read_info
from .results import Results, raise_or_value

P = ParamSpec("P")
R = TypeVar("R")

CANCELLED_KEPT_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Bulk:
    """What ``enqueue_many`` did.

    Attributes:
        created: jobs made by this call.
        duplicates: calls whose job existed already.
        skipped: calls an earlier, interrupted run of the same ``bulk_id`` had already enqueued.
    """

    created: int
    duplicates: int
    skipped: int


class Client:
    """Enqueues and waits over one shared connection.

    Args:
        pool: a redis-py connection pool; only its settings are used.
        layout: how keys are named.
        address: what to call the server in errors.
        payload_limit: largest encoded job, in bytes.
        patience_s: how long calls are tried again while the server is away.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        layout: Layout = "classic",
        address: str = "?",
        payload_limit: int = 512 * 1024,
        patience_s: float = 5.0,
        timeout_s: float = 5.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._layout: Layout = layout
        self._address = address
        self._payload_limit = payload_limit
        self._patience_s = patience_s
        self._clock = clock
        self._link = Link(pool, timeout_s=timeout_s)
        self._scripts = Scripts(self._link.execute)
        self._results = Results(self._link)
        self._tracking = Tracking(pool, self._link, on_change=self._results.note_changed)
        self._inboxes: dict[str, Coalesced[Entry, bool]] = {}

    async def close(self) -> None:
        """Close the connections; jobs go on."""
        self._results.close()
        await self._tracking.close()
        await self._link.close()

    async def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            ServerUnreachable: there is none.
        """
        await self._patiently(lambda: self._link.execute("PING"))

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Make a job of a call of ``task``.

        Place it with ``task.using(delay=…, until=…, key=…, queue=…, expires=…)``. One round trip, shared with the
        other enqueues of the moment. When it returns the job is on the server.

        Raises:
            InvalidArguments: they do not fit the task's signature, or have no JSON form.
            PayloadTooLarge: says how large, and which argument.
            QueueFull: the server is out of memory.
            ServerUnreachable: it did not answer; the job may or may not be there (enqueue again with the same key).
        """
        queue, entry = self._entry(task, args, kwargs)
        made = await self._inbox(queue).put(entry)
        return Job(self, entry.job_id, queue, "created" if made else "duplicate", task)

    async def enqueue_many(
        self,
        calls: Iterable[Call[Any]] | AsyncIterable[Call[Any]],
        *,
        bulk_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Bulk:
        """Make jobs of many calls, 500 a round trip; memory stays bounded however long the iterator is.

        Args:
            calls: ``task.call(…) for …``.
            bulk_id: names this run. When it is interrupted, run it again with the same id and calls in the same order:
                what was enqueued is skipped. Remembered for seven days.
            on_progress: called with the number of calls done so far, after each round trip.

        Raises:
            InvalidArguments: of the first call that does not fit; those before it are enqueued.
        """
        skip = int(await self._link.execute("GET", _bulk_key(bulk_id)) or 0) if bulk_id else 0
        position, created = 0, 0
        async for chunk in _chunks(calls):
            start, position = position, position + len(chunk)
            if position <= skip:
                continue
            created += await self._enqueue_chunk(chunk, bulk_id, start)
            if bulk_id:
                await self._link.execute("SET", _bulk_key(bulk_id), position, "EX", 7 * 86_400)
            if on_progress is not None:
                on_progress(position)
        skipped = min(skip, position)
        return Bulk(created, position - skipped - created, skipped)

    def job(self, job_id: str, *, queue: str = "default", task: Task[..., R] | None = None) -> Job[R]:
        """Make a handle on a job from its id, without asking the server."""
        return Job(self, job_id, queue, "unknown", task)

    async def wait_for_result(self, queue: str, job_id: str) -> Any:
        """Wait for a job to end; see ``Job.result``."""
        self._tracking.start()
        return raise_or_value(await self._results.wait(self._keys(queue), job_id), job_id)

    async def info(self, queue: str, job_id: str) -> JobInfo:
        """Give all the server knows of a job."""
        return await self._patiently(lambda: read_info(self._link.execute, self._keys(queue), job_id))

    async def cancel(self, queue: str, job_id: str) -> bool:
        """Cancel a job; see ``Job.cancel``."""
        keys = self._keys(queue)
        data = await self._patiently(lambda: self._link.execute("GET", keys.job(job_id)))
        envelope = _cancelled_envelope(data, keys, job_id, self._clock.now_ms())
        return (
            await self._patiently(
                lambda: self._scripts.cancel(keys, job_id, result=envelope, keep_ms=CANCELLED_KEPT_MS)
            )
            != 0
        )

    async def run_script(self, package: str, verb: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a Lua script of another package, from the folder ``lua`` beside its modules.

        ``wire.lua_loader`` says what its header declares. It may be sent twice when the connection breaks, so
        it must be safe to repeat.

        Raises:
            QueueFull: the server is out of memory, and the script says ``FLAGS none``; nothing was written.
            ServerUnreachable: no answer; it may have run or not.
        """
        script = load_from(package, verb)
        return await self._patiently(lambda: send_script(self._link.execute, script, keys, args))

    async def _enqueue_chunk(self, chunk: Sequence[Call[Any]], bulk_id: str | None, start: int) -> int:
        by_queue: dict[str, list[Entry]] = {}
        for index, call in enumerate(chunk):
            key = f"{bulk_id}:{start + index}" if bulk_id else None
            queue, entry = self._entry(call.task, call.args, call.kwargs, key=key)
            by_queue.setdefault(queue, []).append(entry)
        answers = await asyncio.gather(
            *(self._send(self._keys(q), entries) for q, entries in by_queue.items())
        )
        return sum(sum(answer) for answer in answers)

    def _entry(
        self, task: Task[..., Any], args: Any, kwargs: Any, *, key: str | None = None
    ) -> tuple[str, Entry]:
        args, kwargs = task.check(args, kwargs)
        placement, now_ms = task.placement, self._clock.now_ms()
        key = placement.key or key
        delay_ms = round(placement.delay_s * 1000)
        at_ms = round(placement.until.timestamp() * 1000) if placement.until is not None else 0
        expires_at_ms = 0
        if placement.expires_s is not None:
            expires_at_ms = (at_ms or now_ms + delay_ms) + round(placement.expires_s * 1000)
        meta = codec.Meta(x=expires_at_ms, n=uuid.uuid4().hex[:12] if key else "")
        try:
            payload = codec.encode_job(task.name, args, kwargs, now_ms, meta)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            msg = f"task '{task.name}': {_culprit(args, kwargs)} cannot be encoded: {error}"
            raise InvalidArguments(msg) from error
        if len(payload) > self._payload_limit:
            raise PayloadTooLarge(_too_large(task.name, args, kwargs, len(payload), self._payload_limit))
        return placement.queue or task.queue, Entry(key or uuid.uuid4().hex, at_ms, delay_ms, payload)

    def _keys(self, queue: str) -> Keys:
        return keys_of(queue, self._layout)

    def _inbox(self, queue: str) -> Coalesced[Entry, bool]:
        inbox = self._inboxes.get(queue)
        if inbox is None:
            send = partial(self._send, self._keys(queue))
            inbox = self._inboxes[queue] = Coalesced(send, size=_size)
        return inbox

    async def _send(self, keys: Keys, entries: Sequence[Entry]) -> list[bool]:
        return await self._patiently(lambda: self._scripts.enqueue(keys, entries))

    async def _patiently(self, call: Callable[[], Any]) -> Any:
        return await patiently(call, for_s=self._patience_s, address=self._address)


async def _chunks(calls: Iterable[Call[Any]] | AsyncIterable[Call[Any]]) -> AsyncIterator[list[Call[Any]]]:
    chunk: list[Call[Any]] = []
    if isinstance(calls, AsyncIterable):
        async for call in calls:
            chunk.append(call)
            if len(chunk) == MAX_BATCH:
                yield chunk
                chunk = []
    else:
        for call in calls:
            chunk.append(call)
            if len(chunk) == MAX_BATCH:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


def _size(entry: Entry) -> int:
    return len(entry.payload)


def _bulk_key(bulk_id: str) -> str:
    return f"runner:bulk:{bulk_id}"


def _cancelled_envelope(data: bytes | None, keys: Keys, job_id: str, now_ms: int) -> bytes:
    try:
        payload = codec.decode_job(data or b"")
        fields: dict[str, Any] = {"f": payload.f, "a": payload.a, "k": payload.k, "et": payload.et}
    except ValueError:
        fields = {"f": "<unknown>", "a": [], "k": {}, "et": now_ms}
    error = codec.error_value(RuntimeError("cancelled"))
    ended: dict[str, Any] = {"t": 0, "s": False, "r": error, "o": "cancelled", "st": now_ms, "ft": now_ms}
    return codec.encode_result({**fields, **ended, "q": keys.queue, "id": job_id})


def _culprit(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    for name, value in _named(args, kwargs):
        try:
            msgspec.json.encode(value, enc_hook=encode_rich)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return name
    return "an argument"


def _too_large(task: str, args: Sequence[Any], kwargs: dict[str, Any], size: int, limit: int) -> str:
    sizes = {
        name: len(msgspec.json.encode(value, enc_hook=encode_rich)) for name, value in _named(args, kwargs)
    }
    largest = max(sizes, key=lambda name: sizes[name], default="")
    where = f"; the largest part is {largest} with {sizes[largest]:,} bytes" if largest else ""
    return (
        f"task '{task}': the job takes {size:,} bytes, more than limits.payload = {limit:,}{where}. "
        "Store the data elsewhere and pass a reference, or raise the limit"
    )


def _named(args: Sequence[Any], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    positional = [(f"argument {number}", value) for number, value in enumerate(args, 1)]
    return positional + [(f"argument '{name}'", value) for name, value in kwargs.items()]


__all__ = ["Bulk", "Client", "Disposition"]
