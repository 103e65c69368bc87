"""The payment jobs in a worker of this process, against a sandbox gateway."""

import asyncio

import pytest

from jobs.payment import (
    capture_payment,
    payment_state,
    process_payment,
    process_refund,
    reconcile_payments,
    refund_payment,
    resolve_unknown,
    void_payment,
)
from jobs.payment.sandbox import balance
from jobs.payment.store import PREFIX
from runner.errors import JobFailed


@pytest.fixture
async def shop(sandbox, settings_for, runner_for, redis_url):
    """A runner with a worker at work, its gateway, and ``run(task, …)`` that gives a job's result."""

    class Shop:
        def __init__(self, runner, gateway) -> None:
            self.runner, self.gateway = runner, gateway

        async def run(self, task, *args, **kwargs):
            return await (await self.runner.enqueue(task, *args, **kwargs)).result(30)

        async def state(self, order):
            return await payment_state(self.runner, order)

        def mismatches(self, states):
            return balance(self.gateway.ledger).mismatches(states)

    gateway = sandbox()
    runner = await runner_for(settings_for(redis_url, gateway.url))
    async with runner.worker():
        yield Shop(runner, gateway)


async def test_the_same_order_is_one_charge_and_every_caller_gets_its_result(shop):
    """50 jobs of one order at once: one charge, one result."""
    jobs = [await shop.runner.enqueue(process_payment, "o-1", 1999, "EUR", "tok_visa") for _ in range(50)]
    results = await asyncio.gather(*(job.result(30) for job in jobs))
    assert {result["status"] for result in results} == {"succeeded"}
    assert len({(result["op_id"], result["ref"]) for result in results}) == 1
    assert balance(shop.gateway.ledger).charges["o-1"].charged == 1


async def test_the_same_order_with_other_particulars_is_refused(shop):
    """Another amount under the same name is a mistake of somebody; nothing is sent."""
    await shop.run(process_payment, "o-1", 1999, "EUR", "tok_visa")
    with pytest.raises(JobFailed, match="other particulars"):
        await shop.run(process_payment, "o-1", 2999, "EUR", "tok_visa")
    assert balance(shop.gateway.ledger).charges["o-1"].amount_minor == 1999


async def test_refunds_never_sum_up_to_more_than_was_captured(shop):
    """20 refunds of 100 at once on 1000: ten go through, ten are refused before anything is sent.

    The sandbox would have given back all of it.
    """
    await shop.run(process_payment, "o-1", 1000, "EUR", "tok_visa")
    jobs = [await shop.runner.enqueue(refund_payment, "o-1", 100, "EUR", f"r-{n}") for n in range(20)]
    ends = await asyncio.gather(*(job.result(30) for job in jobs), return_exceptions=True)
    assert sum(isinstance(end, dict) and end["status"] == "succeeded" for end in ends) == 10
    assert sum("more than was captured" in str(end) for end in ends) == 10
    state = await shop.state("o-1")
    assert (state["status"], state["refunded_minor"], state["refunding_minor"]) == ("refunded", 1000, 0)
    assert shop.mismatches({"o-1": state}) == []


async def test_one_refund_asked_for_twice_is_one_refund(shop):
    """By its id; also when the first answer was lost."""
    await shop.run(process_payment, "o-1", 1000, "EUR", "tok_visa")
    shop.gateway.faults("charge_drop")
    ends = [await shop.run(process_refund, "o-1", 400, "EUR", "r-1") for _ in range(2)]
    assert ends[0] == ends[1]
    assert (await shop.state("o-1"))["refunded_minor"] == 400
    assert balance(shop.gateway.ledger).charges["o-1"].refunded_minor == 400


async def test_a_refund_whose_outcome_is_open_keeps_its_amount_reserved(shop, wait_until):
    """Otherwise a second one could give the same money back again."""
    await shop.run(process_payment, "o-1", 1000, "EUR", "tok_visa")
    shop.gateway.switch(queue=["slow"], slow_s=0.9)
    pending = await shop.runner.enqueue(refund_payment, "o-1", 700, "EUR", "r-1")
    await wait_until(lambda: shop.gateway.seen(), "the gateway has the first one")
    with pytest.raises(JobFailed, match="more than was captured"):
        await shop.run(refund_payment, "o-1", 700, "EUR", "r-2")
    assert (await pending.result(30))["status"] == "succeeded"


async def test_an_authorization_is_captured_once_or_let_go(shop):
    """Up to its amount; a captured one cannot be voided, a voided one not captured."""
    for order in ("a", "b"):
        assert (await shop.run(process_payment, order, 1000, "EUR", "tok", capture=False))[
            "status"
        ] == "authorized"
    with pytest.raises(JobFailed, match="more than was authorized"):
        await shop.run(capture_payment, "a", 1001, "EUR")
    with pytest.raises(JobFailed, match="nothing of the payment was captured"):
        await shop.run(refund_payment, "a", 1, "EUR", "r")
    shop.gateway.faults("charge_drop", times=2)
    assert (await shop.run(capture_payment, "a", 900, "EUR"))["status"] == "succeeded"
    assert (await shop.run(void_payment, "b"))["status"] == "succeeded"
    for task, args, why in (
        (void_payment, ("a",), "captured already"),
        (capture_payment, ("b", 1, "EUR"), "voided already"),
    ):
        with pytest.raises(JobFailed, match=why):
            await shop.run(task, *args)
    states = {order: await shop.state(order) for order in ("a", "b")}
    assert [state["status"] for state in states.values()] == ["succeeded", "voided"]
    assert shop.mismatches(states) == []


