"""What is asked for: an operation's names, fingerprint and keys, all derived from what the caller said.

Derived, not drawn: the same call gives the same operation and the same gateway key on any machine, also after
the ledger was lost.
"""

import base64
import hashlib
import re
import uuid
from dataclasses import dataclass

from .gateway import Kind
from .money import check_amount, check_currency, refuse_card_data

NAMESPACE = uuid.UUID("6f2f4b3c-6e0d-5c8b-9a55-2d6f1f0a7d11")
_NAME = re.compile(r"[!-z~]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation, as asked for.

    Attributes:
        kind: charge, capture, void or refund.
        order_id: the merchant's name of the payment.
        name: tells apart several of a kind on one payment: a refund's id; empty for the others.
        amount_minor: minor units; 0 for a void.
        currency: ISO 4217.
        source: the gateway's token of what is charged.
        customer: the gateway's customer; empty for none.
        capture: False only authorizes.
    """

    kind: Kind
    order_id: str
    name: str = ""
    amount_minor: int = 0
    currency: str = ""
    source: str = ""
    customer: str = ""
    capture: bool = True

    def op_id(self, account: str) -> str:
        """Give the operation's id."""
        return str(uuid.uuid5(NAMESPACE, "\n".join((account, self.kind, self.order_id, self.name))))

    def key(self, account: str, attempt: int) -> str:
        """Give the gateway key of an attempt: 43 characters."""
        words = (str(NAMESPACE), account, self.order_id, self.name, self.kind, str(attempt))
        return _digest("\n".join(words).encode())


def charge_request(
    order_id: str,
    amount_minor: int,
    currency: str,
    source: str,
    *,
    customer: str = "",
    capture: bool = True,
) -> Request:
    """Ask for money of an order."""
    return Request(
        kind="charge",
        order_id=order_id,
        amount_minor=amount_minor,
        currency=currency,
        source=source,
        customer=customer,
        capture=capture,
    )


def capture_request(order_id: str, amount_minor: int, currency: str) -> Request:
    """Ask for money that was authorized."""
    return Request(kind="capture", order_id=order_id, amount_minor=amount_minor, currency=currency)


def void_request(order_id: str) -> Request:
    """Ask to let go of an authorization."""
    return Request(kind="void", order_id=order_id)


def refund_request(order_id: str, amount_minor: int, currency: str, refund_id: str) -> Request:
    """Ask for some or all of it back."""
    return Request(
        kind="refund", order_id=order_id, name=refund_id, amount_minor=amount_minor, currency=currency
    )


def check(request: Request) -> None:
    """Refuse what can never be sent.

    Raises:
        ValueError: names the argument; never shows what looks like card data.
    """
    texts = {"order_id": request.order_id, "source": request.source, "customer": request.customer}
    texts["refund_id"] = request.name
    for name, value in texts.items():
        if type(value) is not str:
            msg = f"{name}: expected text, not {type(value).__name__}"
            raise ValueError(msg)
    refuse_card_data(texts.items(), ids=frozenset({"order_id", "refund_id"}))
    required = {"order_id"} | ({"source"} if request.kind == "charge" else set())
    required |= {"refund_id"} if request.kind == "refund" else set()
    for name, value in texts.items():
        if (value or name in required) and not _NAME.fullmatch(value):
            msg = f"{name}: expected 1 to 200 visible ASCII characters without braces, not {value[:40]!r}"
            raise ValueError(msg)
    if request.kind != "void":
        check_amount(request.amount_minor)
        check_currency(request.currency)
    if type(request.capture) is not bool:
        msg = f"capture: expected True or False, not {str(request.capture)[:40]!r}"
        raise ValueError(msg)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
