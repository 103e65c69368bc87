"""Operations that only a person can end: which they are, and the way to write down what was found out."""

import secrets
from dataclasses import dataclass
from typing import Any, Literal

from runner.errors import RunnerError

from .gateway import Kind
from .money import refuse_card_data
from .opening import store_of
from .operation import Step
from .records import Operation
from .report import message_of, result_of
from .request import Request
from .state import State

Verdict = Literal["succeeded", "authorized", "rejected"]
"""``rejected``: no money moved, and none will."""

SHORTEST, LONGEST = 10, 500
"""Characters of evidence."""


class ReviewRefused(RunnerError):
    """What was said of an operation cannot be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a person found out, at the gateway and not in our logs.

    Attributes:
        verdict: how it ended.
        evidence: how they know, in 10 to 500 characters; stays in the audit list for good.
        by: who they are.
        ref: the gateway's name of the operation; needed when it moved money and none is known yet.
    """

    verdict: Verdict
    evidence: str
    by: str
    ref: str = ""


async def payments_in_review(runner: Any, *, limit: int = 100) -> list[dict[str, Any]]:
    """Give what a person has to look at, oldest first: ``report.result_of``, ``since_ms`` and ``name``."""
    found = await store_of(runner).review(limit=limit)
    return [result_of(each) | {"name": each["name"], "since_ms": each.number("since")} for each in found]


async def settle_payment(
    runner: Any, order_id: str, finding: Finding, *, kind: Kind = "charge", name: str = ""
) -> dict[str, Any]:
    """End an operation in review by what a person found out; gives it as ``report.result_of``.

    The merchant is told as of any other end. Replay the dead letter of its job to give it that result.

    Args:
        runner: connected.
        order_id: the payment.
        finding: what was found out.
        kind: which operation of it.
        name: a refund's id.

    Raises:
        ReviewRefused: there is no such operation, it is not in review, or the finding cannot be.
    """
    store, settings = store_of(runner), runner.settings.payments
    op_id = Request(kind=kind, order_id=order_id, name=name).op_id(settings.account)
    payment = await store.read(order_id)
    operation = next((o for o in payment.operations if o["op_id"] == op_id), None) if payment else None
    if operation is None:
        msg = f"there is no {kind} {name}".rstrip() + f" of order '{order_id}'"
        raise ReviewRefused(msg)
    step = _step(operation, finding)
    message = message_of(operation, step) if settings.webhook_url else None
    if not await store.settle(operation, secrets.token_hex(8), step, message):
        state = operation.state.value
        msg = f"the {kind} of order '{order_id}' is {state}: only what needs review can be settled"
        raise ReviewRefused(msg)
    return result_of(operation, step)


def _step(operation: Operation, finding: Finding) -> Step:
    """Check what was found out against what was asked for."""
    evidence, by = " ".join(finding.evidence.split()), " ".join(finding.by.split())
    moved = finding.verdict != "rejected"
    is_hold = operation["kind"] == "charge" and operation["capture"] == "0"
    wrong = ""
    try:
        refuse_card_data([("evidence", evidence), ("by", by), ("ref", finding.ref)])
    except ValueError as error:
        wrong = str(error)
    if wrong:
        raise ReviewRefused(wrong)
    if not SHORTEST <= len(evidence) <= LONGEST:
        wrong = f"evidence: expected {SHORTEST} to {LONGEST} characters that say how it is known"
    elif not by or len(by) > 60:
        wrong = "by: expected who says so, in at most 60 characters"
    elif moved and (finding.verdict == "authorized") != is_hold:
        wrong = (
            f"it was asked to be {'authorized' if is_hold else 'carried out'}: it cannot be {finding.verdict}"
        )
    elif moved and not (finding.ref or operation["ref"]):
        wrong = "ref: the gateway's name of what moved the money is not known yet"
    if wrong:
        raise ReviewRefused(wrong)
    text = f"settled by {by}: {evidence}"
    return Step(to=State(finding.verdict), reason=text, ref=finding.ref, evidence=text)
