"""send_webhook, called as a worker calls it, against receivers on the wire."""

import base64
import logging

import httpx
import pytest
import standardwebhooks

from jobs.webhook import Delivery, deliver, send_webhook
from runner.backoff import intervals
from runner.clock import FixedClock, SystemClock
from runner.errors import GiveUp, Retry, Snooze
from runner.http import exchange

OLD = "whsec_" + base64.b64encode(b"the old key has 24 bytes").decode()
NEW = "whsec_" + base64.b64encode(b"the new key has 24 bytes").decode()
NOW_MS = 784_111_777_000
"""Sun, 06 Nov 1994 08:49:37 GMT."""


async def ends(ctx, url, payload="{}", **more):
    """Give how an attempt ends: its result, or the signal it raises."""
    try:
        return await send_webhook(ctx, url, payload, **more)
    except (Retry, Snooze, GiveUp) as signal:
        return signal


async def test_a_delivery_says_what_came_back(make_ctx, receivers):
    """Status, attempt, duration and the beginning of the answer."""
    async with receivers.Receiver(receivers.answers(202, body="schön".encode())) as receiver:
        delivery = await send_webhook(make_ctx(attempt=3), receiver.url, {"a": 1})
    assert (delivery.status, delivery.attempt, delivery.webhook_id) == (202, 3, "job-1")
    assert (delivery.response, delivery.is_truncated) == ("schön", False)
    assert delivery.duration_ms >= 0


async def test_an_independent_receiver_accepts_the_signature(make_ctx, receivers):
    """With the new secret and with the old one, on the bytes as they arrived."""
    ctx = make_ctx(clock=FixedClock(SystemClock().now_ms()))
    async with receivers.Receiver(receivers.answers()) as receiver:
        await send_webhook(
            ctx, receiver.url, {"total": "9.90", "who": "Zoë"}, event="order.paid", secret="shop"
        )
    (request,) = receiver.requests
    for secret in (NEW, OLD):
        told = standardwebhooks.Webhook(secret).verify(request.body, request.headers)
        assert told == {"total": "9.90", "who": "Zoë"}
    assert request.headers["webhook-signature"].count("v1,") == 2
    assert request.headers["webhook-event"] == "order.paid"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["user-agent"] == "arq-runner"


async def test_every_attempt_has_the_same_id_and_body_and_a_fresh_timestamp(make_ctx, receivers):
    """By the id the receiver knows it again; an old timestamp would look like a replay."""
    (_, payload), _ = send_webhook.check(("http://h/", {"b": 1, "a": 2}), {"secret": "solo"})
    async with receivers.Receiver(receivers.answers(500)) as receiver:
        for attempt, later_ms in ((1, 0), (2, 300_000)):
            ctx = make_ctx(attempt=attempt, clock=FixedClock(NOW_MS + later_ms))
            await ends(ctx, receiver.url, payload, secret="solo")
    one, two = receiver.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == "job-1"
    assert one.body == two.body == b'{"b":1,"a":2}'
    assert [each.headers["webhook-timestamp"] for each in (one, two)] == ["784111777", "784112077"]
    assert [each.headers["webhook-attempt"] for each in (one, two)] == ["1", "2"]
    assert one.headers["webhook-signature"] != two.headers["webhook-signature"]


async def test_without_a_secret_it_goes_out_unsigned(make_ctx, receivers):
    """Unless the settings name one for all."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        await send_webhook(make_ctx(), receiver.url, {})
        await send_webhook(make_ctx(default_secret="solo"), receiver.url, {})
    assert ["webhook-signature" in request.headers for request in receiver.requests] == [False, True]
    assert all("webhook-id" in request.headers for request in receiver.requests)


async def test_a_job_id_that_fits_no_header_is_percent_encoded(make_ctx, receivers):
    """Also a dot, which would make the signed text ambiguous; ids of the usual kinds go out unchanged."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        for job_id in ("cron:tick@2026-11-23T10:00", "a.b é\n", "100%"):
            await send_webhook(make_ctx(job_id=job_id), receiver.url, {})
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert ids == ["cron:tick@2026-11-23T10:00", "a%2Eb%20%C3%A9%0A", "100%25"]


