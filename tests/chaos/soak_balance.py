"""The ledgers of a soak against what was acknowledged, line by line: a soak of hours has long ledgers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jobs.payment import payment_state, reconcile_payments
from jobs.payment.sandbox import balance

from .load import order_of
from .stage import OPEN_STATES, Stage


@dataclass(frozen=True, slots=True)
class Balance:
    """What became of everything; numbers count from 0, and each was put in until it was acknowledged."""

    acked: dict[str, int]
    lost: dict[str, int]
    duplicates: int
    requests: int
    charged_twice: int
    mismatches: int
    exits: int
    refused: int

    @property
    def broken(self) -> list[str]:
        """What did not hold, each as a sentence."""
        found = [f"{kind} lost: {count} of {self.acked[kind]}" for kind, count in self.lost.items() if count]
        names = ("charged_twice", "mismatches", "exits")
        return found + [f"{name}: {getattr(self, name)}" for name in names if getattr(self, name)]

    @property
    def text(self) -> str:
        """Give it in a few lines."""
        acked = ", ".join(f"{count} {kind}" for kind, count in self.acked.items())
        return (
            f"acknowledged: {acked}; lost: {sum(self.lost.values())}; {self.refused} calls were refused\n"
            f"webhooks: {self.requests} requests, {self.duplicates} duplicates\n"
            f"payments: {self.charged_twice} charged twice, {self.mismatches} mismatches; "
            f"{self.exits} workers ended by themselves\n"
        )


async def balance_of(stage: Stage) -> Balance:
    """Read them."""
    acked = stage.load.acked
    taken, requests, duplicates = set[int](), 0, 0
    for line in _lines(stage.ledger):
        entry = json.loads(line)
        requests += 1
        duplicates += entry["is_taken"] and entry["number"] in taken
        if entry["is_taken"]:
            taken.add(entry["number"])
    seen: dict[str, set[str]] = {"end": set(), "fired": set()}
    for line in _lines(stage.folder / "events"):
        what, job, _, _, _, _, more = line.rstrip("\n").split(" ", 6)
        if what in seen:
            seen[what].add(more or job)
    await (await stage.runner.enqueue(reconcile_payments)).result(timeout=60)
    orders = [order_of(number) for number in range(acked["payments"])]
    states = {order: await payment_state(stage.runner, order) for order in orders}
    book = balance(stage.gateway.ledger)
    return Balance(
        acked=dict(acked),
        lost={
            "hooks": acked["hooks"] - len(taken),
            "works": acked["works"] - len(seen["end"]),
            "chords": acked["chords"] - len(seen["fired"]),
            "payments": sum(state is None or state["status"] in OPEN_STATES for state in states.values()),
        },
        duplicates=duplicates,
        requests=requests,
        charged_twice=len(book.charged_twice),
        mismatches=len(book.mismatches(states)),
        exits=len(stage.crew.exits),
        refused=stage.load.refused.total() + len(stage.load.foreign),
    )


def _lines(path: Path) -> Iterator[str]:
    with path.open() as file:
        yield from file
