"""Payments that never charge twice; docs/payments.md says what is promised and what is not.

| module | holds |
| --- | --- |
| `money`, `request`, `declines` | what may be asked for, and what a decline means |
| `state`, `operation` | the life of an operation; what follows from what a gateway says |
| `gateway`, `stripe_shape`, `http_gateway` | what a gateway must do and can say; one over HTTP |
| `records`, `store` | the ledger on the server, by scripts |
| `desk`, `tasks` | one turn at an operation; the jobs |
| `health` | when jobs wait because the gateway is ill |
| `saga` | a payment as a step of a saga, and its undo |
| `reconcile`, `report` | both ledgers compared; what is told |
| `events`, `review` | what the gateway reports by itself; what a person found out |
| `sandbox` | a gateway of our own, to try it all |
"""

from .events import InvalidEvent, take_event
from .reconcile import payment_state, reconcile_payments
from .review import Finding, payments_in_review, settle_payment
from .saga import require_payment, undo_payment
from .tasks import (
    capture_payment,
    process_payment,
    process_refund,
    refund_payment,
    resolve_unknown,
    void_payment,
)

__all__ = [
    "Finding",
    "InvalidEvent",
    "capture_payment",
    "payment_state",
    "payments_in_review",
    "process_payment",
    "process_refund",
    "reconcile_payments",
    "refund_payment",
    "require_payment",
    "resolve_unknown",
    "settle_payment",
    "take_event",
    "undo_payment",
    "void_payment",
]