async def test_headers_of_the_caller_go_along(make_ctx, receivers):
    """And may replace the two that are a matter of taste."""
    mine = {"X-Tenant": "t1", "Content-Type": "text/plain", "User-Agent": "shop/1"}
    async with receivers.Receiver(receivers.answers()) as receiver:
        await send_webhook(make_ctx(), receiver.url, "hello", headers=mine)
    (request,) = receiver.requests
    assert {name: request.headers[name.lower()] for name in mine} == mine
    assert request.body == b"hello"


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_is_delivered(make_ctx, receivers, status):
    """And nothing else is."""
    async with receivers.Receiver(receivers.says(f"HTTP/1.1 {status} X\r\n\r\n".encode())) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert isinstance(ended, Delivery), ended
    assert ended.status == status


@pytest.mark.parametrize(
    ("status", "fields", "attempt", "delay_s"),
    [
        (400, (), 1, None),
        (404, (), 1, None),
        (408, (), 1, None),
        (500, (), 1, None),
        (304, (), 1, None),
        (500, ("retry-after: nonsense",), 1, None),
        (500, ("retry-after: 0",), 1, None),
        (400, ("retry-after: 7",), 1, 7),
        (500, ("retry-after: 1000",), 1, 1000),
        (503, (), 1, 60),
        (502, (), 1, 60),
        (504, (), 1, 60),
        (429, (), 1, 60),
        (429, ("retry-after: 1",), 1, 60),
        (429, ("retry-after: 90",), 1, 90),
        (503, ("retry-after: 20",), 1, 20),
        (503, ("retry-after: 1",), 1, 5),
        (429, ("retry-after: Sun, 06 Nov 1994 08:52:37 GMT",), 1, 180),
        (503, ("retry-after: 1000000000",), 1, 86_400),
        (503, ("retry-after: 20",), 2, 300),
        (429, ("retry-after: 90",), 9, 86_400),
        (503, ("retry-after: 90",), 10, 90),
    ],
)
async def test_a_failure_waits_for_the_later_of_schedule_and_receiver(
    make_ctx, receivers, status, fields, attempt, delay_s
):
    """None means the task's own backoff decides; jitter only ever adds, a fifth and 15 minutes at most."""
    async with receivers.Receiver(receivers.answers(status, *fields)) as receiver:
        ended = await ends(make_ctx(attempt=attempt), receiver.url)
    assert isinstance(ended, Retry), ended
    assert str(status) in ended.reason
    if delay_s is None:
        assert ended.delay_s is None
    else:
        assert delay_s <= ended.delay_s <= delay_s + min(delay_s * 0.2, 900)


async def test_410_ends_it_at_once(make_ctx, receivers):
    """The receiver wants no more."""
    async with receivers.Receiver(receivers.answers(410)) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert isinstance(ended, GiveUp)
    assert "410" in ended.reason


async def test_a_redirect_is_not_followed_and_the_reason_says_where_it_went(make_ctx, receivers):
    """So that somebody can change the url; only the host, since the rest may hold secrets."""
    async with receivers.Receiver(receivers.redirects_inside) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert isinstance(ended, Retry)
    assert "169.254.169.254" in ended.reason
    assert "meta-data" not in ended.reason
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        "accept_and_close",
        "reset_before_read",
        "reset_after_read",
        "closes_after_read",
        "garbage",
        "half_status",
        "floods_100",
    ],
)
async def test_a_broken_connection_is_retried_and_called_unclear(make_ctx, receivers, behaviour):
    """At least once: the receiver may have it."""
    async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert isinstance(ended, Retry), ended
    assert (ended.delay_s, ended.reason.startswith("unclear")) == (None, True)


@pytest.mark.parametrize("behaviour", ["silent", "drips_head"])
async def test_a_slow_receiver_is_given_a_minute(make_ctx, receivers, behaviour):
    """The deadline of the settings bounds the attempt, whatever drips in."""

    async def ends_by(deadline_s):
        async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
            return await ends(make_ctx(timeout=deadline_s), receiver.url), f"{deadline_s} s"

    ended, told = await receivers.by_deadline(ends_by, lambda it: getattr(it[0], "delay_s", None) == 60)
    assert isinstance(ended, Retry), ended
    assert ended.delay_s == 60
    assert told in ended.reason


