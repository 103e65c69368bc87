"""Dead letters as lines of JSON: every field of a letter, its payload byte for byte.

    {"v": 1, "id": …, "queue": …, "task": …, "reason": …, "payload": "…", "fields": {"at": "…", …}}

``payload`` and the values of ``fields`` are text, or ``{"base64": "…"}`` where they are no UTF-8. ``task`` is
for readers; an import does not look at it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ..errors import BrokenExport
from .letter import letter_of

VERSION = 1

_LEFT_OUT = frozenset({"payload", "queue", "reason", "bytes"})
_QUEUE = re.compile(r"[^\s/{}\x00-\x1f]+")
_NUMBERS = ("at", "attempts")


class Entry(NamedTuple):
    """One letter out of a file."""

    job_id: str
    queue: str
    fields: dict[str, bytes]


def line_of(job_id: str, queue: str, fields: Mapping[str, bytes]) -> str:
    """Write a letter as one line, without the line's end."""
    letter = letter_of(job_id, queue, fields)
    line: dict[str, Any] = {
        "v": VERSION,
        "id": job_id,
        "queue": queue,
        "task": letter.task,
        "reason": letter.reason,
    }
    if (payload := fields.get("payload")) is not None:
        line["payload"] = _written(payload)
    line["fields"] = {name: _written(value) for name, value in fields.items() if name not in _LEFT_OUT}
    return msgspec.json.encode(line).decode()


def entries_of(lines: Iterable[bytes], name: str) -> Iterator[Entry]:
    """Read the letters of a file, one at a time; empty lines are skipped.

    Raises:
        BrokenExport: names the file, the line, what is wrong with it and what was expected.
    """
    seen: dict[str, int] = {}
    for at, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
            if (before := seen.setdefault(entry.job_id, at)) != at:
                msg = f"the id '{entry.job_id}' stands in line {before} already"
                raise ValueError(msg)
        except ValueError as error:
            msg = f"{name}, line {at}: {error}; nothing was imported"
            raise BrokenExport(msg) from None
        yield entry


def _entry(line: bytes) -> Entry:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"no JSON ({error}); expected a line as 'runner dead export' writes it"
        raise ValueError(msg) from None
    if not isinstance(value, dict):
        msg = f"expected a JSON object, not {type(value).__name__}"
        raise ValueError(msg)
    if value.get("v") != VERSION:
        msg = f'expected "v": {VERSION}, not {value.get("v")!r}: written by another version?'
        raise ValueError(msg)
    fields = value.get("fields")
    if not isinstance(fields, dict):
        msg = 'expected "fields" to be an object'
        raise ValueError(msg)
    read = {name: _read(f"fields.{name}", each) for name, each in fields.items() if name not in _LEFT_OUT}
    for name in _NUMBERS:
        if not read.get(name, b"").isdigit():
            msg = f'expected "fields.{name}" to be a whole number as text'
            raise ValueError(msg)
    read["reason"] = _text(value, "reason").encode()
    if "payload" in value:
        read["payload"] = _read("payload", value["payload"])
    queue = _text(value, "queue")
    if not _QUEUE.fullmatch(queue):
        msg = f'expected "queue" to be a queue\'s name, not {queue[:40]!r}'
        raise ValueError(msg)
    return Entry(_text(value, "id"), queue, read)


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text or not text.isprintable():
        msg = f'expected "{name}" to be printable text, not {str(text)[:40]!r}'
        raise ValueError(msg)
    return text


def _written(value: bytes) -> str | dict[str, str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def _read(name: str, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and value.keys() == {"base64"} and isinstance(value["base64"], str):
        try:
            return base64.b64decode(value["base64"], validate=True)
        except binascii.Error as error:
            msg = f'"{name}" is no base64: {error}'
            raise ValueError(msg) from None
    msg = f'expected "{name}" to be text or {{"base64": "…"}}'
    raise ValueError(msg)
