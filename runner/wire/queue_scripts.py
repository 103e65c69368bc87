"""The scripts of people who look after queues, as typed calls."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from .keys import Keys
from .scripts import Execute, run_script

MAX_PAGE = 100
"""Jobs one call names."""

MAX_ROWS = 1000
"""Jobs one call describes."""

HEAD_BYTES = 16 * 1024
"""Bytes of a payload that a list reads: enough for all but very large jobs."""


class RawStanding(NamedTuple):
    """What the script says of a queue; see its header."""

    now_ms: int
    ready: int
    scheduled: int
    running: int
    dead: int
    suspects: int
    ready_since_ms: int
    paused_at_ms: int
    paused_by: bytes
    gates: int


class Named(NamedTuple):
    """A job of a page: its id and due, as the queue has them."""

    job_id: bytes
    due_ms: bytes


class RawRow(NamedTuple):
    """What a list says of a job."""

    job_id: bytes
    due_ms: bytes | None
    head: bytes
    size: int
    attempts: bytes
    is_leased: int
    entry: bytes | None
    waits_for: bytes
    progress: bytes


class Change:
    """What a script says of a change to one job."""

    MISSING = 0
    DONE = 1
    RUNS = 2
    OTHER = 3


class QueueScripts:
    """The scripts, sent through one ``execute``."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def standing(self, keys: Keys, *, now_ms: int = 0) -> RawStanding:
        """Count the jobs of a queue."""
        names = (keys.queue, keys.running, keys.suspects, keys.dead, keys.gates, keys.paused)
        return RawStanding(*await self._run("queue_standing", names, (keys.arq, now_ms)))

    async def page(
        self,
        keys: Keys,
        *,
        since_ms: int = 0,
        until_ms: int = 0,
        after: tuple[str, str] = ("", ""),
        limit: int = MAX_PAGE,
        now_ms: int = 0,
    ) -> tuple[int, list[Named]]:
        """Name up to 100 jobs in order of due; the server's now, and the jobs."""
        args = (now_ms, since_ms, until_ms, *after, min(limit, MAX_PAGE))
        reply = await self._run("queue_page", (keys.queue,), args)
        return int(reply[0]), [Named(*pair) for pair in zip(reply[1::2], reply[2::2], strict=True)]

    async def rows(self, keys: Keys, ids: Sequence[bytes], *, now_ms: int = 0) -> tuple[int, list[RawRow]]:
        """Describe up to 1,000 jobs; the server's now, and a row each."""
        args = (keys.arq, keys.ours, now_ms, HEAD_BYTES, *ids)
        reply = await self._run("job_rows", (keys.queue, keys.running), args)
        return int(reply[0]), [RawRow(*row) for row in reply[1:]]

    async def pause(self, keys: Keys, *, by: str, now_ms: int = 0) -> bool:
        """Keep jobs from starting; False when the queue was paused."""
        return await self._run("queue_pause", (keys.queue, keys.paused), (now_ms, 1, by)) == 1

    async def resume(self, keys: Keys) -> bool:
        """Let jobs start again; False when the queue was not paused."""
        return await self._run("queue_pause", (keys.queue, keys.paused), (0, 0, "")) == 1

    async def hasten(self, keys: Keys, job_id: str, *, now_ms: int = 0) -> int:
        """Make a waiting job due now; a Change."""
        return await self._run("hasten", (keys.queue,), (keys.arq, keys.ours, now_ms, job_id))

    async def rewrite(self, keys: Keys, job_id: str, known: bytes, given: bytes) -> int:
        """Put another payload in the place of the known one; a Change."""
        return await self._run("rewrite", (keys.queue,), (keys.arq, job_id, known, given))

    async def _run(self, verb: str, keys: tuple[str, ...], args: tuple[Any, ...]) -> Any:
        return await run_script(self._execute, verb, keys, args)