@pytest.mark.parametrize(
    ("code", "kind"), [("insufficient_funds", "soft"), ("stolen_card", "hard"), ("expired_card", "data")]
)
async def test_a_decline_is_a_result_and_is_not_retried(shop, code, kind):
    """Neither by the job, nor by a second job of the order before its time."""
    results = [await shop.run(process_payment, "o-1", 1999, "EUR", f"tok_decline_{code}") for _ in range(2)]
    assert [result["status"] for result in results] == ["declined", "declined"]
    assert results[0]["decline"]["class"] == kind
    assert shop.gateway.seen() == 1
    assert ("may_retry_after_s" in results[1]["decline"]) is (kind == "soft")


async def test_a_soft_decline_may_be_tried_again_later_under_a_new_key(shop, redis):
    """By another job of the order, once its time has come: the same key would only replay the decline."""
    first = await shop.run(process_payment, "o-1", 1999, "EUR", "tok_decline_insufficient_funds")
    key = f"{PREFIX}op:{first['op_id']}"
    old_key = await redis.hget(key, "key")
    await redis.hset(key, "retry_at", 0)
    await shop.run(process_payment, "o-1", 1999, "EUR", "tok_decline_insufficient_funds")
    assert shop.gateway.seen() == 2
    assert await redis.hget(key, "key") != old_key


async def test_an_operation_nobody_comes_back_to_is_resolved_by_the_sweep(shop, redis):
    """Its job may be lost in the dead letters; the operation is not."""
    shop.gateway.faults("charge_drop")
    job = await shop.runner.enqueue(process_payment, "o-1", 1999, "EUR", "tok_visa")
    result = await job.result(30)
    key = f"{PREFIX}op:{result['op_id']}"
    await redis.hset(key, "state", "unknown")
    await redis.zadd(f"{PREFIX}open", {result["op_id"]: 1})
    swept = await shop.run(resolve_unknown)
    assert swept == {"looked_at": 1, "closed": 1, "told": 0}
    assert (await shop.state("o-1"))["status"] == "succeeded"
    assert balance(shop.gateway.ledger).charges["o-1"].charged == 1


async def test_after_the_ledger_is_lost_nothing_is_charged_again(shop, redis):
    """Asked for anew, an order is found at the gateway; what is not asked for, reconciliation restores."""
    for order in ("a", "b"):
        await shop.run(process_payment, order, 1999, "EUR", "tok_visa")
    assert (await shop.run(reconcile_payments))["restored"] == 0
    keys = [key async for key in redis.scan_iter("runner:{payments}:*")]
    await redis.delete(*keys)
    assert (await shop.run(process_payment, "a", 1999, "EUR", "tok_visa"))["status"] == "succeeded"
    assert await shop.run(reconcile_payments) == {"seen": 2, "restored": 1, "doubled": 0, "differing": 0}
    states = {order: await shop.state(order) for order in ("a", "b")}
    assert shop.mismatches(states) == []
    assert balance(shop.gateway.ledger).charged_twice == []
    assert (await shop.run(refund_payment, "b", 1999, "EUR", "r-1"))["status"] == "succeeded"


async def test_reconciliation_finds_a_double_charge_and_a_word_that_differs(shop, redis, caplog):
    """Both ways, and a person is called."""
    for order in ("a", "b"):
        await shop.run(process_payment, order, 1999, "EUR", "tok_visa")
    state = await shop.state("b")
    await redis.hset(f"{PREFIX}op:{state['operations'][0]['op_id']}", "state", "declined_hard")
    counts = await shop.run(reconcile_payments)
    assert counts["differing"] == 1
    assert "payment alert" in caplog.text
    assert not await redis.exists(f"{PREFIX}proven")


async def test_the_audit_list_shows_every_change_and_that_it_was_tampered_with(shop, redis):
    """Each entry carries the hash of all before it."""
    await shop.run(process_payment, "o-1", 1999, "EUR", "tok_visa")
    entries = [entry.decode() for entry in await redis.lrange(f"{PREFIX}audit:o-1", 0, -1)]
    assert [entry.split()[3:5] for entry in entries] == [
        ["-", "created"],
        ["created", "sending"],
        ["sending", "succeeded"],
    ]
    assert (await shop.state("o-1"))["is_trail_intact"] is True
    await redis.lset(f"{PREFIX}audit:o-1", 1, entries[1].replace("sending", "unknown"))
    assert (await shop.state("o-1"))["is_trail_intact"] is False


async def test_a_refund_of_what_there_is_not_is_refused(shop):
    """An unknown order, one that was declined, one in another currency."""
    await shop.run(process_payment, "declined", 100, "EUR", "tok_decline_stolen_card")
    await shop.run(process_payment, "paid", 100, "EUR", "tok_visa")
    for order, currency, why in (
        ("unheard-of", "EUR", "no payment"),
        ("declined", "EUR", "nothing of the payment was captured"),
        ("paid", "USD", "another currency"),
    ):
        with pytest.raises(JobFailed, match=why):
            await shop.run(refund_payment, order, 1, currency, "r")
