"""The receiver's ledger: one JSON line for each request, on the disk before the request is answered."""

import asyncio
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Line:
    """One request, as the receiver saw it.

    Attributes:
        number: of the webhook, out of its body.
        webhook_id: as signed.
        attempt: as the sender counts.
        answer: what the receiver did.
        is_taken: whether the receiver acted on the webhook, answered or not.
        is_signed: whether the signature was right.
    """

    number: int
    webhook_id: str
    attempt: str
    answer: str
    is_taken: bool
    is_signed: bool


class Ledger:
    """Writes lines; those that come while the disk is busy share the next fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def enter(self, line: Line) -> None:
        """Come back when the line is on the disk."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(asdict(line)), written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await asyncio.shield(written)

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._to_disk, "".join(f"{text}\n" for text, _ in batch))
            for _, written in batch:
                written.set_result(None)
        self._writing = None

    def _to_disk(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())


def read_ledger(path: Path) -> list[Line]:
    """Give all lines, in the order in which they were written."""
    return [Line(**json.loads(text)) for text in path.read_text().splitlines()]
