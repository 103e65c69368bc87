"""A payment as a step of a saga: one that takes the money, one that gives it back.

    saga(
        step(reserve.call("o-17", "sku-3"), undo=release),
        step(require_payment.call("o-17", 1999, "EUR", "pm_…"), undo=undo_payment),
        step(ship.call("o-17")),
    )

Both end only when it is known where the money is. The order is the saga's own: its undo gives back all of it.
"""

from typing import Any

from runner.context import Context
from runner.errors import GiveUp, Snooze
from runner.tasks import task

from .health import GATEWAY
from .request import Request, charge_request, refund_request, void_request
from .state import State
from .tasks import BACKOFF, MAX_TRIES, QUEUE, prepare_for, withdraw, work

CUSTOMER_S = 300.0
"""How often a payment is looked at that waits for its customer to act."""


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY, prepare=prepare_for("charge"))
async def require_payment(
    ctx: Context,
    order_id: str,
    amount_minor: int,
    currency: str,
    source: str,
    *,
    customer: str = "",
    capture: bool = True,
) -> dict[str, Any]:
    """As ``process_payment``, but a decline is a failure, and a customer who has to act is waited for.

    Raises:
        GiveUp: it was declined or rejected: no money has moved.
        Undecided: a person has to look.
    """
    request = charge_request(order_id, amount_minor, currency, source, customer=customer, capture=capture)
    result = await work(ctx, request)
    if result["status"] == "requires_action":
        raise Snooze(CUSTOMER_S, reason="the customer has to act")
    if result["status"] not in ("succeeded", "authorized"):
        code = result.get("decline", {}).get("code") or result.get("reason", "")
        msg = f"the payment of order {order_id} was {result['status']}: {code}"
        raise GiveUp(msg)
    return result


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY)
async def undo_payment(
    ctx: Context,
    paid: dict[str, Any] | None,
    order_id: str,
    amount_minor: int,
    currency: str,
    source: str,
    *,
    customer: str = "",
    capture: bool = True,
) -> str:
    """Undo ``require_payment``: give back what was taken, let go of what was authorized, close the rest.

    It asks the ledger, not the step: a charge that died half-way is found, one that comes late is kept from
    happening.

    Args:
        ctx: the job's context.
        paid: the step's result; None when it has none.
        order_id: of ``require_payment``, like all that follow.
        amount_minor: see there.
        currency: see there.
        source: see there.
        customer: see there.
        capture: see there.

    Returns:
        What was done: ``refunded``, ``voided`` or ``nothing``.

    Raises:
        GiveUp: the money cannot be given back.
        Undecided: a person has to look.
    """
    del paid
    charge = charge_request(order_id, amount_minor, currency, source, customer=customer, capture=capture)
    return await _give_back(ctx, charge, await withdraw(ctx, charge))


async def _give_back(ctx: Context, charge: Request, state: State) -> str:
    match state:
        case State.SUCCEEDED:
            back = refund_request(charge.order_id, charge.amount_minor, charge.currency, "undo")
        case State.AUTHORIZED:
            back = void_request(charge.order_id)
        case _:
            return "nothing"
    result = await work(ctx, back)
    if result["status"] != "succeeded":
        msg = f"the money of order {charge.order_id} was not given back: {result['status']}"
        raise GiveUp(msg)
    return "refunded" if state is State.SUCCEEDED else "voided"
