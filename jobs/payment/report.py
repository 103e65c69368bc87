"""What is told of payments: the jobs' results, the merchant's webhooks, ``payment_state``."""

import base64
import hashlib
import math
from typing import Any

import msgspec

from .operation import Step
from .records import Message, Operation, Payment, is_intact
from .request import Request
from .state import REPORTED, State

WORD_OF = {
    State.SUCCEEDED: "succeeded",
    State.AUTHORIZED: "authorized",
    State.PENDING: "pending",
    State.REQUIRES_ACTION: "requires_action",
    State.DECLINED_SOFT: "declined",
    State.DECLINED_HARD: "declined",
    State.REJECTED: "rejected",
    State.NEEDS_REVIEW: "needs_review",
}
"""``status`` in results and messages; a state that is not here is ``in_progress``."""


def result_of(operation: Operation, step: Step | None = None) -> dict[str, Any]:
    """Give an operation as a job returns it.

    Keys: ``status`` (a word of WORD_OF), ``order_id``, ``op_id``, ``kind``, ``amount_minor``, ``currency``,
    ``ref`` (the gateway's name), and where they say something ``decline`` (``code``, ``class``,
    ``network_code``, ``may_retry_after_s``), ``next_action``, ``reason``.

    Args:
        operation: as it was read.
        step: what was written since.
    """
    state = operation.state if step is None else step.to
    told: dict[str, Any] = {
        "status": WORD_OF.get(state, "in_progress"),
        "order_id": operation["order"],
        "op_id": operation["op_id"],
        "kind": operation["kind"],
        "amount_minor": operation.number("amount"),
        "currency": operation["currency"],
        "ref": (step.ref if step is not None else "") or operation["ref"],
    }
    if state in (State.DECLINED_SOFT, State.DECLINED_HARD):
        told["decline"] = _decline(operation, step)
    if state is State.REQUIRES_ACTION:
        told["next_action"] = step.next_action if step is not None else operation["action"]
    if state in (State.REJECTED, State.NEEDS_REVIEW):
        told["reason"] = step.reason if step is not None else operation["why"]
    return told


def capped_result(request: Request, op_id: str, wait_s: float) -> dict[str, Any]:
    """Give what a job returns of a charge that the card schemes' caps forbid; nothing of it was begun.

    Keys: as ``result_of``; ``decline.code`` is ``too_many_declines`` or ``card_blocked``, its class
    ``capped``.
    """
    is_for_good = wait_s < 0
    code = "card_blocked" if is_for_good else "too_many_declines"
    decline: dict[str, Any] = {"code": code, "class": "capped", "network_code": ""}
    return {
        "status": "declined",
        "order_id": request.order_id,
        "op_id": op_id,
        "kind": request.kind,
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "ref": "",
        "decline": decline | ({} if is_for_good else {"may_retry_after_s": math.ceil(wait_s)}),
    }


def message_of(operation: Operation, step: Step) -> Message | None:
    """Give what the merchant is told of a step; None when it is not worth telling."""
    if step.to not in REPORTED or step.to is operation.state:
        return None
    status = WORD_OF[step.to]
    words = f"{operation['op_id']} {operation['attempt']} {step.to.value}"
    name = base64.b32encode(hashlib.sha256(words.encode()).digest())[:26].decode().lower()
    body = {"type": f"payment.{operation['kind']}.{status}", **result_of(operation, step)}
    return Message(f"msg_{name}", msgspec.json.encode(body).decode())


def state_of(payment: Payment) -> dict[str, Any]:
    """Give a payment for an application; see ``payment_state``."""
    fields = payment.fields
    sums = {
        f"{name}_minor": int(fields.get(name) or 0)
        for name in ("authorized", "captured", "refunded", "refunding")
    }
    charge = next((each for each in payment.operations if each["kind"] == "charge"), None)
    return {
        "status": _status(fields, charge),
        "currency": fields.get("currency", ""),
        "ref": fields.get("ref", ""),
        **sums,
        "operations": [result_of(each) | {"state": each.state.value} for each in payment.operations],
        "is_trail_intact": is_intact(payment.trail),
    }


def _status(fields: Any, charge: Operation | None) -> str:
    def total(name: str) -> int:
        return int(fields.get(name) or 0)

    if charge is None or charge.state not in (State.SUCCEEDED, State.AUTHORIZED):
        return WORD_OF.get(charge.state, "in_progress") if charge is not None else "in_progress"
    if total("voided"):
        return "voided"
    if total("refunded"):
        return "refunded" if total("refunded") == total("captured") else "partially_refunded"
    return "succeeded" if total("captured") else "authorized"


def _decline(operation: Operation, step: Step | None) -> dict[str, Any]:
    if step is not None and step.decline is not None:
        decline = step.decline
        code, kind, network, wait_s = decline.code, decline.kind, decline.network_code, decline.wait_s
    else:
        code, kind, network = operation["decline"], operation["class"], operation["network"]
        wait_s = (
            max(0, operation.number("retry_at") - operation.number("at")) // 1000 if operation["at"] else 0
        )
    told: dict[str, Any] = {"code": code, "class": kind, "network_code": network}
    return told | ({"may_retry_after_s": wait_s} if wait_s else {})
