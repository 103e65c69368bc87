"""The sandbox's ledger: one JSON line for everything that moved money, on disk before anybody is told."""

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec


@dataclass
class Charge:
    """What happened to the money of one order.

    Attributes:
        charged: how often it was charged or authorized.
        amount_minor: of the charges, in sum.
        currency: theirs.
        captured_minor: captured of them.
        refunded_minor: given back of it.
        voided: how often it was let go.
    """

    charged: int = 0
    amount_minor: int = 0
    currency: str = ""
    captured_minor: int = 0
    refunded_minor: int = 0
    voided: int = 0


@dataclass
class Balance:
    """The whole ledger, by order.

    Attributes:
        charges: by order id.
    """

    charges: dict[str, Charge] = field(default_factory=dict[str, Charge])

    @property
    def charged_twice(self) -> list[str]:
        """Orders that were charged more than once."""
        return [order for order, charge in self.charges.items() if charge.charged > 1]

    def mismatches(self, states: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
        """Compare with what we say (``payment_state`` by order id); one line for each order that differs."""
        lines: list[str] = []
        for order, state in states.items():
            theirs = self.charges.get(order, Charge())
            said = state or {}
            ours = (
                said.get("authorized_minor", 0),
                said.get("captured_minor", 0),
                said.get("refunded_minor", 0),
            )
            real = (theirs.amount_minor, theirs.captured_minor, theirs.refunded_minor)
            if ours != real:
                lines.append(f"{order}: we say {said.get('status')} {ours}, the gateway's ledger says {real}")
        return lines + [f"{order}: charged, and not ours" for order in self.charges.keys() - states.keys()]


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """Give the entries of a ledger, in order; a last line that was cut by a crash was told to nobody."""
    if not path.exists():
        return
    for line in path.read_bytes().split(b"\n")[:-1]:
        yield msgspec.json.decode(line)


def balance(path: Path) -> Balance:
    """Read a ledger; safe while its sandbox runs."""
    found = Balance()
    for entry in entries(path):
        charge = found.charges.setdefault(entry["order_id"], Charge())
        amount = entry["amount"]
        match entry["effect"]:
            case "charge":
                charge.charged += 1
                charge.amount_minor += amount
                charge.currency = entry["currency"]
                charge.captured_minor += amount if entry["captured"] else 0
            case "capture":
                charge.captured_minor += amount
            case "refund":
                charge.refunded_minor += amount
            case "void":
                charge.voided += 1
            case _:
                pass
    return found


class Journal:
    """Appends to the ledger; entries of one moment share an fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, entry: dict[str, Any]) -> None:
        """Write an entry; it is on disk when this returns."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((msgspec.json.encode(entry) + b"\n", written))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        await asyncio.shield(written)

    async def _write_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await asyncio.to_thread(self._write, b"".join(line for line, _ in batch))
            for _, written in batch:
                written.set_result(None)
        self._writing = None

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
