"""One dead letter as a value, and the question whether a filter wants it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ..wire import codec
from ..wire.dead_scripts import Row

_ATTEMPT = re.compile(r"a(\d+)")


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter.

    Attributes:
        id: the job's id; a replay keeps it.
        queue: name of its queue.
        task: name of its task; empty when neither payload nor history says it.
        reason: a word of ``outcome.DEAD_REASONS``; empty when only the index is left of the letter.
        attempts: how many it had in the life that ended.
        replays: how often it was replayed before.
        died_at_ms: the server's clock.
        size: bytes of all that is kept.
        error: type, message, traceback of the last error; empty when there is none.
        payload: the job's bytes as enqueued; None when they are gone.
        args: positional arguments as plain JSON; None when the payload cannot be read.
        kwargs: the same of keyword arguments.
        history: one entry per attempt, oldest first: n, start, end, worker, reason, error. A list gives
            only the last one.
        former: the last attempt of the life before the last replay; empty when never replayed.
    """

    id: str
    queue: str
    task: str
    reason: str
    attempts: int
    replays: int
    died_at_ms: int
    size: int
    error: Mapping[str, str]
    payload: bytes | None
    args: Sequence[Any] | None
    kwargs: Mapping[str, Any] | None
    history: Sequence[Mapping[str, Any]]
    former: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def hosts(self) -> list[str]:
        """Hosts of the URLs among the arguments, as in a webhook's."""
        values = [*(self.args or ()), *(self.kwargs or {}).values()]
        return [host for value in values if isinstance(value, str) and (host := _host(value))]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which letters are meant; an empty field means any. Names may hold ``*`` and ``?``.

    Attributes:
        task: name of the task.
        reason: why it died.
        error: class of the last error, with or without its module: ``httpx.ConnectError``, ``ConnectError``.
        host: host of a URL among the arguments: ``*.example.com``.
        text: found anywhere in id, payload, last error, in any case.
        destination: key of a breaker of the task, which the call passes: ``host:example.com``; no ``*``.
        since_ms: died then or later; epoch milliseconds.
        until_ms: died then or earlier; 0 for now.
    """

    task: str = ""
    reason: str = ""
    error: str = ""
    host: str = ""
    text: str = ""
    since_ms: int = 0
    until_ms: int = 0
    destination: str = ""

    @property
    def takes_all(self) -> bool:
        """Whether only the time decides."""
        return not (self.task or self.reason or self.error or self.host or self.text or self.destination)

    def matches(self, letter: Letter) -> bool:
        """Say whether a letter of the right time is meant; its destination is looked at elsewhere."""
        kind = letter.error.get("type", "")
        return (
            (not self.task or fnmatchcase(letter.task, self.task))
            and (not self.reason or letter.reason == self.reason)
            and (not self.error or any(fnmatchcase(k, self.error) for k in (kind, kind.rpartition(".")[2])))
            and (not self.host or any(fnmatchcase(host, self.host.lower()) for host in letter.hosts))
            and (not self.text or self.text.casefold() in _haystack(letter))
        )


def letter_of_row(row: Row, queue: str) -> Letter:
    """Make a letter of what a page says."""
    fields = {
        "reason": row.reason,
        "attempts": row.attempts,
        "at": row.died_at_ms or row.entered_at_ms.encode(),
        "note": row.note,
        "r": row.replays,
        "bytes": row.size,
        "payload": row.payload,
    }
    return letter_of(row.job_id, queue, {name: value for name, value in fields.items() if value is not None})


def letter_of(job_id: str, queue: str, fields: Mapping[str, bytes]) -> Letter:
    """Make a letter of the fields of its HASH; whatever is missing or unreadable counts as empty."""
    payload, last = fields.get("payload"), parse(fields.get("note", b""))
    job = _decoded(payload)
    error = last.get("error")
    earlier = sorted((int(m[1]), v) for name, v in fields.items() if (m := _ATTEMPT.fullmatch(name)))
    return Letter(
        id=job_id,
        queue=queue,
        task=job.f if job is not None else str(last.get("task", "")),
        reason=fields.get("reason", b"").decode(errors="replace"),
        attempts=number(fields.get("attempts")),
        replays=number(fields.get("r")),
        died_at_ms=number(fields.get("at")),
        size=number(fields.get("bytes")),
        error=error if isinstance(error, dict) else {},
        payload=payload,
        args=job.a if job is not None else None,
        kwargs=job.k if job is not None else None,
        history=[entry for entry in [*(parse(value) for _, value in earlier), last] if entry],
        former=parse(fields.get("z", b"")),
    )


def number(text: bytes | None) -> int:
    """Read a count; rubbish counts as nothing."""
    return int(text) if text is not None and text.isdigit() else 0


def parse(data: bytes) -> dict[str, Any]:
    """Read a JSON object; rubbish counts as empty."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _decoded(payload: bytes | None) -> codec.Payload | None:
    try:
        return None if payload is None else codec.decode_job(payload)
    except ValueError:
        return None


def _host(value: str) -> str | None:
    if not value.startswith(("http://", "https://")):
        return None
    try:
        return urlsplit(value).hostname
    except ValueError:
        return None


def _haystack(letter: Letter) -> str:
    error = " ".join(str(value) for value in letter.error.values())
    payload = (letter.payload or b"").decode(errors="replace")
    return f"{letter.id} {letter.reason} {error} {payload}".casefold()
