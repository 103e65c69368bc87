"""The Idempotency-Key header, over a plain ASGI app and a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from runner import Runner, Settings
from runner.embed import IdempotencyKey
from runner.settings.model import RedisGroup, WorkerGroup


class Shop:
    """An app that counts what it does; ``answers`` says how it answers each request in turn."""

    def __init__(self) -> None:
        self.orders: list[bytes] = []
        self.recovering: list[bool] = []
        self.answers: list[Callable[[], Any]] = []
        self.body = b'{"id": 17}'

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        self.orders.append(message["body"])
        self.recovering.append(scope["runner.once"].is_recovering if "runner.once" in scope else False)
        status = 201
        if self.answers and (answer := await self.answers.pop(0)()) is not None:
            status = answer
        headers = [(b"content-type", b"application/json"), (b"x-order", b"17")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        half = len(self.body) // 2
        await send({"type": "http.response.body", "body": self.body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": self.body[half:]})


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[Runner]:
    settings = Settings(redis=RedisGroup(url=redis_url), worker=WorkerGroup(lease=1), tasks=())
    async with Runner(settings) as connected:
        yield connected


def client_of(shop: Shop, runner: Runner, **options: Any) -> httpx.AsyncClient:
    app = IdempotencyKey(shop, runner=runner, **options)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=True)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test")


async def order(
    client: httpx.AsyncClient, key: str | None, body: bytes = b"{}", **more: Any
) -> httpx.Response:
    headers = {**({} if key is None else {"Idempotency-Key": key}), **more.pop("headers", {})}
    return await client.post(more.pop("path", "/orders"), content=body, headers=headers)


async def test_the_same_request_gets_the_same_answer_and_runs_once(shop: Shop, runner: Runner) -> None:
    """Status, headers and body again, marked as a replay; the app has seen one request."""
    async with client_of(shop, runner) as client:
        first, again = await order(client, '"k-1"'), await order(client, "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.content, again.content) == (shop.body, shop.body)
    assert again.headers["x-order"] == "17"
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len(shop.orders) == 1


@pytest.mark.parametrize("key", [None, "", '""', "x" * 256, "k\u00e9y"])
async def test_a_missing_or_unreadable_key_is_400(shop: Shop, runner: Runner, key: str | None) -> None:
    """The app does not see the request."""
    async with client_of(shop, runner) as client:
        headers = [] if key is None else [(b"idempotency-key", key.encode("latin-1"))]
        answer = await client.post("/orders", content=b"{}", headers=headers)
    assert (answer.status_code, shop.orders) == (400, [])
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Idempotency-Key" in answer.json()["title"]


@pytest.mark.parametrize("changed", [{"body": b"[]"}, {"path": "/refunds"}, {"path": "/orders?dry=1"}])
async def test_another_request_under_the_key_is_422(shop: Shop, runner: Runner, changed: Any) -> None:
    """Other body, path or query: one of the two requests is a mistake."""
    async with client_of(shop, runner) as client:
        await order(client, "k-1")
        answer = await order(client, "k-1", **changed)
    assert (answer.status_code, len(shop.orders)) == (422, 1)


async def test_a_request_in_progress_is_409(
    shop: Shop, runner: Runner, wait_until: Any, outlast: Any
) -> None:
    """Also after its lease would have ended, for it is renewed; with Retry-After, and then the answer."""
    release = asyncio.Event()

    async def slow() -> None:
        await release.wait()

    shop.answers = [slow]
    async with client_of(shop, runner) as client:
        first = asyncio.create_task(order(client, "k-1"))
        await wait_until(lambda: shop.orders, "the first request runs")
        assert (await order(client, "k-1")).status_code == 409
        await outlast(1)
        busy = await order(client, "k-1")
        assert (busy.status_code, busy.headers["retry-after"]) == (409, "1")
        release.set()
        assert (await first).status_code == 201
        assert (await order(client, "k-1")).headers["idempotency-replayed"] == "true"
    assert len(shop.orders) == 1


async def test_callers_do_not_share_keys(shop: Shop, runner: Runner) -> None:
    """Told apart by Authorization: nobody reads another's answer by guessing its key."""
    async with client_of(shop, runner) as client:
        for who in ("ann", "bob"):
            answer = await order(client, "k-1", headers={"Authorization": who})
            assert "idempotency-replayed" not in answer.headers
    assert len(shop.orders) == 2


