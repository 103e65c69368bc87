"""How the demo shows itself: a live panel on a terminal, plain lines without one, nothing for machines."""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from .. import JobState
from .balance import Balance
from .watch import Watch

STATES = (JobState.READY, JobState.RUNNING, JobState.SCHEDULED, JobState.SUCCEEDED, JobState.DEAD)
WORDS = {
    JobState.READY: "ready",
    JobState.RUNNING: "running",
    JobState.SCHEDULED: "waiting to retry",
    JobState.SUCCEEDED: "delivered",
    JobState.DEAD: "dead",
}
LINE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to show now."""

    elapsed_s: float
    enqueued: int
    counts: tuple[int, ...]
    ended: int
    attempts: int
    p95_ms: int

    @classmethod
    def of(cls, watch: Watch, *, enqueued: int, elapsed_s: float) -> "Moment":
        """Take it from a watch."""
        states = watch.states()
        counts = tuple(states[state] for state in STATES)
        return cls(elapsed_s, enqueued, counts, watch.ended, watch.attempts(), watch.p95_ms())

    @property
    def summary(self) -> str:
        """Throughput, p95 and attempts, in words."""
        rate = self.ended / self.elapsed_s if self.elapsed_s else 0.0
        return f"{rate:.0f}/s, p95 {self.p95_ms} ms, {self.attempts} attempts"


class Display(Protocol):
    """Where the demo tells what happens."""

    def open(self) -> AbstractContextManager[Any]:
        """Show for as long as the block lasts."""
        ...

    def note(self, text: str) -> None:
        """Tell an event."""
        ...

    def update(self, moment: Moment) -> None:
        """Show how far it is."""
        ...


class Silent:
    """Shows nothing: for machines."""

    def open(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def note(self, text: str) -> None:  # noqa: ARG002 - nothing is shown
        return

    def update(self, moment: Moment) -> None:  # noqa: ARG002 - nothing is shown
        return


class Lines:
    """Writes a line for each event, and one a second."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def open(self) -> AbstractContextManager[Any]:
        return nullcontext()

    def note(self, text: str) -> None:
        print(text, flush=True)  # noqa: T201 - the person at the keyboard reads it

    def update(self, moment: Moment) -> None:
        if moment.elapsed_s < self._next_s:
            return
        self._next_s = moment.elapsed_s + LINE_EVERY_S
        counts = ", ".join(
            f"{count} {WORDS[state]}" for state, count in zip(STATES, moment.counts, strict=True)
        )
        self.note(f"{moment.elapsed_s:5.1f} s  {counts}; {moment.summary}")


class Panel:
    """Draws a bar per state, in place."""

    COLOURS = ("white", "cyan", "yellow", "green", "red")

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(refresh_per_second=10)

    def open(self) -> AbstractContextManager[Any]:
        return self._live

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False, markup=False)

    def update(self, moment: Moment) -> None:
        from rich.panel import Panel as Box
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        grid = Table.grid(padding=(0, 1))
        for state, count, colour in zip(STATES, moment.counts, self.COLOURS, strict=True):
            bar = ProgressBar(
                total=max(1, moment.enqueued),
                completed=count,
                width=40,
                complete_style=colour,
                finished_style=colour,
            )
            grid.add_row(WORDS[state], bar, f"{count:>5}")
        title = f"{moment.enqueued} webhooks, {moment.elapsed_s:.1f} s"
        self._live.update(Box(grid, title=title, subtitle=moment.summary, expand=False))


def display_for(*, as_json: bool) -> Display:
    """Choose by where stdout goes."""
    if as_json:
        return Silent()
    return Panel() if sys.stdout.isatty() else Lines()


def balance_text(balance: Balance, kills: int) -> str:
    """Write the balance for people."""
    dead, requests = sum(balance.dead.values()), sum(balance.answers.values())
    rows = [
        ("enqueued", balance.enqueued, f"worker killed {kills}x with SIGKILL" if kills else ""),
        ("delivered", balance.delivered, "by our word and by the receiver's ledger"),
        ("dead", dead, "kept as dead letters" if dead else ""),
        *(("", count, reason) for reason, count in sorted(balance.dead.items())),
        ("lost", len(balance.lost), _some(balance.lost)),
        ("duplicates", balance.duplicates, f"{balance.recognisable} recognisable by their webhook-id"),
        ("requests", requests, f"{requests - balance.forged} signed rightly; the receiver answered:"),
        *(("", count, answer) for answer, count in sorted(balance.answers.items())),
    ]
    if balance.dead_but_taken:
        rows.append(("dead, taken", balance.dead_but_taken, "the receiver has them; its answer was lost"))
    if balance.strangers:
        rows.append(("strangers", len(balance.strangers), f"never enqueued: {_some(balance.strangers)}"))
    lines = [f"  {name:<11} {count:>7}  {text}".rstrip() for name, count, text in rows]
    verdict = "it balances" if balance.is_even else "IT DOES NOT BALANCE"
    lines += [f"{verdict}: {balance.enqueued} enqueued, {balance.delivered} delivered + {dead} dead"]
    return "\n".join(lines)


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