@pytest.mark.parametrize(
    "behaviour", ["half_body", "half_body_reset", "drips_body", "endless_body", "endless_chunks"]
)
async def test_whatever_becomes_of_the_body_a_200_is_delivered(make_ctx, receivers, behaviour):
    """The status decided; sending it again would be a duplicate."""

    async def ends_by(deadline_s):
        async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
            return await ends(make_ctx(timeout=deadline_s), receiver.url)

    ended = await receivers.by_deadline(ends_by, lambda it: isinstance(it, Delivery))
    assert isinstance(ended, Delivery), ended
    assert ended.is_truncated


@pytest.mark.parametrize("body", [b"x" * 9000, "é".encode() * 4500, b"\xff" * 9000, "☃".encode() * 3000])
async def test_the_excerpt_stays_within_its_bytes(make_ctx, receivers, body):
    """Also when bytes that are no text grow in being replaced."""
    async with receivers.Receiver(receivers.answers(body=body)) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert 4090 <= len(ended.response.encode()) <= 4096
    assert ended.is_truncated


async def test_a_compressed_answer_is_not_shown(make_ctx, receivers):
    """Nobody asked for it, and unpacking is how bombs go off."""
    async with receivers.Receiver(receivers.gzip_bomb) as receiver:
        ended = await ends(make_ctx(), receiver.url)
    assert isinstance(ended, Delivery)
    assert "gzip" in ended.response
    assert ended.is_truncated


async def test_a_refused_connection_is_retried_as_never_sent(make_ctx, unused_tcp_port):
    """On the task's own schedule."""
    ended = await ends(make_ctx(), f"http://127.0.0.1:{unused_tcp_port}/")
    assert isinstance(ended, Retry)
    assert (ended.delay_s, ended.reason.startswith("not sent")) == (None, True)


@pytest.mark.parametrize(("attempt", "kind"), [(1, Retry), (2, Retry), (3, GiveUp), (7, GiveUp)])
async def test_an_inner_address_is_given_up_at_the_third_attempt(make_ctx, receivers, attempt, kind):
    """A name server may be wrong for a moment; a stranger who tries it on gets no further."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        ended = await ends(make_ctx(attempt=attempt, allow=[]), receiver.url)
    assert isinstance(ended, kind), ended
    assert "refused to connect" in ended.reason
    assert receiver.ledger.connections == 0


async def test_a_full_pool_spends_no_attempt(make_ctx, receivers):
    """Our own trouble is not the receiver's."""
    ctx = make_ctx(max_connections=1)
    async with (
        receivers.Receiver(receivers.half_body_silent) as receiver,
        ctx.http.stream("POST", receiver.url),
    ):
        ctx.http.timeout = httpx.Timeout(20, connect=0.05, pool=0.05)
        ended = await ends(ctx, receiver.url)
    assert isinstance(ended, Snooze), ended


async def test_a_task_of_one_s_own_can_have_another_schedule(make_ctx, receivers):
    """``deliver`` measures what the receiver asks for against the schedule it is given."""
    async with receivers.Receiver(receivers.answers(503, "retry-after: 10")) as receiver:
        with pytest.raises(Retry) as caught:
            await deliver(make_ctx(), receiver.url, "{}", schedule=intervals(40))
    assert caught.value.delay_s == 40


async def test_neither_secret_nor_url_reaches_the_logs(make_ctx, receivers, caplog):
    """At any level, on success and on failure."""
    caplog.set_level(logging.DEBUG)
    async with receivers.Receiver(receivers.answers()) as good, receivers.Receiver(receivers.garbage) as bad:
        for receiver in (good, bad):
            await ends(make_ctx(), receiver.url + "?key=hunter2", {"card": "4242"}, secret="shop")
    assert len(good.requests) == len(bad.requests) == 1
    for secret in ("hunter2", "4242", NEW[6:], OLD[6:]):
        assert secret not in caplog.text


async def test_the_client_can_be_used_by_other_jobs_meanwhile(make_ctx, receivers):
    """One client serves all jobs of a worker."""
    ctx = make_ctx()
    async with receivers.Receiver(receivers.answers()) as receiver:
        assert (await ctx.http.get(receiver.url)).status_code == 200
        assert (await exchange(ctx.http, "GET", receiver.url, timeout_s=20)).status == 200
        assert (await send_webhook(ctx, receiver.url, {})).status == 200
    assert receiver.ledger.connections == 1
