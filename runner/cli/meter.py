"""Progress of long work, on stderr; and how to go on when it is interrupted."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from ..dead_letters import Tally

LINE_EVERY_S = 5.0


class Meter:
    """Progress on stderr: a bar on a terminal, else a line now and then. When interrupted, says how to go on.

    Args:
        done: what is done to each, in the past tense.
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
        if kind is not None and self._resume:
            on = self._resume.format(self._tally.cursor) if self._tally.cursor else "the same command"
            print(f"stopped: {self._tally.done} {self._done}; go on with {on}", file=sys.stderr)
