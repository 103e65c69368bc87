"""What the card schemes allow: so many declined attempts of one card, and none after a hard one."""

import pytest

from jobs.payment import process_payment
from jobs.payment.declines import DAY_S, Decline
from jobs.payment.operation import Step
from jobs.payment.records import Cap, Holder
from jobs.payment.request import Request
from jobs.payment.sandbox import balance
from jobs.payment.state import State
from jobs.payment.store import PREFIX, Store
from runner.app import Runner
from runner.settings import Settings

SOFT = Step(to=State.DECLINED_SOFT, decline=Decline("soft", "insufficient_funds", DAY_S))
HARD = Step(to=State.DECLINED_HARD, decline=Decline("hard", "stolen_card"))
DATA = Step(to=State.DECLINED_HARD, decline=Decline("data", "expired_card"))
DONE = Step(to=State.SUCCEEDED, ref="pi")


class Clock:
    now_s = 1_000_000.0


@pytest.fixture
async def charge(redis_url, redis):
    """``charge(order, step, source)``: begin a charge and end it by a step; gives what ``begin`` said."""
    await redis.set(f"{PREFIX}proven", "1")
    async with Runner(Settings.model_validate({"redis": {"url": redis_url}, "tasks": []})) as runner:
        caps = (Cap(2, DAY_S), Cap(3, 30 * DAY_S))
        store = Store(runner.client, "shop", caps=caps, now_ms=lambda: round(Clock.now_s * 1000))

        async def charge(order, step=SOFT, source="tok"):
            request = Request(kind="charge", order_id=order, amount_minor=5, currency="EUR", source=source)
            begun = await store.begin(request, Holder("job", 1, order), lease_s=60, safe_s=0)
            if begun.verb == "send":
                for _ in range(2):  # an answer may get lost: counted once all the same
                    await store.record(begun.operation, order, step)
            return begun

        Clock.now_s = 1_000_000.0
        yield charge


async def test_a_card_declined_too_often_is_left_alone_until_its_window_has_passed(charge):
    """Counted over all orders, by the windows of both caps; nothing is begun meanwhile."""
    assert [(await charge(f"o-{n}")).verb for n in range(2)] == ["send", "send"]
    capped = await charge("o-2")
    assert (capped.verb, capped.wait_s) == ("capped", DAY_S)
    Clock.now_s += DAY_S + 1
    assert (await charge("o-2")).verb == "send"
    capped = await charge("o-3")
    assert (capped.verb, capped.wait_s) == ("capped", 29 * DAY_S - 1)


async def test_only_declined_attempts_of_that_card_count(charge):
    """Who buys twenty things a day is no fraud, and another card is another card."""
    assert {(await charge(f"ok-{n}", DONE)).verb for n in range(5)} == {"send"}
    assert {(await charge(f"o-{n}")).verb for n in range(2)} == {"send"}
    assert (await charge("o-2", source="another")).verb == "send"
    assert (await charge("o-3")).verb == "capped"


async def test_a_card_declined_for_good_is_never_tried_again(charge):
    """Hard: stolen, lost, fraudulent. Wrong data is not: the same token may have other data by then."""
    await charge("o-1", DATA)
    assert (await charge("o-2", HARD)).verb == "send"
    capped = await charge("o-3")
    assert (capped.verb, capped.wait_s < 0) == ("capped", True)


async def test_a_cap_is_a_result_and_nothing_is_sent(sandbox, settings_for, runner_for, redis_url):
    """The job succeeds with ``declined``; the gateway never hears of it."""
    gateway = sandbox()
    runner = await runner_for(settings_for(redis_url, gateway.url, max_declines_day=1))
    async with runner.worker():

        async def pay(order, source):
            return await (await runner.enqueue(process_payment, order, 1999, "EUR", source)).result(30)

        assert (await pay("o-1", "tok_decline_insufficient_funds"))["status"] == "declined"
        capped = await pay("o-2", "tok_decline_insufficient_funds")
        assert (await pay("o-3", "tok_decline_stolen_card"))["decline"]["class"] == "hard"
        blocked = await pay("o-4", "tok_decline_stolen_card")
    assert (capped["status"], capped["decline"]["code"]) == ("declined", "too_many_declines")
    assert 0 < capped["decline"]["may_retry_after_s"] <= DAY_S
    assert (blocked["status"], blocked["decline"]["code"]) == ("declined", "card_blocked")
    assert gateway.seen() == 2
    assert not {"o-2", "o-4"} & set(balance(gateway.ledger).charges)
