"""Events that the gateway sends by itself: genuine ones only, once, in any order."""

import hmac
import json
from hashlib import sha256

import pytest

from jobs.payment import InvalidEvent, payment_state, take_event
from jobs.payment.declines import Decline
from jobs.payment.operation import Step
from jobs.payment.records import Holder
from jobs.payment.request import Request
from jobs.payment.state import State
from jobs.payment.store import PREFIX, Store
from runner.app import Runner
from runner.errors import SettingsError
from runner.settings import Settings

SECRET, NOW_S = "whsec_of_the_gateway", 1_700_000_000
REQUEST = Request(kind="charge", order_id="o-1", amount_minor=1999, currency="EUR", source="tok")


OP_ID = REQUEST.op_id("")


def event(status="succeeded", *, name="evt_1", amount=1999, attempt=1, op_id=OP_ID):
    metadata = {"op_id": op_id, "order_id": "o-1", "attempt": str(attempt)}
    body = {"object": "payment_intent", "id": "pi_1", "status": status, "amount": amount, "currency": "eur"}
    told = {"id": name, "type": f"payment_intent.{status}", "data": {"object": body | {"metadata": metadata}}}
    return json.dumps(told).encode()


def signed(body, *, at_s=NOW_S, secret=SECRET):
    content = str(at_s).encode() + b"." + body
    return f"t={at_s},v1={'0' * 64},v1={hmac.new(secret.encode(), content, sha256).hexdigest()},v0=x"


@pytest.fixture
async def shop(redis_url, redis):
    """A runner, and ``hear(body)`` of a signed event; ``begin()`` makes the operation, ``end()`` ends it."""
    await redis.set(f"{PREFIX}proven", "1")

    class Shop:
        def __init__(self, runner):
            self.runner, self.store = runner, Store(runner.client)

        async def hear(self, body):
            return await take_event(self.runner, signed(body), body, now_s=NOW_S)

        async def begin(self, token="t1", attempt=1, **options):
            holder = Holder("job", 1, token)
            return await self.store.begin(REQUEST, holder, lease_s=60, safe_s=0, attempt=attempt, **options)

        async def end(self, to, **facts):
            begun = await self.begin()
            assert await self.store.record(begun.operation, "t1", Step(to=to, **facts))

        async def status(self):
            return (await payment_state(self.runner, "o-1"))["operations"][0]["state"]

    settings = {"redis": {"url": redis_url}, "tasks": [], "payments": {"event_secret": SECRET}}
    async with Runner(Settings.model_validate(settings)) as runner:
        yield Shop(runner)


@pytest.mark.parametrize("state", [State.UNKNOWN, State.PENDING, State.REQUIRES_ACTION])
async def test_a_success_ends_what_is_open(shop, redis, state):
    """As a lookup that found it: the state, the sums, the gateway's name, nothing left to look at."""
    await shop.end(state, wait_s=60)
    assert await shop.hear(event()) == "adopted"
    told = await payment_state(shop.runner, "o-1")
    assert (told["status"], told["captured_minor"], told["ref"]) == ("succeeded", 1999, "pi_1")
    assert told["is_trail_intact"]
    assert await redis.zcard(f"{PREFIX}open") == 0


async def test_an_event_is_taken_in_once(shop):
    """By its id; another event of the same success finds nothing open."""
    await shop.end(State.UNKNOWN, wait_s=60)
    heard = [await shop.hear(event(name=name)) for name in ("evt_1", "evt_1", "evt_2")]
    assert heard == ["adopted", "seen", "nothing"]


async def test_what_is_closed_is_never_moved(shop, caplog):
    """A failure that comes after the success changes nothing; a success after a decline raises the alarm."""
    await shop.end(State.SUCCEEDED, ref="pi_1")
    assert await shop.hear(event("requires_payment_method")) == "nothing"
    assert await shop.status() == "succeeded"
    assert "payment alert" not in caplog.text


