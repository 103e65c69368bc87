"""localstripe: a gateway none of us wrote, which ignores Idempotency-Key and cannot search."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import urllib.parse

import aiohttp
import pytest
from aiohttp import web

from jobs.payment import payment_state, process_payment, reconcile_payments, refund_payment

SERVE = """
import socket, sys
from aiohttp import web
from localstripe.server import app
listening = socket.socket()
listening.bind(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
web.run_app(app, sock=listening, print=None, handle_signals=False)
"""
POINTS = ("before_send", "answer_read", "before_complete", "after_complete")
CARD = {
    "type": "card",
    "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"},
}
AUTH = {"authorization": "Bearer sk_test_local"}


def listens(url: str) -> bool:
    """Whether somebody takes connections there: localstripe says its port before it listens."""
    address = urllib.parse.urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((address.hostname, address.port)) == 0


@pytest.fixture
async def localstripe(wait_until):
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{int(await asyncio.to_thread(process.stdout.readline))}"
    await wait_until(lambda: listens(url), "localstripe takes connections")
    yield url
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
async def losing_answers(localstripe):
    """A proxy before it that hands every request on and loses every third answer to one that moves money."""
    moved = 0

    async def forward(request: web.Request) -> web.StreamResponse:
        nonlocal moved
        fields = {k: v for k, v in request.headers.items() if k.lower() in ("authorization", "content-type")}
        target = localstripe + request.raw_path
        async with client.request(
            request.method, target, data=await request.read(), headers=fields
        ) as answer:
            body = await answer.read()
        if request.method == "POST":
            moved += 1
            if moved % 3 == 0:
                request.transport.abort()
        return web.Response(body=body, status=answer.status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", forward)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
    async with aiohttp.ClientSession() as client:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


@contextlib.contextmanager
def working(workers, settings):
    process = workers.start_worker(settings)
    yield
    process.kill()
    process.join()


async def charged(url: str) -> dict[str, int]:
    """Give how often localstripe charged each order."""
    counts: dict[str, int] = {}
    async with (
        aiohttp.ClientSession(headers=AUTH) as client,
        client.get(f"{url}/v1/payment_intents?limit=100") as answer,
    ):
        listed = (await answer.json())["data"]
    for intent in listed:
        if intent["status"] == "succeeded":
            order = intent["metadata"]["order_id"]
            counts[order] = counts.get(order, 0) + 1
    return counts


@pytest.mark.timeout(90)
async def test_a_gateway_that_ignores_keys_charges_once_all_the_same(
    workers, localstripe, losing_answers, settings_for, runner_for, redis_url
):
    """12 payments and a refund, a third of the answers lost, a worker killed at each of four points."""
    async with (
        aiohttp.ClientSession(headers=AUTH) as client,
        client.post(f"{localstripe}/v1/payment_methods", json=CARD) as answer,
    ):
        card = (await answer.json())["id"]
    told = {"honours_keys": False, "lookup": "list", "proof": 0.6, "api_key": "sk_test_local"}
    settings = settings_for(redis_url, losing_answers, **told)
    runner = await runner_for(settings)
    orders = [f"{point}-{number}" for point in POINTS for number in range(3)]
    results = []
    for point in POINTS:
        batch = [order for order in orders if order.startswith(point)]
        jobs = [await runner.enqueue(process_payment, order, 1999, "EUR", card) for order in batch]
        crashing = workers.start_worker(settings, point)
        assert await workers.death_of(crashing) == -9
        with working(workers, settings):
            results += [await job.result(30) for job in jobs]
    with working(workers, settings):
        refund = await runner.enqueue(refund_payment, orders[0], 500, "EUR", "r-1")
        refunded = await refund.result(30)
        reconciled = await (await runner.enqueue(reconcile_payments)).result(30)
    assert {result["status"] for result in results} == {"succeeded"}
    assert await charged(localstripe) == dict.fromkeys(orders, 1)
    assert refunded["status"] == "succeeded"
    assert (await payment_state(runner, orders[0]))["refunded_minor"] == 500
    assert reconciled == {"seen": 12, "restored": 0, "doubled": 0, "differing": 0}
