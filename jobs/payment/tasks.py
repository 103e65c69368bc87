"""The payment jobs. Each works on one operation of the ledger; running it again repeats nothing.

    await runner.enqueue(process_payment, "o-17", 1999, "EUR", "pm_…")
    await runner.enqueue(refund_payment, "o-17", 500, "EUR", "r-1")

A decline is a result, ``{"status": "declined", …}``. A job whose operation has no known outcome comes back
until there is evidence; only then does it end. What can never work ends in the dead letters.
"""

import asyncio
import inspect
import logging
from random import Random
from typing import Any

import msgspec

from runner.backoff import exponential
from runner.context import Context
from runner.errors import GiveUp, InvalidArguments, JobSignal, Retry, Snooze, Undecided
from runner.tasks import Prepare, task

from ..webhook import send_webhook
from .declines import MAX_ATTEMPTS
from .desk import Turn
from .gateway import Kind
from .health import GATEWAY, tell_health
from .money import refuse_card_data
from .opening import desk_of
from .records import Message, Operation
from .report import capped_result, result_of
from .request import (
    Request,
    capture_request,
    charge_request,
    check,
    refund_request,
    void_request,
)
from .state import State

logger = logging.getLogger("jobs.payment")

QUEUE = "critical"
MAX_TRIES = 100
"""The ledger decides when to stop; this bounds what fails for other reasons: a server that is away."""
BACKOFF = exponential(base=1, cap=300, jitter="full")
_RANDOM = Random()
LATE_S = 60.0
"""The sweep leaves operations to their own jobs for so long."""

REFUSALS = {
    "no_payment": "there is no payment of that order",
    "currency": "the payment is in another currency",
    "not_charged": "the payment has not been charged (yet)",
    "not_captured": "nothing of the payment was captured, so nothing can be refunded",
    "over_refund": "refunds would sum up to more than was captured",
    "captured": "the payment is captured already",
    "voided": "the payment is voided already",
    "not_authorized": "the payment is not authorized",
    "over_capture": "that is more than was authorized",
}


def prepare_for(kind: Kind) -> Prepare:
    """Check a call at enqueue."""

    def prepare(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        try:
            refuse_card_data((name, None) for name in kwargs)
            call = inspect.signature(_REQUESTS[kind]).bind(*args, **kwargs)
        except TypeError:
            return args, kwargs  # the check against the task's signature, which comes next, says it best
        except ValueError as error:
            raise InvalidArguments(f"payment: {error}") from None
        try:
            check(_REQUESTS[kind](*call.args, **call.kwargs))
        except ValueError as error:
            raise InvalidArguments(f"payment: {error}") from None
        return args, kwargs

    return prepare


_REQUESTS: dict[Kind, Any] = {
    "charge": charge_request,
    "capture": capture_request,
    "void": void_request,
    "refund": refund_request,
}


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY, prepare=prepare_for("charge"))
async def process_payment(
    ctx: Context,
    order_id: str,
    amount_minor: int,
    currency: str,
    source: str,
    *,
    customer: str = "",
    capture: bool = True,
) -> dict[str, Any]:
    """Charge an order once, however often it is asked for.

    Args:
        ctx: the job's context.
        order_id: names the payment; the same order with other particulars is refused.
        amount_minor: in minor units: 1999 for 19.99 EUR, 500 for 500 JPY.
        currency: ISO 4217, in capitals.
        source: the gateway's token of the card or account; never its number.
        customer: the gateway's customer.
        capture: False only authorizes; see ``capture_payment`` and ``void_payment``.

    Returns:
        See ``report.result_of``. After a soft decline, enqueueing the same order again makes a new attempt
        once ``may_retry_after_s`` has passed, eight in all.
    """
    return await work(
        ctx, charge_request(order_id, amount_minor, currency, source, customer=customer, capture=capture)
    )


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY, prepare=prepare_for("capture"))
async def capture_payment(ctx: Context, order_id: str, amount_minor: int, currency: str) -> dict[str, Any]:
    """Capture an authorized payment, once, up to what was authorized; see ``report.result_of``."""
    return await work(ctx, capture_request(order_id, amount_minor, currency))


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY, prepare=prepare_for("void"))
async def void_payment(ctx: Context, order_id: str) -> dict[str, Any]:
    """Let go of an authorized payment of which nothing is captured; see ``report.result_of``."""
    return await work(ctx, void_request(order_id))


@task(queue=QUEUE, retry=BACKOFF, max_tries=MAX_TRIES, breaker=GATEWAY, prepare=prepare_for("refund"))
async def refund_payment(
    ctx: Context, order_id: str, amount_minor: int, currency: str, refund_id: str
) -> dict[str, Any]:
    """Give back some or all of what was captured.

    Args:
        ctx: the job's context.
        order_id: the payment.
        amount_minor: in minor units.
        currency: that of the payment.
        refund_id: names this refund: the same one twice is one refund.

    Returns:
        See ``report.result_of``.
    """
    return await work(ctx, refund_request(order_id, amount_minor, currency, refund_id))


process_refund = refund_payment
"""The same task under the name that goes with ``process_payment``."""


