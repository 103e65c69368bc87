"""What a payment gateway must be able to do, and everything it can say, as values.

Failures are values too: a gateway raises only for a fault in its own code. Which of them an answer is decides
whether money may have moved, so an adapter never guesses: what it does not understand is ``Unknown``.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from .declines import Decline

Kind = Literal["charge", "capture", "void", "refund"]
Settled = Literal["succeeded", "authorized", "pending", "requires_action"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a gateway is asked to do: one operation, the same over all its repeats.

    Attributes:
        kind: which of the four.
        op_id: our name of the operation; travels as metadata.
        order_id: the merchant's name of the payment; travels as metadata.
        amount_minor: minor units; 0 for a void.
        currency: ISO 4217.
        key: the idempotency key of this attempt.
        attempt: which attempt it is, from 1; each has a key of its own.
        source: the gateway's token of what is charged; empty for other kinds.
        customer: the gateway's customer; empty for none.
        capture: False only authorizes.
        payment_ref: the gateway's name of the payment; empty for a charge.
        ref: the gateway's name of this operation, once known.
        first_sent_at_ms: server time of the first send; 0 when it never was.
    """

    kind: Kind
    op_id: str
    order_id: str
    amount_minor: int
    currency: str
    key: str
    attempt: int = 1
    source: str = ""
    customer: str = ""
    capture: bool = True
    payment_ref: str = ""
    ref: str = ""
    first_sent_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The gateway has done it, or is doing it.

    Attributes:
        status: how far.
        ref: the gateway's name of the operation.
        amount_minor: what it says it moved; compared with what was asked.
        currency: the same.
        op_id: from its metadata; empty where the gateway keeps none.
        order_id: the same.
        attempt: the same; 0 where it keeps none.
        next_action: what the customer must do, as the gateway tells it.
        evidence: what was seen: status, request id, whether it was a replay.
    """

    status: Settled
    ref: str
    amount_minor: int
    currency: str
    op_id: str = ""
    order_id: str = ""
    attempt: int = 0
    next_action: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """The issuer refused; no money moved."""

    decline: Decline
    ref: str = ""
    op_id: str = ""
    order_id: str = ""
    attempt: int = 0
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The gateway refused the request itself; no money moved. ``is_bug``: a fault of ours."""

    reason: str
    is_bug: bool = False


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """The gateway does not know us (401, 403); no money moves until the settings are put right."""

    reason: str


@dataclass(frozen=True, slots=True)
class InProgress:
    """Another request with our key is running at the gateway (409)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many requests (429): refused before anything was done. ``wait_s`` None: it named no wait."""

    wait_s: float | None
    reason: str = "answered 429"


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte left this process."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been done.

    Attributes:
        reason: for people.
        is_alarming: somebody should look at it: the gateway's answer contradicts what was asked.
        was_answered: a status was read, so repeating the same request will tell the same.
    """

    reason: str
    is_alarming: bool = False
    was_answered: bool = False


Outcome = Executed | Declined | Rejected | Misconfigured | InProgress | Throttled | NotSent | Unknown


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found of an operation: nothing, one, or several, declined ones among them."""

    outcomes: tuple[Executed | Declined, ...] = field(default=())

    @property
    def successes(self) -> tuple[Executed, ...]:
        """Those by which money moved or may yet move."""
        return tuple(each for each in self.outcomes if isinstance(each, Executed))


class PaymentGateway(Protocol):
    """A gateway. Every call is bounded in time by the adapter itself."""

    async def execute(self, order: Order) -> Outcome:
        """Ask for the operation, under its key."""
        ...

    async def find(self, order: Order) -> Found | Misconfigured | Throttled | NotSent | Unknown:
        """Look for the operation, by the gateway's name of it or by our ``op_id``; moves no money."""
        ...

    async def ledger(
        self, since_ms: int
    ) -> tuple[Executed | Declined, ...] | Misconfigured | Throttled | NotSent | Unknown:
        """List every charge made since then that carries an ``op_id``; for reconciliation. Moves no money."""
        ...
