"""What worker and child say to each other: a length of four bytes, then JSON with its kind."""

from collections.abc import Iterator
from typing import Any

import msgspec

from .told import Told

HEAD = 4


class Hello(msgspec.Struct, tag="hello"):
    """First of all: what to import, the bytes a job may take beyond that (0: any), what to log."""

    modules: list[str]
    memory: int
    level: int


class Call(msgspec.Struct, tag="call"):
    """Run a task."""

    number: int
    module: str
    task: str
    args: msgspec.Raw
    kwargs: msgspec.Raw
    job_id: str
    queue: str
    attempt: int
    fence: int
    due_at_ms: int
    enqueued_at_ms: int
    remaining_s: float | None


class Soften(msgspec.Struct, tag="soften"):
    """The soft time limit of this call has passed."""

    number: int


class Ready(msgspec.Struct, tag="ready"):
    """Everything is imported."""


class Logged(msgspec.Struct, tag="logged"):
    """A log record."""

    name: str
    level: int
    message: str
    path: str
    line: int


class Progressed(msgspec.Struct, tag="progressed"):
    """What ``ctx.progress`` was told."""

    done: float
    note: str


class Returned(msgspec.Struct, tag="returned"):
    """The task's result."""

    value: msgspec.Raw


class Unfit(msgspec.Struct, tag="unfit"):
    """The task returned what JSON cannot carry."""

    why: str


class Raised(msgspec.Struct, tag="raised"):
    """The task, or an import, raised."""

    error: Told


Asked = Hello | Call | Soften
Answer = Ready | Logged | Progressed | Returned | Unfit | Raised

asked = msgspec.json.Decoder(Asked)
answers = msgspec.json.Decoder(Answer)


def framed(message: Asked | Answer) -> bytes:
    """Give the bytes of a message."""
    body = msgspec.json.encode(message)
    return len(body).to_bytes(HEAD) + body


class Frames:
    """Cuts what arrives into the bodies of messages."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the bodies that are complete now."""
        unread = self._unread
        unread += data
        while len(unread) >= HEAD and len(unread) >= (end := HEAD + int.from_bytes(unread[:HEAD])):
            body = bytes(unread[HEAD:end])
            del unread[:end]
            yield body


def plain(raw: msgspec.Raw) -> Any:
    """Give a value that stands in a message."""
    return msgspec.json.decode(raw)