@task(queue=QUEUE, retry=BACKOFF)
async def resolve_unknown(ctx: Context, late_s: float = LATE_S) -> dict[str, int]:
    """Take a turn at up to 100 operations whose own jobs did not come back; to be run every minute.

    Also hands on what the merchant was not told yet.

    Args:
        ctx: the job's context.
        late_s: seconds that an operation must be overdue.
    """
    desk = desk_of(ctx)
    operations, messages = await desk.store.due(late_s=late_s)
    turns = await asyncio.gather(*(_turn(ctx, each.request()) for each in operations))
    for message in messages:
        await tell(ctx, message)
    closed = sum(turn.step is not None and turn.step.to.is_closed for turn in turns)
    return {"looked_at": len(turns), "closed": closed, "told": len(messages)}


async def work(ctx: Context, request: Request) -> dict[str, Any]:
    """Work on an operation until this attempt can do no more.

    Raises:
        Retry: it is not known how the request ended, or it could not be sent.
        Snooze: somebody else has the operation, or it takes its time.
        GiveUp: it can never work.
        Undecided: a person has to look.
    """
    ctx.report_health("none")
    try:
        check(request)
    except ValueError as error:
        raise GiveUp(str(error)) from None
    turn = await _turn(ctx, request)
    while turn.step is not None and turn.step.is_new_attempt:
        turn = await _turn(ctx, request)
    if turn.verb == "done" and turn.operation is not None and _may_try_again(ctx, turn.operation):
        turn = await _turn(ctx, request, attempt=turn.operation.number("attempt") + 1)
    if turn.verb == "capped":
        return capped_result(request, turn.operation["op_id"] if turn.operation else "", turn.wait_s)
    if turn.operation is not None and turn.step is None and turn.verb == "done":
        return _ended(turn)
    if turn.step is not None and (turn.step.to.is_closed or turn.step.to is State.REQUIRES_ACTION):
        return _ended(turn)
    raise _signal(ctx, turn)


async def withdraw(ctx: Context, request: Request) -> State:
    """Work on an operation, without sending anything, until it can move no (more) money; gives how it ended.

    Raises:
        Retry: it is not known yet how a request ended; Snooze likewise.
        Undecided: a person has to look.
    """
    ctx.report_health("none")
    turn = await desk_of(ctx).withdraw(request, ctx.job_id, ctx.fence)
    tell_health(ctx, turn.said)
    if turn.message is not None:
        await tell(ctx, turn.message)
    if turn.operation is not None and (
        turn.verb == "done" or (turn.step is not None and turn.step.to.is_closed)
    ):
        _ended(turn)
        return turn.operation.state if turn.step is None else turn.step.to
    raise _signal(ctx, turn)


async def _turn(ctx: Context, request: Request, *, attempt: int = 1) -> Turn:
    desk = desk_of(ctx)
    turn = await desk.take(request, ctx.job_id, ctx.fence, attempt=attempt)
    tell_health(ctx, turn.said)
    if turn.message is not None:
        await tell(ctx, turn.message)
    return turn


async def tell(ctx: Context, message: Message) -> None:
    """Hand a message on to ``send_webhook``, under its own id: twice is once."""
    payments = ctx.settings.payments
    if payments.webhook_url:
        told: dict[str, Any] = msgspec.json.decode(message.body)
        call = send_webhook.using(key=message.id)
        secret = payments.webhook_secret or None
        await ctx.enqueue(call, payments.webhook_url, message.body, event=told["type"], secret=secret)
    await desk_of(ctx).store.told(message.id)


def _may_try_again(ctx: Context, operation: Operation) -> bool:
    """Say whether another job asks for a softly declined order again, late enough and not too often."""
    if operation.state is not State.DECLINED_SOFT or operation["job"] == ctx.job_id:
        return False
    return operation.number("attempt") < MAX_ATTEMPTS and operation.number("at") >= operation.number(
        "retry_at"
    )


def _ended(turn: Turn) -> dict[str, Any]:
    assert turn.operation is not None  # noqa: S101 - every verb but 'refused' has one
    result = result_of(turn.operation, turn.step)
    if result["status"] == "needs_review":
        raise Undecided(f"a person has to look: {result['reason']}")
    return result


def _signal(ctx: Context, turn: Turn) -> JobSignal:
    match turn.verb:
        case "refused":
            return GiveUp(REFUSALS.get(turn.why, turn.why))
        case "mismatch":
            return GiveUp("this operation was begun with other particulars; nothing was changed")
        case "rest":
            return Snooze(turn.wait_s * _RANDOM.uniform(1, 1.2), reason="the gateway wants no new requests")
        case "wait" | "stale" | "lost":
            patience_s = min(15.0, 0.1 * 2.0 ** min(ctx.running.snoozes, 10))
            return Snooze(min(patience_s, turn.wait_s or 1.0), reason="another attempt has the operation")
        case _:
            assert turn.step is not None  # noqa: S101 - 'written' has one
            step = turn.step
            return (
                Retry(step.wait_s, reason=step.reason)
                if step.spends
                else Snooze(turn.wait_s, reason=step.reason)
            )