async def test_a_success_of_what_we_call_declined_raises_the_alarm(shop, caplog):
    """Somebody has to look: our word was told to the merchant already."""
    await shop.end(State.DECLINED_HARD, decline=Decline("hard", "stolen_card"))
    assert await shop.hear(event()) == "nothing"
    assert await shop.status() == "declined_hard"
    assert "payment alert" in caplog.text


async def test_a_failure_is_looked_into_and_not_believed(shop, redis):
    """It may be older than what happened since: the next sweep asks the gateway."""
    await shop.end(State.REQUIRES_ACTION, wait_s=3600)
    assert await shop.hear(event("requires_payment_method")) == "noted"
    assert await shop.status() == "requires_action"
    assert await redis.zscore(f"{PREFIX}open", REQUEST.op_id("")) == 0
    operations, _ = await shop.store.due(late_s=60)
    assert [each["op_id"] for each in operations] == [REQUEST.op_id("")]


async def test_a_late_success_stops_a_new_attempt(shop):
    """It was proved not executed, wrongly: what is about to be sent anew is not."""
    await shop.end(State.CREATED, wait_s=0, is_new_attempt=True)
    assert await shop.hear(event()) == "adopted"
    assert (await shop.begin(token="t2")).verb == "done"


async def test_an_event_of_an_operation_in_hand_is_to_come_again(shop):
    """A worker has sent it and waits for the answer; it is not remembered as taken in."""
    await shop.begin()
    assert [await shop.hear(event()) for _ in range(2)] == ["busy", "busy"]
    assert await shop.status() == "sending"


async def test_another_amount_is_no_success_of_ours(shop, caplog):
    """It stays unknown, with an alarm, as an answer would leave it."""
    await shop.end(State.UNKNOWN, wait_s=60)
    await shop.hear(event(amount=2999))
    assert await shop.status() == "unknown"
    assert "payment alert" in caplog.text


@pytest.mark.parametrize("body", [event(op_id="another"), b'{"id": "evt_9", "data": {"object": {}}}'])
async def test_an_event_about_nothing_of_ours_is_nothing(shop, body):
    """Other systems charge at the same gateway."""
    await shop.end(State.UNKNOWN, wait_s=60)
    assert await shop.hear(body) == "nothing"
    assert await shop.status() == "unknown"


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        ("", "expected one t="),
        ("t=12,t=13,v1=aa", "expected one t="),
        ("t=x,v1=aa", "expected one t="),
        (signed(event(), at_s=NOW_S - 301), "from now"),
        (signed(event(), at_s=NOW_S + 301), "from now"),
        (f"t={NOW_S}", "no v1 fits"),
        (f"t={NOW_S},v1=\udcff", "no v1 fits"),
        (signed(event(), secret="another"), "no v1 fits"),
        (signed(event(amount=1)), "no v1 fits"),
    ],
)
async def test_what_is_not_genuine_is_refused(shop, signature, why):
    """No time, an old one, another secret, another body."""
    await shop.end(State.UNKNOWN, wait_s=60)
    with pytest.raises(InvalidEvent, match=why):
        await take_event(shop.runner, signature, event(), now_s=NOW_S)
    assert await shop.status() == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"id": 1, "data": {"object": {}}}',
        b'{"id": "a b", "data": {"object": {}}}',
        b'{"id": "evt_1", "data": {"object": 1}}',
        b"[" * 100_000,
    ],
)
async def test_a_body_that_is_no_event_is_refused(shop, body):
    """Also when it is signed."""
    with pytest.raises(InvalidEvent, match="no event"):
        await shop.hear(body)


async def test_without_a_secret_nothing_is_trusted(redis_url):
    """An empty secret would fit anybody's signature."""
    async with Runner(Settings.model_validate({"redis": {"url": redis_url}, "tasks": []})) as runner:
        with pytest.raises(SettingsError, match="event_secret"):
            await take_event(runner, signed(event(), secret=""), event(), now_s=NOW_S)
