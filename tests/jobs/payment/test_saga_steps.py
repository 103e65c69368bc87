"""A payment as a step of a saga: it is taken or not, and its undo leaves no money behind."""

import pytest

from jobs.payment import payment_state, require_payment, undo_payment
from jobs.payment.request import charge_request
from jobs.payment.sandbox import balance
from jobs.payment.store import PREFIX
from jobs.payment.tasks import process_payment
from runner.errors import JobFailed

ORDER = ("o-1", 1999, "EUR", "tok_visa")


@pytest.fixture
async def shop(sandbox, settings_for, runner_for, redis_url):
    """A runner with a worker at work, its gateway, and ``run(task, …)`` that gives a job's result."""

    class Shop:
        def __init__(self, runner, gateway) -> None:
            self.runner, self.gateway = runner, gateway

        async def run(self, task, *args, **kwargs):
            return await (await self.runner.enqueue(task, *args, **kwargs)).result(30)

        async def is_balanced(self, *orders):
            states = {order: await payment_state(self.runner, order) for order in orders}
            return balance(self.gateway.ledger).mismatches(states) == []

        def money(self, order="o-1"):
            charge = balance(self.gateway.ledger).charges.get(order)
            return charge and (charge.charged, charge.captured_minor - charge.refunded_minor)

    gateway = sandbox()
    runner = await runner_for(settings_for(redis_url, gateway.url))
    async with runner.worker():
        yield Shop(runner, gateway)


async def test_a_payment_that_is_required_is_made_or_fails(shop):
    """A decline is an error here: what comes after it must not happen. Its undo has nothing to do."""
    assert (await shop.run(require_payment, *ORDER))["status"] == "succeeded"
    declined = ("o-2", 100, "EUR", "tok_decline_stolen_card")
    with pytest.raises(JobFailed, match="payment of order o-2 was declined: stolen_card"):
        await shop.run(require_payment, *declined)
    assert await shop.run(undo_payment, None, *declined) == "nothing"
    capped = ("o-3", *declined[1:])
    with pytest.raises(JobFailed, match="payment of order o-3 was declined: card_blocked"):
        await shop.run(require_payment, *capped)
    assert await shop.run(undo_payment, None, *capped) == "nothing"


async def test_the_undo_gives_back_what_was_taken_once(shop):
    """However often it runs, whatever it is told of the result; a lost answer changes nothing.

    What was authorized only is let go of.
    """
    paid = await shop.run(require_payment, *ORDER)
    shop.gateway.faults("charge_drop")
    assert [await shop.run(undo_payment, told, *ORDER) for told in (paid, None)] == ["refunded", "refunded"]
    assert shop.money() == (1, 0)
    other = ("o-2", *ORDER[1:])
    await shop.run(require_payment, *other, capture=False)
    assert await shop.run(undo_payment, None, *other, capture=False) == "voided"
    assert await shop.is_balanced("o-1", "o-2")


async def test_a_charge_that_comes_after_its_undo_does_not_happen(shop):
    """A worker that was held before its first byte finds the order closed."""
    assert await shop.run(undo_payment, None, *ORDER) == "nothing"
    with pytest.raises(JobFailed, match="was rejected: withdrawn before it was sent"):
        await shop.run(require_payment, *ORDER)
    assert shop.gateway.seen() == 0
    assert shop.money() is None


async def test_the_undo_of_a_payment_whose_outcome_is_unknown_waits_for_evidence(shop, redis):
    """It never guesses, and sends no charge: what happened is refunded, what did not is closed."""
    await shop.run(process_payment, *ORDER)
    [known, lost] = [charge_request(order, *ORDER[1:]) for order in ("o-1", "o-2")]
    fields = await redis.hgetall(f"{PREFIX}op:{known.op_id('')}")
    # as a worker leaves one that dies with the request under way
    own = {"order": "o-2", "op_id": lost.op_id(""), "key": lost.key("", 1), "ref": ""}
    await redis.hset(f"{PREFIX}op:{lost.op_id('')}", mapping={**fields, **own})
    await redis.hset(f"{PREFIX}pay:o-2", mapping={"currency": "EUR", "o1": lost.op_id("")})
    for request in (known, lost):
        await redis.hset(f"{PREFIX}op:{request.op_id('')}", "state", "unknown")
    seen = shop.gateway.seen()
    assert await shop.run(undo_payment, None, *ORDER) == "refunded"
    assert await shop.run(undo_payment, None, "o-2", *ORDER[1:]) == "nothing"
    assert (shop.money(), shop.money("o-2")) == ((1, 0), None)
    assert shop.gateway.seen() - seen == 1
