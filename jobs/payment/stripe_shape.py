"""The Stripe API's shape, read and written: what is asked, and what an answer says about money. Pure.

| seen | executed? | outcome |
| --- | --- | --- |
| nothing was written: connect, DNS, TLS, no free connection | no | NotSent |
| it left, and no status came back | ? | Unknown |
| 2xx that is not what was asked for: not JSON, cut, another object, an error body | ? | Unknown, alarming |
| 2xx succeeded, requires_capture, processing, requires_action | yes | Executed, to be compared |
| 2xx requires_payment_method, failed, canceled | no money | Declined |
| 3xx | no | Rejected: a redirect is never followed |
| 400 idempotency_error | ? | Rejected, a bug: never answered with a new key |
| 400 with a code that says "it is so already" | ? | Unknown: ask |
| 400, 404, 422, other 4xx | no | Rejected |
| 401, 403 | no | Misconfigured |
| 402 | no money | Declined |
| 409, lock_timeout | running | InProgress |
| 429 | no | Throttled |
| 5xx | ? | Unknown |
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from runner.http import Answer, parse_retry_after

from .declines import classify
from .gateway import (
    Declined,
    Executed,
    InProgress,
    Misconfigured,
    Order,
    Outcome,
    Rejected,
    Settled,
    Throttled,
    Unknown,
)

ALREADY = frozenset(
    [
        "charge_already_refunded",
        "charge_already_captured",
        "payment_intent_unexpected_state",
        "charge_not_refundable",
    ]
)
"""Codes of refusals that may be answers to our own earlier request."""

_SETTLED: dict[str, Settled] = {
    "succeeded": "succeeded",
    "requires_capture": "authorized",
    "processing": "pending",
    "pending": "pending",
    "requires_action": "requires_action",
}


@dataclass(frozen=True, slots=True)
class Answered:
    """A 2xx with a JSON object."""

    body: dict[str, Any]
    evidence: str


Reply = Answered | Declined | Rejected | Misconfigured | InProgress | Throttled | Unknown


def request_of(order: Order) -> tuple[str, dict[str, str]]:
    """Give path and form fields of what is asked; the same bytes at every repeat."""
    metadata = {
        "metadata[op_id]": order.op_id,
        "metadata[order_id]": order.order_id,
        "metadata[attempt]": str(order.attempt),
    }
    amount = str(order.amount_minor)
    match order.kind:
        case "charge":
            fields = {
                "amount": amount,
                "currency": order.currency.lower(),
                "payment_method": order.source,
                "payment_method_types[]": "card",
                "confirm": "true",
                "capture_method": "automatic" if order.capture else "manual",
            }
            if order.customer:
                fields["customer"] = order.customer
            return "/v1/payment_intents", fields | metadata
        case "capture":
            return f"/v1/payment_intents/{quote(order.payment_ref)}/capture", {"amount_to_capture": amount}
        case "void":
            return f"/v1/payment_intents/{quote(order.payment_ref)}/cancel", {}
        case "refund":
            return "/v1/refunds", {"payment_intent": order.payment_ref, "amount": amount} | metadata


def read_answer(answer: Answer, now_ms: int) -> Reply:
    """Read a status and its body by the module's table; ``now_ms`` is for a Retry-After that names a date."""
    body = _json(answer)
    error = body.get("error") if isinstance(body, dict) else None
    error = error if isinstance(error, dict) else {}
    code, status = str(error.get("code") or ""), answer.status
    reason = (
        f"answered {status} {error.get('type', '')} {code}: {str(error.get('message', ''))[:120]}".rstrip(
            " :"
        )
    )
    if 200 <= status < 300:
        if not isinstance(body, dict) or "error" in body:
            return Unknown(f"answered {status} with what is no answer", is_alarming=True, was_answered=True)
        return Answered(body, _evidence(answer))
    if 300 <= status < 400:
        return Rejected(f"answered {status}: redirects are never followed; correct payments.url")
    if error.get("type") == "idempotency_error":
        return Rejected(f"{reason}: our key was used with other parameters", is_bug=True)
    if status == 409 or code in ("lock_timeout", "idempotency_key_in_use"):
        return InProgress(reason)
    if status == 402:
        return _declined(error, _evidence(answer))
    if status in (401, 403):
        return Misconfigured(f"{reason}: check payments.api_key")
    if status == 429:
        return Throttled(parse_retry_after(answer.headers.get("retry-after"), now_ms=now_ms), reason)
    if status >= 500 or status < 200 or status == 408 or code in ALREADY:
        return Unknown(reason, was_answered=True)
    return Rejected(reason)


