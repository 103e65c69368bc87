"""What send_webhook refuses: at enqueue, and at delivery from clients that know nothing of our checks."""

import base64
from random import Random

import pytest

from jobs.webhook import SCHEDULE, prepare, send_webhook
from runner.errors import GiveUp, InvalidArguments

NEW = "whsec_" + base64.b64encode(b"the new key has 24 bytes").decode()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"url": "ftp://h/"}, "scheme"),
        ({"url": "http://u:p@127.0.0.1/"}, "user name"),
        ({"url": 17}, "url: expected text"),
        ({"payload": 17}, "payload"),
        ({"payload": {"$base64": "*"}}, "base64"),
        ({"secret": "other"}, r"no secret is named 'other'; \[webhooks.secrets\] has shop, solo"),
        ({"secret": NEW}, "never the secret itself"),
        ({"headers": {"host": "x"}}, "cannot be overridden"),
        ({"headers": {"webhook-id": "x"}}, "cannot be overridden"),
        ({"headers": {"x": "a\r\nb: c"}}, "visible ASCII"),
        ({"headers": ["x"]}, "headers: expected a dict"),
        ({"event": "a b"}, "event"),
    ],
)
async def test_what_can_never_be_sent_is_given_up_without_a_request(make_ctx, receivers, call, says):
    """A job enqueued by a client that knows nothing of our checks meets them here."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        with pytest.raises(GiveUp, match=says) as caught:
            await send_webhook(make_ctx(), **({"url": receiver.url, "payload": "{}"} | call))
        assert receiver.ledger.connections == 0
    assert NEW.removeprefix("whsec_") not in caught.value.reason


def test_the_schedule_is_the_specification_s():
    """Ten attempts over 75 h 35 m 5 s, jitter only added."""
    policy = send_webhook.retry
    assert policy.backoff is SCHEDULE
    assert policy.max_tries == 10
    planned = [SCHEDULE.delay(n, Random(1)) for n in range(1, 10)]
    least = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert sum(least) == 75 * 3600 + 35 * 60 + 5
    assert all(low <= given <= low + min(low * 0.2, 900) for low, given in zip(least, planned, strict=True))
    assert SCHEDULE.delay(10, Random(1)) is None


def prepare_call(*args, **kwargs):
    stored = send_webhook.check(args, kwargs)
    names = ("url", "payload")
    return stored, dict(zip(names, stored[0], strict=True)) | stored[1]


@pytest.mark.parametrize(
    ("payload", "stored"),
    [
        ({"a": [1, None, "é"]}, '{"a":[1,null,"é"]}'),
        ([1], "[1]"),
        ("text", "text"),
        (b"text", "text"),
        (b"\xff", {"$base64": "/w=="}),
    ],
)
def test_the_payload_is_frozen_at_enqueue(payload, stored):
    """What is stored is the body, so no later change of a library can change the bytes that are signed."""
    _, call = prepare_call("https://h.example/", payload, event="a.b")
    assert call == {"url": "https://h.example/", "payload": stored, "event": "a.b"}
    assert prepare_call(**call)[1] == call


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"url": "ftp://h/"}, "send_webhook: not a url a webhook can go to: its scheme"),
        ({"url": "http://h/\n"}, "line break"),
        ({"url": None}, "url: expected text"),
        ({"payload": object()}, "payload"),
        ({"secret": NEW}, "never the secret itself"),
        ({"secret": "whsk_abc"}, "never the secret itself"),
        ({"secret": ""}, "never the secret itself"),
        ({"headers": {"a\nb": "c"}}, "name"),
        ({"headers": {"Webhook-Signature": "c"}}, "cannot be overridden"),
        ({"event": ""}, "event"),
    ],
)
def test_bad_arguments_are_refused_at_enqueue_in_one_line(call, says):
    """Where the mistake was made; and no secret is shown."""
    with pytest.raises(InvalidArguments, match=says) as caught:
        prepare_call(**({"url": "http://h/", "payload": "{}"} | call))
    assert "\n" not in str(caught.value)
    assert NEW[6:] not in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((), {}), (("http://h/",), {}), (("http://h/", "", 1), {"evnt": "x"})]
)
def test_arguments_that_do_not_fit_are_left_to_the_signature(args, kwargs):
    """Its message names what is missing or unknown."""
    assert prepare(args, kwargs) == (args, kwargs)
    with pytest.raises(InvalidArguments, match="send_webhook"):
        send_webhook.check(args, kwargs)
