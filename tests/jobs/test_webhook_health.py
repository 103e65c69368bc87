"""What a delivery says of its receiver, and what follows for the other webhooks to it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from jobs.webhook import send_webhook
from jobs.webhook_health import ENDPOINT, HOST, tell_health
from runner import Runner, Settings
from runner.breaker import Health
from runner.http import Answer, Cause, NotSent, Unclear
from runner.settings.model import RedisGroup, WebhooksGroup, WorkerGroup
from runner.wire.keys import keys_of

KEYS = keys_of("default")


def answer(status: int, retry_after: str | None = None) -> Answer:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Answer(status, httpx.Headers(headers), b"", True, 1)


@pytest.mark.parametrize(
    ("ended", "endpoint", "host"),
    [
        (answer(204), Health("ok"), "ok"),
        (answer(410), Health("ok"), "ok"),
        (answer(404), Health("ok"), "ok"),
        (answer(302), Health("failed"), "ok"),
        (answer(408), Health("failed"), "ok"),
        (answer(500), Health("failed"), "ok"),
        (answer(503), Health("failed"), "ok"),
        (answer(503, "7"), Health("throttled", 7), "ok"),
        (answer(429, "30"), Health("throttled", 30), "ok"),
        (answer(429), Health("throttled", 60), "ok"),
        (NotSent(Cause.NETWORK, "refused", 1), Health("failed"), "failed"),
        (NotSent(Cause.TIMEOUT, "no connection", 1), Health("failed"), "failed"),
        (NotSent(Cause.BUSY, "of ours", 1), Health("none"), "none"),
        (NotSent(Cause.REFUSED, "inner address", 1), Health("none"), "none"),
        (NotSent(Cause.INVALID, "no url", 1), Health("none"), "none"),
        (Unclear(Cause.TIMEOUT, "slow", 1), Health("failed"), "none"),
        (Unclear(Cause.NETWORK, "reset", 1), Health("failed"), "none"),
    ],
    ids=repr,
)
async def test_what_a_delivery_says_of_endpoint_and_host(make_ctx, ended, endpoint, host) -> None:
    """One endpoint's answers never tell against the others of its host; trouble of ours against nobody."""
    ctx = make_ctx()
    tell_health(ctx, ended)
    assert ctx["health"] == {"": endpoint, "host": Health(host)}


def test_gates_name_the_host_and_nothing_else_of_a_url() -> None:
    """Paths, queries and user names may hold secrets; endpoints are told apart by a digest."""
    one, two = ({"url": f"https://u:pw@Hooks.example:8443/{path}?key=secret"} for path in "ab")
    assert HOST.gate("t", one) == HOST.gate("t", two) == "host:hooks.example:8443"
    assert ENDPOINT.gate("t", one) != ENDPOINT.gate("t", two)
    assert ENDPOINT.gate("t", one).startswith("endpoint:hooks.example:8443#")
    assert HOST.gate("t", {"url": "http://[bad"}) == "host:"


class Receiver:
    """A receiver that answers as told, and notes when what path was asked for."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.answers: dict[str, bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.paths.append(path)
        writer.write(self.answers.get(path, b"HTTP/1.1 204 No Content\r\n") + b"connection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    told = Receiver()
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    yield told, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


@pytest.fixture
def webhooks(redis_url: str) -> Runner:
    settings = Settings(
        redis=RedisGroup(url=redis_url),
        worker=WorkerGroup(grace=0),
        webhooks=WebhooksGroup(allow=("127.0.0.0/8",)),
        tasks=(),
    )
    return Runner(settings, tasks=[send_webhook])


async def test_one_429_holds_up_all_webhooks_to_that_endpoint_and_no_other(
    webhooks: Runner, receiver: tuple[Receiver, str], wait_until: Callable[..., Any]
) -> None:
    """Over two workers; those that wait have spent no attempt, and another endpoint of that host goes on."""
    told, url = receiver
    told.answers["/busy"] = b"HTTP/1.1 429 No\r\nretry-after: 1000\r\ncontent-length: 0\r\n"
    key = ENDPOINT.gate("t", {"url": url + "/busy"})
    async with webhooks.worker(), webhooks.worker():
        await webhooks.enqueue(send_webhook, url + "/busy", {})
        await wait_until(lambda: webhooks.client.execute("EXISTS", KEYS.gate(key)), "the endpoint is paused")
        late = [await webhooks.enqueue(send_webhook, url + "/busy", {}) for _ in range(20)]
        assert (await (await webhooks.enqueue(send_webhook, url + "/well", {})).result(30)).status == 204

        async def all_wait() -> bool:
            infos = [await job.info() for job in late]
            return all(info.attempts == 0 and info.state in ("scheduled", "ready") for info in infos)

        await wait_until(all_wait, "the others wait, no attempt spent")
        [state] = [each for each in await webhooks.limits.states(key) if each.queue == "default"]
        assert state.state == "paused"
        assert 900 < state.closed_for_s <= 1000
    assert told.paths.count("/busy") == 1


async def test_an_endpoint_that_fails_is_left_alone(
    webhooks: Runner, receiver: tuple[Receiver, str], wait_until: Callable[..., Any]
) -> None:
    """Of 200 webhooks to an endpoint that answers 500 ten reach it; the others have spent nothing."""
    told, url = receiver
    told.answers["/ill"] = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n"
    key = ENDPOINT.gate("t", {"url": url + "/ill"})
    async with webhooks.worker():
        for _ in range(10):
            await webhooks.enqueue(send_webhook, url + "/ill", {})

        async def is_open() -> bool:
            return any(each.state == "open" for each in await webhooks.limits.states(key))

        await wait_until(is_open, "its gate opens")
        late = [await webhooks.enqueue(send_webhook, url + "/ill", {}) for _ in range(190)]
        assert (await (await webhooks.enqueue(send_webhook, url + "/well", {})).result(30)).status == 204
        infos = [await job.info() for job in late]
    assert told.paths.count("/ill") == 10
    assert {(info.attempts, info.state) for info in infos} == {(0, "ready")}
