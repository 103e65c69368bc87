"""How dead letters look: tables on a terminal, plain lines elsewhere, progress on stderr."""

import base64
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from ..dead_letters import Letter, Standing, Tally

LINE_EVERY_S = 5.0

_COLUMNS = ("died", "id", "queue", "task", "reason", "attempts", "error")


def as_plain(letter: Letter, *, whole: bool = False) -> dict[str, Any]:
    """Give a letter as JSON takes it; ``whole`` adds history, and the payload where it cannot be read."""
    plain: dict[str, Any] = {
        "id": letter.id,
        "queue": letter.queue,
        "task": letter.task,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "died_at_ms": letter.died_at_ms,
        "size": letter.size,
        "error": {name: text for name, text in letter.error.items() if whole or name != "traceback"},
        "args": letter.args,
        "kwargs": letter.kwargs,
    }
    if whole:
        plain |= {"history": letter.history, "former": letter.former}
        if letter.args is None and letter.payload is not None:
            plain["payload_base64"] = base64.b64encode(letter.payload).decode()
    return plain


def print_letters(letters: Sequence[Letter], standings: Sequence[Standing]) -> None:
    """Print a table and, to stderr, how each queue stands."""
    rows = [_row(letter) for letter in letters]
    if sys.stdout.isatty():
        _print_table(rows)
    elif rows:
        widths = [max(len(row[i]) for row in [_COLUMNS, *rows]) for i in range(len(_COLUMNS))]
        for row in [_COLUMNS, *rows]:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    for standing in standings:
        if standing.count or standing.trimmed:
            trimmed = f", {standing.trimmed:,} deleted by retention" if standing.trimmed else ""
            stand = f"{standing.count:,} dead, {standing.size:,} bytes{trimmed}"
            print(f"{standing.queue}: {stand}", file=sys.stderr)


def print_letter(letter: Letter) -> None:
    """Print all that is kept of one letter, last traceback included."""
    facts = {
        "id": letter.id,
        "queue": letter.queue,
        "task": letter.task or "(not known)",
        "reason": letter.reason,
        "died": _time(letter.died_at_ms),
        "attempts": str(letter.attempts),
        "replays": str(letter.replays),
        "size": f"{letter.size:,} bytes",
        "args": "(cannot be read)" if letter.args is None else json.dumps(letter.args, ensure_ascii=False),
        "kwargs": json.dumps(letter.kwargs or {}, ensure_ascii=False),
    }
    for name, text in facts.items():
        print(f"{name:<9} {_clean(text)}")
    for entry in letter.history:
        error = entry.get("error") or {}
        what = f"{error.get('type', '')}: {error.get('message', '')}" if error else entry.get("reason", "")
        when = f"{_time(entry.get('start', 0))} on {entry.get('worker', '?')}"
        print(_clean(f"attempt {entry.get('n', '?')}, {when}: {what}"))
    if letter.error.get("traceback"):
        print()
        print("\n".join(_clean(line) for line in letter.error["traceback"].rstrip().splitlines()))


class Meter:
    """Progress on stderr: a bar on a terminal, else a line now and then. When interrupted, says how to go on.

    Args:
        done: what is done to letters, in the past tense.
        total: how many are expected; None when nobody knows.
        resume: how to go on, with ``{}`` for the cursor; empty when there is nothing to say.
    """

    def __init__(self, done: str, total: int | None = None, *, resume: str = "") -> None:
        self._done = done
        self._total = total
        self._resume = resume
        self._tally = Tally()
        self._said_at = time.monotonic()
        self._bar: Any = None
        self._line: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._line = self._bar.add_task(self._done, total=self._total)
        return self

    def advance(self, tally: Tally) -> None:
        """Show how far it has come."""
        self._tally = tally
        if self._bar is not None:
            self._bar.update(self._line, completed=tally.done)
        elif time.monotonic() - self._said_at >= LINE_EVERY_S:
            self._said_at = time.monotonic()
            of = "" if self._total is None else f" of {self._total}"
            print(f"{tally.done}{of} {self._done}", file=sys.stderr)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is not None and self._resume and self._tally.cursor:
            on = self._resume.format(self._tally.cursor)
            print(f"stopped: {self._tally.done} {self._done}; go on with {on}", file=sys.stderr)


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*_COLUMNS)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _row(letter: Letter) -> list[str]:
    error = letter.error.get("type", "").rpartition(".")[2]
    message = (letter.error.get("message") or " ").splitlines()[0][:60]
    cells = (
        _time(letter.died_at_ms),
        letter.id,
        letter.queue,
        letter.task,
        letter.reason or "(only its id is left)",
    )
    return [_clean(cell) for cell in (*cells, str(letter.attempts), f"{error}: {message}" if error else "")]


def _time(at_ms: Any) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def _clean(text: str) -> str:
    """Keep what strangers wrote from steering the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
