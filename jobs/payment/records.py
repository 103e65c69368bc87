"""What stands in the ledger, as values; ``store`` reads and writes them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .gateway import Order
from .request import Request
from .state import State


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as it stands on the server: ``fields`` by name, read through properties."""

    fields: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")

    def number(self, name: str) -> int:
        """Give a whole number; 0 where there is none."""
        return int(self.fields.get(name) or 0)

    @property
    def state(self) -> State:
        """Where it is."""
        return State(self["state"])

    @property
    def since_send_s(self) -> float:
        """Seconds since it was last sent, at the time it was read."""
        return (self.number("at") - (self.number("last_at") or self.number("sent_at"))) / 1000

    def order(self) -> Order:
        """Give what a gateway is asked for."""
        return Order(
            kind=self["kind"],  # pyright: ignore[reportArgumentType] - one of the four was written
            op_id=self["op_id"],
            order_id=self["order"],
            amount_minor=self.number("amount"),
            currency=self["currency"],
            key=self["key"],
            attempt=self.number("attempt"),
            source=self["source"],
            customer=self["customer"],
            capture=self["capture"] != "0",
            payment_ref=self["payment_ref"],
            ref=self["ref"],
            first_sent_at_ms=self.number("sent_at"),
        )

    def request(self) -> Request:
        """Give what was asked for."""
        return Request(
            kind=self["kind"],  # pyright: ignore[reportArgumentType] - one of the four was written
            order_id=self["order"],
            name=self["name"],
            amount_minor=self.number("amount"),
            currency=self["currency"],
            source=self["source"],
            customer=self["customer"],
            capture=self["capture"] != "0",
        )


class Begun(NamedTuple):
    """The answer of ``begin``: what is to be done, see begin.lua."""

    verb: str
    wait_s: float
    operation: Operation


class Holder(NamedTuple):
    """Who wants an operation: a job's attempt, and the token of this one call."""

    job: str
    fence: int
    token: str


class Message(NamedTuple):
    """What the merchant is told; the id is derived, so that telling twice is telling once."""

    id: str
    body: str


class Payment(NamedTuple):
    """A payment with its operations, in the order they were begun, and its audit list."""

    fields: Mapping[str, str]
    operations: tuple[Operation, ...]
    trail: tuple[str, ...]


class Cap(NamedTuple):
    """How many declined attempts of one card, in which time, before it is left alone."""

    times: int
    window_s: float


def is_intact(trail: Iterable[str]) -> bool:
    """Say whether an audit list's chain of hashes holds.

    It shows what was altered, lost or put in; not a forger who may write and computes the whole chain anew.
    """
    before = ""
    for entry in trail:
        digest, _, rest = entry.partition(" ")
        if hashlib.sha1(f"{before} {rest}".encode(), usedforsecurity=False).hexdigest() != digest:
            return False
        before = digest
    return True
