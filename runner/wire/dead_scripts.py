"""The scripts of dead letters, as typed calls."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .keys import Keys
from .scripts import Execute, run_script

MAX_LETTERS = 100
"""Letters one call may take."""

PAGE_BYTES = 1024 * 1024
"""A page ends after this many bytes, however few letters that is."""


class Answer:
    """What a script says of one letter."""

    MISSING = 0
    DONE = 1
    ALIVE = 2
    NO_PAYLOAD = 3


class Position(NamedTuple):
    """The last letter that was read; an empty id is the begin."""

    at_ms: str = ""
    job_id: str = ""


BEGIN = Position()


class Row(NamedTuple):
    """One letter of a page; None for fields it does not have."""

    job_id: str
    entered_at_ms: str
    queue: bytes | None
    reason: bytes | None
    attempts: bytes | None
    died_at_ms: bytes | None
    note: bytes | None
    replays: bytes | None
    size: bytes | None
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class RawPage:
    """Rows in order; ``until_ms`` is the moment the reading was fixed to."""

    until_ms: int
    at_end: bool
    rows: list[Row]


class DeadScripts:
    """The scripts, sent through one ``execute``; each may be sent twice with the same ``op``."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def page(
        self,
        keys: Keys,
        *,
        after: Position = BEGIN,
        order: Literal["newest", "oldest"] = "newest",
        since_ms: int = 0,
        until_ms: int = 0,
        limit: int = MAX_LETTERS,
        now_ms: int = 0,
    ) -> RawPage:
        """Read up to 100 letters; ``until_ms`` 0 is the server's now."""
        direction = "REV" if order == "newest" else ""
        args = (keys.ours, now_ms, direction, since_ms, until_ms, *after, min(limit, MAX_LETTERS), PAGE_BYTES)
        reply = await self._run("dead_letters_page", (keys.dead,), args)
        rows = [Row(row[0].decode(errors="replace"), row[1].decode(), *row[2:]) for row in reply[2:]]
        return RawPage(int(reply[0]), reply[1] == 1, rows)

    async def replay(
        self, keys: Keys, letters: Sequence[tuple[str, bytes]], *, by: str, op: str, now_ms: int = 0
    ) -> list[int]:
        """Make up to 100 letters jobs again, given as (id, new payload or nothing); an Answer for each."""
        flat = [part for letter in letters for part in letter]
        names = (keys.queue, keys.dead, keys.abort, keys.dead_audit, keys.op(op))
        return _answers(
            await self._run("dead_letters_replay", names, (keys.arq, keys.ours, now_ms, by, *flat))
        )

    async def discard(
        self, keys: Keys, ids: Sequence[str], *, verb: str, by: str, op: str, now_ms: int = 0
    ) -> list[int]:
        """Delete up to 100 letters; an Answer for each."""
        names = (keys.dead, keys.dead_audit, keys.op(op))
        return _answers(await self._run("dead_letters_discard", names, (keys.ours, now_ms, verb, by, *ids)))

    async def restore(
        self,
        keys: Keys,
        letters: Sequence[tuple[str, dict[str, bytes]]],
        *,
        by: str,
        op: str,
        now_ms: int = 0,
    ) -> list[int]:
        """Write up to 100 letters, given as (id, fields); an Answer for each, MISSING for one that is there.

        Raises:
            QueueFull: the server is out of memory; nothing of this call was written.
        """
        flat: list[Any] = []
        for job_id, fields in letters:
            flat += [job_id, len(fields)]
            for name, value in fields.items():
                flat += [name, value]
        names = (keys.queue, keys.dead, keys.dead_audit, keys.op(op))
        return _answers(
            await self._run("dead_letters_import", names, (keys.arq, keys.ours, now_ms, by, *flat))
        )

    async def trim(
        self,
        keys: Keys,
        *,
        keep_ms: int,
        max_count: int,
        max_bytes: int,
        now_ms: int = 0,
        limit: int = MAX_LETTERS,
    ) -> int:
        """Delete up to ``limit`` of the oldest letters beyond what is kept; how many."""
        args = (keys.ours, now_ms, keep_ms, max_count, max_bytes, limit)
        return await self._run("dead_letters_trim", (keys.dead, keys.dead_stats), args)

    async def tell(
        self, keys: Keys, job_id: str, payload: bytes, *, node: bytes = b"", now_ms: int = 0
    ) -> bool:
        """Take it on to tell of a death no worker saw; a payload is enqueued along with it."""
        args = (keys.arq, keys.ours, now_ms, job_id, payload, node)
        names = (keys.queue, keys.dead_untold, keys.nodes_ended)
        return await self._run("dead_letters_tell", names, args) == 1

    async def _run(self, verb: str, keys: tuple[str, ...], args: tuple[Any, ...]) -> Any:
        return await run_script(self._execute, verb, keys, args)


def new_op() -> str:
    """Give a name for one call, by which the server knows it when it is sent again."""
    return secrets.token_hex(12)


def _answers(digits: bytes) -> list[int]:
    return [digit - 48 for digit in digits]