async def test_after_a_5xx_or_a_crash_the_app_is_asked_to_recover(shop: Shop, runner: Runner) -> None:
    """It is unknown what happened: the next request runs with is_recovering, and its answer stands."""

    async def breaks() -> int:
        return 503

    async def crashes() -> None:
        raise ZeroDivisionError

    shop.answers = [breaks, crashes]
    async with client_of(shop, runner) as client:
        assert (await order(client, "k-1")).status_code == 503
        with pytest.raises(ZeroDivisionError):
            await order(client, "k-1")
        assert (await order(client, "k-1")).status_code == 201
        assert (await order(client, "k-1")).headers["idempotency-replayed"] == "true"
    assert shop.recovering == [False, True, True]


async def test_a_refusal_is_an_answer_too(shop: Shop, runner: Runner) -> None:
    """A 4xx is stored: the same mistake gets the same answer."""

    async def refuses() -> int:
        return 402

    shop.answers = [refuses]
    async with client_of(shop, runner) as client:
        assert [(await order(client, "k-1")).status_code for _ in range(2)] == [402, 402]
    assert len(shop.orders) == 1


async def test_an_answer_too_large_to_keep_is_still_given_once(shop: Shop, runner: Runner) -> None:
    """It streams through; a repeat gets its status and headers, and does not run."""
    shop.body = b"x" * 5000
    async with client_of(shop, runner, max_answer=1000) as client:
        first, again = await order(client, "k-1"), await order(client, "k-1")
    assert (first.content, again.content, again.status_code) == (shop.body, b"", 201)
    assert len(shop.orders) == 1


async def test_a_body_too_large_is_413(shop: Shop, runner: Runner) -> None:
    """It would have to be held in memory to be compared."""
    async with client_of(shop, runner, max_body=100) as client:
        assert (await order(client, "k-1", b"x" * 101)).status_code == 413
    assert shop.orders == []


async def test_other_methods_and_paths_pass(shop: Shop, runner: Runner) -> None:
    """GET is idempotent by itself; paths are guarded as told."""
    async with client_of(shop, runner, paths=["/orders"]) as client:
        assert (await client.get("/orders")).status_code == 201
        assert (await client.post("/login", content=b"{}")).status_code == 201
        assert (await client.post("/orders", content=b"{}")).status_code == 400
    async with client_of(shop, runner, is_required=False) as client:
        assert (await client.post("/orders", content=b"{}")).status_code == 201
    assert len(shop.orders) == 3


async def test_many_at_once_run_once(shop: Shop, runner: Runner) -> None:
    """100 concurrent requests: one runs, the others are told that it does, or get its answer."""
    is_told = asyncio.Event()

    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        answer = await order(client, "k-1")
        if answer.status_code == 409:
            is_told.set()
        return answer

    async def until_somebody_is_told() -> None:
        await is_told.wait()

    shop.answers = [until_somebody_is_told]
    async with client_of(shop, runner) as client:
        answers = await asyncio.gather(*(ask(client) for _ in range(100)))
    assert len(shop.orders) == 1
    assert {answer.status_code for answer in answers} == {201, 409}


async def test_without_the_server_nothing_runs(shop: Shop, restartable_server: Any) -> None:
    """503: it fails closed, for without the record a repeat cannot be told from the first."""
    settings = Settings(redis=RedisGroup(url=restartable_server.url), worker=WorkerGroup(lease=1), tasks=())
    async with Runner(settings) as connected, client_of(shop, connected) as client:
        restartable_server.kill9()
        answer = await order(client, "k-1")
    assert (answer.status_code, shop.orders) == (503, [])
    assert json.loads(answer.content)["status"] == 503
