"""What a gateway can answer, on the wire: read for what it says about money, never guessed."""

import ssl
from urllib.parse import parse_qsl

import pytest
import trustme
from aiohttp import web

from jobs.payment.gateway import (
    Declined,
    Executed,
    Found,
    InProgress,
    Misconfigured,
    NotSent,
    Order,
    Rejected,
    Throttled,
    Unknown,
)
from jobs.payment.http_gateway import HttpGateway
from runner.http import build_client

ORDER = Order(
    kind="charge", op_id="op-1", order_id="o-1", amount_minor=1999, currency="EUR", key="k-1", source="tok"
)
INTENT = {"object": "payment_intent", "id": "pi_1", "amount": 1999, "currency": "eur", "status": "succeeded"}
INTENT |= {"metadata": {"op_id": "op-1", "attempt": "1", "order_id": "o-1"}}


class Gateway:
    """Answers everything the same way, and keeps what it was asked."""

    def __init__(self, answer) -> None:
        self.answer, self.asked = answer, []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.asked.append(
            (
                request.method,
                request.path_qs,
                {k.lower(): v for k, v in request.headers.items()},
                dict(parse_qsl(body)),
            )
        )
        return self.answer(request)


@pytest.fixture
async def asks(authorities):
    """``await asks(answer)``: an adapter for a gateway that answers so, and that gateway."""
    runners, clients = [], []

    async def make(
        answer, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", lookup: str = "search"
    ):
        gateway, app = Gateway(answer), web.Application()
        app.router.add_route("*", "/{tail:.*}", gateway.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        client = build_client(allow=["127.0.0.0/8"], connect_timeout_s=5, ssl_context=authorities)
        runners.append(runner)
        clients.append(client)
        url = f"{'https' if tls else 'http'}://{host}:{runner.addresses[0][1]}"
        return HttpGateway(client, url=url, api_key="sk_test_x", timeout_s=20, lookup=lookup), gateway

    yield make
    for client in clients:
        await client.aclose()
    for runner in runners:
        await runner.cleanup()


def json(body, status=200, headers=None):
    return lambda _request: web.json_response(body, status=status, headers=headers)


def error(status, *, headers=None, **facts):
    return json({"error": facts}, status, headers)


def page(_request):
    return web.Response(text="<html>Bad gateway</html>", content_type="text/html")


def cut(request):
    return web.Response(body=b'{"object": "payment_intent", "id": "pi_', content_type="application/json")


def closed(request):
    request.transport.abort()
    return web.Response()


ANSWERS = {
    "succeeded": (json(INTENT), Executed),
    "processing": (json(INTENT | {"status": "processing"}), Executed),
    "requires_payment_method": (json(INTENT | {"status": "requires_payment_method"}), Declined),
    "an unheard-of status": (json(INTENT | {"status": "dreaming"}), Unknown),
    "another object": (json({"object": "charge", "id": "ch_1"}), Unknown),
    "an amount that is no number": (json(INTENT | {"amount": "1999"}), Unknown),
    "HTML": (page, Unknown),
    "cut JSON": (cut, Unknown),
    "200 with an error": (error(200, type="api_error"), Unknown),
    "a list": (lambda _: web.json_response([INTENT]), Unknown),
    "closed": (closed, Unknown),
    "redirect": (lambda _: web.Response(status=307, headers={"location": "/v2"}), Rejected),
    "400": (error(400, type="invalid_request_error"), Rejected),
    "400 key reused": (error(400, type="idempotency_error"), Rejected),
    "400 it is so already": (error(400, code="charge_already_captured"), Unknown),
    "401": (error(401), Misconfigured),
    "403": (error(403), Misconfigured),
    "402": (error(402, decline_code="insufficient_funds"), Declined),
    "404": (error(404), Rejected),
    "409": (error(409, code="idempotency_key_in_use"), InProgress),
    "lock_timeout": (error(429, code="lock_timeout"), InProgress),
    "429": (error(429, headers={"retry-after": "7"}), Throttled),
    "500": (error(500), Unknown),
    "503 HTML": (lambda _: web.Response(status=503, text="<html>"), Unknown),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_is_read_for_what_it_says_about_money(asks, case):
    """Row by row, the table of stripe_shape; whatever cannot be read may have been done."""
    answer, kind = ANSWERS[case]
    adapter, gateway = await asks(answer)
    outcome = await adapter.execute(ORDER)
    assert isinstance(outcome, kind), outcome
    assert len(gateway.asked) == 1


async def test_a_200_that_is_no_answer_is_alarming_and_a_timeout_is_not(asks):
    """Somebody must look at the first; the second happens."""
    for answer, is_alarming in ((page, True), (closed, False)):
        adapter, _ = await asks(answer)
        assert (await adapter.execute(ORDER)).is_alarming is is_alarming


async def test_what_is_asked(asks):
    """The key, and the metadata by which the operation can be found again; the amount in minor units."""
    adapter, gateway = await asks(json(INTENT))
    await adapter.execute(ORDER)
    method, path, headers, fields = gateway.asked[0]
    assert (method, path, headers["idempotency-key"]) == ("POST", "/v1/payment_intents", "k-1")
    assert headers["authorization"] == "Bearer sk_test_x"
    assert fields["amount"] == "1999"
    assert (fields["metadata[op_id]"], fields["metadata[attempt]"]) == ("op-1", "1")


async def test_429_names_its_wait(asks):
    """Retry-After in seconds; without it, none."""
    for headers, wait_s in (({"retry-after": "7"}, 7.0), ({}, None)):
        adapter, _ = await asks(error(429, headers=headers))
        assert (await adapter.execute(ORDER)).wait_s == wait_s


@pytest.mark.parametrize("lookup", ["search", "list"])
async def test_a_lookup_reads_every_page_and_takes_what_is_ours(asks, lookup):
    """Two pages, one foreign payment; by metadata, whichever way is asked."""

    def answer(request):
        foreign = INTENT | {"id": "pi_0", "metadata": {}}
        if "starting_after" in request.query:
            return web.json_response({"data": [INTENT], "has_more": False})
        return web.json_response({"data": [foreign], "has_more": True})

    adapter, gateway = await asks(answer, lookup=lookup)
    found = await adapter.find(ORDER)
    assert isinstance(found, Found)
    assert [each.ref for each in found.successes] == ["pi_1"]
    assert len(gateway.asked) == 2


@pytest.mark.parametrize("answer", [page, error(400), error(500), closed, json({"data": "x"})])
async def test_a_lookup_that_fails_is_not_an_empty_one(asks, answer):
    """An empty answer is evidence; a broken one is not."""
    adapter, _ = await asks(answer)
    assert isinstance(await adapter.find(ORDER), Unknown)


async def test_a_certificate_nobody_vouches_for_ends_it_before_anything_is_sent(asks):
    """Not sent: the payment waits, and is not lost."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    adapter, gateway = await asks(json(INTENT), tls=tls)
    assert isinstance(await adapter.execute(ORDER), NotSent)
    assert gateway.asked == []


async def test_a_certificate_of_another_host_ends_it_too(asks):
    """Also when its issuer is trusted."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("bank.example").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    adapter, gateway = await asks(json(INTENT), tls=tls)
    async with build_client(allow=["127.0.0.0/8"], ssl_context=trusting) as client:
        adapter = HttpGateway(client, url=adapter._url, api_key="sk", timeout_s=20)
        assert isinstance(await adapter.execute(ORDER), NotSent)
    assert gateway.asked == []


async def test_a_closed_port_is_not_sent(asks):
    """Nothing left this process."""
    async with build_client(allow=["127.0.0.0/8"]) as client:
        adapter = HttpGateway(client, url="http://127.0.0.1:9", api_key="sk", timeout_s=20)
        assert isinstance(await adapter.execute(ORDER), NotSent)