def read_object(order: Order, body: dict[str, Any], evidence: str) -> Outcome:
    """Read a PaymentIntent or a refund as the outcome of what was asked."""
    wanted = "refund" if order.kind == "refund" else "payment_intent"
    if body.get("object") != wanted:
        return Unknown(f"answered with a {str(body.get('object'))[:40]!r}, not a {wanted}", True, True)
    if order.kind == "charge":
        return read_charge(body, evidence)
    status, amount = body.get("status"), body.get("amount")
    currency = str(body.get("currency", "")).upper()
    if order.kind == "void":
        status, amount, currency = ("succeeded" if status == "canceled" else None), 0, order.currency
    elif order.kind == "capture":
        amount = body.get("amount_received") or body.get("amount_captured") or _captured(order, body)
    if order.kind == "refund" and status in ("failed", "canceled"):
        code = str(body.get("failure_reason") or status)
        return Declined(decline=classify(code), ref=str(body.get("id")), op_id=order.op_id, evidence=evidence)
    if status not in _SETTLED or not isinstance(amount, int):
        return Unknown(f"answered with status {str(status)[:40]!r}", True, True)
    return Executed(
        status=_SETTLED[status],
        ref=str(body.get("id")),
        amount_minor=amount,
        currency=currency,
        op_id=metadata_of(body).get("op_id", "") if order.kind == "refund" else "",
        evidence=evidence,
    )


def _captured(order: Order, body: dict[str, Any]) -> Any:
    """A gateway that does not say what it captured: all of it, unless asked for less."""
    return order.amount_minor if body.get("status") == "succeeded" and "amount_received" not in body else None


def read_charge(body: dict[str, Any], evidence: str) -> Outcome:
    """Read a PaymentIntent as the outcome of a charge."""
    metadata, status, ref = metadata_of(body), body.get("status"), str(body.get("id"))
    attempt = int(metadata.get("attempt", "0")) if metadata.get("attempt", "0").isdecimal() else 0
    if status in ("requires_payment_method", "failed", "canceled"):
        error = body.get("last_payment_error")
        seen = _declined(error if isinstance(error, dict) else {"code": str(status)}, evidence)
        return Declined(
            decline=seen.decline,
            ref=ref,
            op_id=metadata.get("op_id", ""),
            order_id=metadata.get("order_id", ""),
            attempt=attempt,
            evidence=evidence,
        )
    amount = body.get("amount")
    if status not in _SETTLED or not isinstance(amount, int):
        return Unknown(f"answered with status {str(status)[:40]!r}", True, True)
    action = body.get("next_action")
    return Executed(
        status=_SETTLED[status],
        ref=ref,
        amount_minor=amount,
        currency=str(body.get("currency", "")).upper(),
        op_id=metadata.get("op_id", ""),
        order_id=metadata.get("order_id", ""),
        attempt=attempt,
        next_action=msgspec.json.encode(action).decode()[:2000] if action else "",
        evidence=evidence,
    )


def _declined(error: dict[str, Any], evidence: str) -> Declined:
    intent = error.get("payment_intent")
    decline = classify(
        str(error.get("decline_code") or error.get("code") or "generic_decline"),
        advice=str(error.get("advice_code") or ""),
        network_code=str(error.get("network_decline_code") or ""),
        network_advice=str(error.get("network_advice_code") or ""),
        message=str(error.get("message") or ""),
    )
    return Declined(
        decline=decline, ref=str(intent.get("id", "")) if isinstance(intent, dict) else "", evidence=evidence
    )


def metadata_of(body: dict[str, Any]) -> dict[str, str]:
    """Give an object's metadata, whatever it has there, as text."""
    metadata = body.get("metadata")
    return {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}


def _json(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body) if answer.is_complete else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _evidence(answer: Answer) -> str:
    request_id = answer.headers.get("request-id", "")[:64]
    replayed = " replayed" if answer.headers.get("idempotent-replayed") == "true" else ""
    return f"{answer.status} {request_id}{replayed}".strip()
