"""Payments while the gateway is ill: they wait, and nothing about what may be sent changes."""

import pytest

from jobs.payment.declines import classify
from jobs.payment.gateway import (
    Declined,
    Found,
    InProgress,
    Misconfigured,
    NotSent,
    Rejected,
    Throttled,
    Unknown,
)
from jobs.payment.health import GATEWAY, tell_health
from jobs.payment.sandbox import balance
from jobs.payment.tasks import process_payment
from runner.breaker import Health


@pytest.mark.parametrize(
    ("said", "health"),
    [
        (Declined(decline=classify("stolen_card")), Health("ok")),
        (Rejected("no such card"), Health("ok")),
        (InProgress("409"), Health("ok")),
        (Found(), Health("ok")),
        (NotSent("refused"), Health("failed")),
        (Unknown("answered 500"), Health("failed")),
        (Throttled(7.0), Health("throttled", 7.0)),
        (Throttled(None), Health("throttled", 30.0)),
        (Misconfigured("401"), None),
        (None, None),
    ],
    ids=repr,
)
def test_what_a_turn_says_of_the_gateway(make_ctx, said, health):
    """Refusals and declines are answers; 401 is our fault; a turn that asked nothing says nothing."""
    ctx = make_ctx()
    tell_health(ctx, said)
    assert ctx.get("health", {}).get("") == health


async def test_payments_wait_at_a_closed_gate_and_are_made_once_it_opens(
    sandbox, settings_for, runner_for, redis_url, wait_until
):
    """No attempt is spent, no byte is sent, no operation begun; then each is charged once."""
    gateway = sandbox()
    runner = await runner_for(settings_for(redis_url, gateway.url))
    key = GATEWAY.gate("t", {})
    await runner.limits.pause(key, "10m", why="the gateway is ill")
    async with runner.worker():
        orders = [f"o-{n}" for n in range(10)]
        jobs = [await runner.enqueue(process_payment, order, 1999, "EUR", "tok_visa") for order in orders]

        async def all_wait():
            infos = [await job.info() for job in jobs]
            return all(info.attempts == 0 and info.state == "ready" for info in infos)

        await wait_until(all_wait, "they wait, no attempt spent")
        assert gateway.seen() == 0
        await runner.limits.reset(key)
        assert {(await job.result(30))["status"] for job in jobs} == {"succeeded"}
    charges = balance(gateway.ledger).charges
    assert {order: charges[order].charged for order in orders} == dict.fromkeys(orders, 1)
