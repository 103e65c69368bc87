"""The ledger's scripts: who may have an operation, who may write, what survives being sent twice."""

import dataclasses

import pytest

from jobs.payment.operation import Step
from jobs.payment.records import Holder, Message
from jobs.payment.request import Request, charge_request
from jobs.payment.state import State
from jobs.payment.store import PREFIX, Store
from runner.app import Runner
from runner.settings import Settings

REQUEST = Request(kind="charge", order_id="o-1", amount_minor=1999, currency="EUR", source="tok")
DONE = Step(to=State.SUCCEEDED, ref="pi_1", evidence="200")


@pytest.fixture
async def store(redis_url, redis):
    await redis.set(f"{PREFIX}proven", "1")
    async with Runner(Settings.model_validate({"redis": {"url": redis_url}, "tasks": []})) as runner:
        yield Store(runner.client)


async def begin(store, job="job", fence=1, token="t1", *, lease_s=60, safe_s=0, request=REQUEST):
    return await store.begin(request, Holder(job, fence, token), lease_s=lease_s, safe_s=safe_s)


def test_names_and_keys_are_derived_from_what_was_asked_for():
    """The same on any machine; any other particular gives another key."""
    same = Request(kind="charge", order_id="o-1", amount_minor=1999, currency="EUR", source="tok")
    assert (same.op_id("a"), same.key("a", 1)) == (REQUEST.op_id("a"), REQUEST.key("a", 1))
    others = {
        REQUEST.key("a", 1),
        REQUEST.key("b", 1),
        REQUEST.key("a", 2),
        Request(kind="refund", order_id="o-1").key("a", 1),
        Request(kind="refund", order_id="o-1", name="r").key("a", 1),
        Request(kind="refund", order_id="o-1r").key("a", 1),
    }
    assert {len(key) for key in others} == {43}
    assert len(others) == 6


async def test_an_operation_belongs_to_one_holder_at_a_time(store):
    """Another job waits; the same call sent twice gets the same answer; nothing is sent twice."""
    assert (await begin(store)).verb == "send"
    assert (await begin(store)).verb == "send"
    waiting = await begin(store, job="another", token="t2")
    assert waiting.verb == "wait"
    assert 0 < waiting.wait_s <= 60


async def test_a_later_attempt_of_the_same_job_takes_over_and_resolves(store):
    """Its lease proves that the earlier one is gone; the earlier one, waking up, gets nothing any more."""
    await begin(store, fence=1)
    assert (await begin(store, fence=2, token="t2")).verb == "look"
    assert (await begin(store, fence=1, token="t3")).verb == "stale"


async def test_a_dead_lease_is_taken_over_by_anybody_and_never_sent_again_first(store):
    """Found in the middle of a send: repeated while the key is sure to be known, else asked for."""
    await begin(store, lease_s=0)
    assert (await begin(store, job="another", token="t2", lease_s=0, safe_s=60)).verb == "replay"
    assert (await begin(store, job="a third", token="t3", safe_s=0)).verb == "look"


async def test_who_lost_an_operation_writes_nothing(store):
    """A held worker that wakes up with an answer in hand does not overwrite what was found out meanwhile."""
    late = await begin(store, fence=1)
    now = await begin(store, fence=2, token="t2")
    declined = Step(to=State.DECLINED_HARD)
    assert await store.record(late.operation, "t1", declined) is False
    assert await store.record(now.operation, "t2", DONE) is True
    assert await store.record(late.operation, "t1", declined) is False
    (operation,) = (await store.read("o-1")).operations
    assert operation.state is State.SUCCEEDED


async def test_an_end_written_twice_is_written_once(store, redis):
    """The connection may break before the answer came: money moves once, the trail has one entry of it."""
    begun = await begin(store)
    for _ in range(3):
        assert await store.record(begun.operation, "t1", DONE, Message("msg_1", "{}"))
    payment = await store.read("o-1", with_trail=True)
    assert payment.fields["captured"] == "1999"
    assert len(payment.trail) == 3
    assert await redis.hlen(f"{PREFIX}outbox") == 1


async def test_a_refund_written_twice_gives_back_once(store):
    """Reserved once, moved once."""
    charge = await begin(store)
    await store.record(charge.operation, "t1", DONE)
    refund = Request(kind="refund", order_id="o-1", name="r-1", amount_minor=400, currency="EUR")
    for _ in range(2):
        begun = await begin(store, request=refund, token="t2")
    assert (await store.read("o-1")).fields["refunding"] == "400"
    for _ in range(2):
        await store.record(begun.operation, "t2", Step(to=State.SUCCEEDED, ref="re_1"))
    fields = (await store.read("o-1")).fields
    assert (fields["refunded"], fields["refunding"]) == ("400", "0")


async def test_a_resting_gateway_is_sent_nothing_new_and_may_be_asked(store):
    """429 and 401 stop what is not sent yet; what is unknown goes on being resolved."""
    first = await begin(store, lease_s=0)
    other = Request(kind="charge", order_id="o-2", amount_minor=1, currency="EUR", source="tok")
    begun = await begin(store, request=other)
    await store.record(begun.operation, "t1", Step(to=State.CREATED, wait_s=30, pause_s=30))
    resting = await begin(store, request=other, token="t2")
    assert resting.verb == "rest"
    assert 0 < resting.wait_s <= 30
    assert (await begin(store, token="t3", lease_s=0)).verb == "look"
    assert first.verb == "send"


async def test_no_key_of_the_ledger_expires_but_the_pause(store, redis):
    """Nothing that says where money is may vanish by itself."""
    begun = await begin(store)
    await store.record(
        begun.operation, "t1", Step(to=State.UNKNOWN, wait_s=10, pause_s=5), Message("m", "{}")
    )
    ttls = {key.decode(): await redis.pttl(key) async for key in redis.scan_iter(f"{PREFIX}*")}
    assert {key for key, ttl in ttls.items() if ttl != -1} == {f"{PREFIX}paused"}
    assert len(ttls) == 7


async def test_a_waiting_payment_takes_less_than_two_kibibytes(store, redis):
    """Operation, payment, trail and index, as the server counts them; the rest is its job."""
    await begin(store, job="0" * 32)
    sizes = {key: await redis.memory_usage(key) async for key in redis.scan_iter(f"{PREFIX}*")}
    assert sum(sizes.values()) < 1400


async def test_an_operation_is_what_it_was_begun_as(store):
    """Any other particular is refused; of a charge restored from the gateway only money is known."""
    await begin(store)
    others = {"amount_minor": 1, "currency": "USD", "source": "tok_2", "customer": "cus", "capture": False}
    for name, value in others.items():
        other = dataclasses.replace(REQUEST, **{name: value})
        assert (await begin(store, job="b", token="t2", request=other)).verb == "mismatch", name
    restored = charge_request("o-2", 1999, "EUR", "tok_any")
    facts = {"order": "o-2", "kind": "charge", "amount": "1999", "currency": "EUR", "attempt": "1"}
    assert await store.restore(facts | {"ref": "pi"}, restored.op_id(""), State.SUCCEEDED)
    verbs = {"done": restored, "mismatch": dataclasses.replace(restored, amount_minor=1)}
    assert {(await begin(store, request=each)).verb: each for each in verbs.values()} == verbs
