"""What only a person can end: listed, settled with evidence, told to the merchant."""

import json
import sys

import pytest

from jobs.payment import Finding, payment_state, payments_in_review, settle_payment
from jobs.payment.__main__ import main
from jobs.payment.operation import Step
from jobs.payment.records import Holder
from jobs.payment.request import Request
from jobs.payment.review import ReviewRefused
from jobs.payment.state import State
from jobs.payment.store import PREFIX, Store
from runner.app import Runner
from runner.settings import Settings

CHARGE = Request(kind="charge", order_id="o-1", amount_minor=1999, currency="EUR", source="tok")
REFUND = Request(kind="refund", order_id="o-1", name="r-1", amount_minor=500, currency="EUR")
FOUND = Finding(verdict="succeeded", evidence="Seen in the gateway's dashboard", by="ada", ref="pi_9")
REVIEW = Step(to=State.NEEDS_REVIEW, reason="unknown for too long", alert=True, evidence="?")


@pytest.fixture
async def shop(redis_url, redis):
    """A runner, and ``end(request, step)`` that begins an operation and ends it."""
    await redis.set(f"{PREFIX}proven", "1")
    settings = {"redis": {"url": redis_url}, "tasks": [], "payments": {"webhook_url": "http://shop.example/"}}
    async with Runner(Settings.model_validate(settings)) as runner:
        store = Store(runner.client)

        async def end(request, step):
            begun = await store.begin(request, Holder("job", 1, "t"), lease_s=60, safe_s=0)
            assert await store.record(begun.operation, "t", step)

        runner.end = end
        yield runner


async def test_what_needs_review_is_listed_until_it_is_settled(shop, redis):
    """With its sums moved, its trail whole, who said so and why in it, and the merchant told."""
    await shop.end(CHARGE, REVIEW)
    (waiting,) = await payments_in_review(shop)
    assert (waiting["order_id"], waiting["status"], waiting["since_ms"] > 0) == ("o-1", "needs_review", True)
    assert (await settle_payment(shop, "o-1", FOUND))["status"] == "succeeded"
    assert await payments_in_review(shop) == []
    state = await payment_state(shop, "o-1")
    assert (state["status"], state["captured_minor"], state["ref"]) == ("succeeded", 1999, "pi_9")
    assert state["is_trail_intact"]
    (last,) = await redis.lrange(f"{PREFIX}audit:o-1", -1, -1)
    assert last.endswith(b"needs_review succeeded settled by ada: Seen in the gateway's dashboard")
    (told,) = await redis.hvals(f"{PREFIX}outbox")
    assert json.loads(told)["type"] == "payment.charge.succeeded"


async def test_a_refund_that_did_not_happen_gives_its_amount_free(shop):
    """It stayed reserved while nobody knew: another one could have given it back twice."""
    await shop.end(CHARGE, Step(to=State.SUCCEEDED, ref="pi_1"))
    await shop.end(REFUND, REVIEW)
    assert (await payment_state(shop, "o-1"))["refunding_minor"] == 500
    finding = Finding(verdict="rejected", evidence="not in the gateway's list", by="ada")
    await settle_payment(shop, "o-1", finding, kind="refund", name="r-1")
    state = await payment_state(shop, "o-1")
    assert (state["refunding_minor"], state["refunded_minor"]) == (0, 0)


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        ({"evidence": "short"}, "evidence: expected 10"),
        ({"evidence": "x" * 501}, "evidence: expected 10"),
        ({"evidence": "the card 4242 4242 4242 4242 was charged"}, "card number"),
        ({"by": " "}, "by: expected"),
        ({"ref": ""}, "ref: "),
        ({"verdict": "authorized"}, "it cannot be authorized"),
    ],
)
async def test_a_finding_that_cannot_be_is_refused(shop, finding, why):
    """Nothing is written."""
    await shop.end(CHARGE, REVIEW)
    facts = {"verdict": "succeeded", "evidence": FOUND.evidence, "by": "ada", "ref": "pi_9"} | finding
    with pytest.raises(ReviewRefused, match=why):
        await settle_payment(shop, "o-1", Finding(**facts))
    assert len(await payments_in_review(shop)) == 1


@pytest.mark.parametrize("to", [State.UNKNOWN, State.SUCCEEDED])
async def test_nobody_ends_what_is_not_in_review(shop, to):
    """What is unknown ends by evidence of the gateway; what is closed stays."""
    await shop.end(CHARGE, Step(to=to, wait_s=60 if to is State.UNKNOWN else None))
    with pytest.raises(ReviewRefused, match="only what needs review"):
        await settle_payment(shop, "o-1", FOUND)
    with pytest.raises(ReviewRefused, match="no refund r-9 of order 'o-1'"):
        await settle_payment(shop, "o-1", FOUND, kind="refund", name="r-9")


async def test_an_end_settled_twice_is_written_once(shop, redis):
    """The same call, sent again by the connection, gets the same answer and moves no more money."""
    await shop.end(CHARGE, REVIEW)
    store = Store(shop.client)
    (operation,) = await store.review()
    step = Step(to=State.SUCCEEDED, ref="pi_9", evidence="e")
    assert [await store.settle(operation, "once", step) for _ in range(2)] == [True, True]
    assert not await store.settle(operation, "another", step)
    assert await redis.llen(f"{PREFIX}audit:o-1") == 4


def test_the_command_shows_and_settles(redis_url, monkeypatch, capsys, tmp_path):
    """Exit codes: 0 done, 1 refused, 2 usage, 4 no such payment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jobs.payment", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (int(ended.value.code or 0), *capsys.readouterr())

    assert call("review") == (0, "", "")
    assert call("show", "o-1")[:2] == (4, "null\n")
    code, out, err = call("settle", "o-1", "succeeded", "--evidence", FOUND.evidence)
    assert (code, out, "no charge of order 'o-1'" in err) == (1, "", True)
    assert call("settle", "o-1", "succeeded")[0] == 2
