"""The gateway's list and our ledger, compared both ways; and what a web app may ask of the ledger."""

import logging
from typing import Any

from runner.context import Context
from runner.errors import Retry
from runner.tasks import task

from .gateway import Declined, Executed
from .opening import desk_of, store_of
from .records import Operation
from .report import state_of
from .state import State
from .store import Store
from .tasks import BACKOFF, QUEUE

logger = logging.getLogger("jobs.payment")

DAY_MS = 86_400_000
_MOVED = (State.SUCCEEDED, State.AUTHORIZED)


async def payment_state(runner: Any, order_id: str) -> dict[str, Any] | None:
    """Give what the ledger says of an order; None when nothing was ever begun for it. One round trip.

    Keys: ``status`` (a word of ``report.WORD_OF``, or ``voided``, ``refunded``, ``partially_refunded``),
    ``currency``, ``ref``, ``authorized_minor``, ``captured_minor``, ``refunded_minor``, ``refunding_minor``
    (reserved for refunds under way), ``operations``, ``is_trail_intact``.

    Args:
        runner: connected.
        order_id: the merchant's name of the payment.
    """
    payment = await store_of(runner).read(order_id, with_trail=True)
    return None if payment is None else {"order_id": order_id, **state_of(payment)}


@task(queue=QUEUE, retry=BACKOFF)
async def reconcile_payments(ctx: Context, days: float = 30) -> dict[str, int]:
    """Compare the gateway's charges with the ledger; to be run daily, and once before a first start.

    What the gateway has and we lost is restored. When nothing differs any more, the ledger counts as whole:
    from then on new operations are sent without asking the gateway first.

    Args:
        ctx: the job's context.
        days: how far to look back.

    Returns:
        Counts: ``seen`` at the gateway, ``restored``, ``doubled`` (more than one success of an operation),
        ``differing`` (our word is another one).
    """
    desk = desk_of(ctx)
    listed = await desk.gateway.ledger(max(0, round(ctx.clock.now_ms() - days * DAY_MS)))
    if not isinstance(listed, tuple):
        raise Retry(reason=f"the gateway's list could not be read: {getattr(listed, 'reason', '')}")
    by_op: dict[str, list[Executed | Declined]] = {}
    for each in listed:
        by_op.setdefault(each.op_id, []).append(each)
    counts = {"seen": len(listed), "restored": 0, "doubled": 0, "differing": 0}
    for op_id, seen in by_op.items():
        word = await _compare(desk.store, op_id, seen)
        if word:
            counts[word] += 1
    if not counts["doubled"] and not counts["differing"]:
        await desk.store.prove()
    return counts


async def _compare(store: Store, op_id: str, seen: list[Executed | Declined]) -> str:
    """Give what is wrong with one operation, or nothing."""
    moved = [
        each for each in seen if isinstance(each, Executed) and each.status in ("succeeded", "authorized")
    ]
    order_id = seen[0].order_id
    if len(moved) > 1:
        logger.error("payment alert: order %s was charged %d times (%s)", order_id, len(moved), op_id)
        return "doubled"
    payment = await store.read(order_id)
    ours = next((each for each in payment.operations if each["op_id"] == op_id), None) if payment else None
    if ours is None:
        return await _restore(store, op_id, moved[0]) if moved else ""
    if not ours.state.is_closed or (payment is not None and payment.fields.get("voided", "0") != "0"):
        return ""
    if (ours.state in _MOVED) != bool(moved) or (moved and _is_other(ours, moved[0])):
        logger.error("payment alert: order %s: we say %s, the gateway does not", order_id, ours.state.value)
        return "differing"
    return ""


def _is_other(ours: Operation, theirs: Executed) -> bool:
    return (ours.number("amount"), ours["currency"]) != (theirs.amount_minor, theirs.currency)


async def _restore(store: Store, op_id: str, seen: Executed) -> str:
    fields = {
        "order": seen.order_id,
        "kind": "charge",
        "amount": str(seen.amount_minor),
        "currency": seen.currency,
        "ref": seen.ref,
        "attempt": str(seen.attempt or 1),
    }
    await store.restore(fields, op_id, State(seen.status))
    logger.warning("payments: order %s was restored from the gateway", seen.order_id)
    return "restored"
