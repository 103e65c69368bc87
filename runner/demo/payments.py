"""Payments beside the webhooks, through a gateway that loses answers; then both ledgers are compared."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .. import Job, Runner
from .watch import Watch

MODULE = "jobs.payment"
FAULTS = ("charge_drop", "drop", "charge_500", "conflict", "throttle", "truncated")
GATEWAY_S = 0.3
MOST_FAULTS = 0.25
"""A gateway that errs more often is ill: its breaker would hold the payments up for minutes."""
RETRY = "300ms,1s" + 30 * ",2s"
"""Waits of a payment of which nobody knows how it ended. After them comes a quarter of an hour: the demo's
gateway errs so often that a shorter list would get there now and then."""
FIRST_CENTS = 100


@dataclass(frozen=True, slots=True)
class Paid:
    """What became of the payments.

    Attributes:
        enqueued: acknowledged by the server.
        succeeded: by our word.
        charged: by the gateway's ledger.
        twice: orders that it was charged more than once.
        mismatches: a line for each order of which we say something else than the gateway.
    """

    enqueued: int = 0
    succeeded: int = 0
    charged: int = 0
    twice: tuple[str, ...] = ()
    mismatches: tuple[str, ...] = ()

    @property
    def is_even(self) -> bool:
        """Whether each was charged once, and we know it."""
        return self.enqueued == self.succeeded == self.charged and not self.twice and not self.mismatches

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        figures = {"enqueued": self.enqueued, "succeeded": self.succeeded, "charged": self.charged}
        return {**figures, "charged_twice": len(self.twice), "mismatches": list(self.mismatches)}

    @property
    def text(self) -> str:
        """Give it for people: one line, and one for each order that is wrong."""
        word = (
            f"{self.enqueued} payments: {self.succeeded} succeeded by our word, {self.charged} charged by the"
        )
        told = f"{word} gateway's ledger, charged twice {len(self.twice)}, mismatches {len(self.mismatches)}"
        return "\n".join([told, *self.twice, *self.mismatches])


class Till:
    """The gateway, and what we have asked of it.

    Attributes:
        watch: looks at the jobs; None before they are enqueued.
    """

    def __init__(self, runner: Runner, sandbox: Any, count: int) -> None:
        self.watch: Watch | None = None
        self.count = count
        self._runner = runner
        self._sandbox = sandbox

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, folder: Path, runner: Runner, *, count: int, share: float
    ) -> AsyncGenerator["Till | None"]:
        """Start the gateway in a process of its own; None when there is nothing to pay."""
        if not count:
            yield None
            return
        kind = import_module(f"{MODULE}.sandbox").Sandbox
        with kind.start(
            folder, "--latency", str(GATEWAY_S), "--share", str(min(share, MOST_FAULTS)), "--mix", *FAULTS
        ) as sandbox:
            await runner.enqueue(import_module(MODULE).reconcile_payments)
            yield cls(runner, sandbox, count)

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return self.watch is not None and self.watch.is_over

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.watch.ended if self.watch is not None else 0

    @property
    def is_half_way(self) -> bool:
        """Whether half of them have ended."""
        return self.watch is not None and self.watch.ended >= self.count / 2

    @property
    def settings(self) -> Mapping[str, str]:
        """The variables of a worker."""
        return {
            "RUNNER_PAYMENTS__URL": self._sandbox.url,
            "RUNNER_PAYMENTS__TIMEOUT": "3s",
            "RUNNER_PAYMENTS__RETRY": RETRY,
        }

    async def enqueue(self) -> None:
        """Ask for all of them."""
        task = import_module(MODULE).process_payment
        jobs: list[Job[Any]] = [
            await self._runner.enqueue(task, f"order-{number}", FIRST_CENTS + number, "EUR", "tok_demo")
            for number in range(self.count)
        ]
        self.watch = Watch(jobs)

    async def look(self) -> None:
        """Look at those that had not ended."""
        if self.watch is not None:
            await self.watch.look()

    async def balance(self) -> Paid:
        """Compare what we say of each order with the gateway's ledger."""
        state_of = import_module(MODULE).payment_state
        orders = [f"order-{number}" for number in range(self.count)]
        states = {order: await state_of(self._runner, order) for order in orders}
        book = import_module(f"{MODULE}.sandbox").balance(self._sandbox.ledger)
        succeeded = sum(state is not None and state["status"] == "succeeded" for state in states.values())
        return Paid(
            self.count,
            succeeded,
            len(book.charges),
            tuple(book.charged_twice),
            tuple(book.mismatches(states)),
        )
