"""Probes inside somebody else's app: the same answers over ASGI and over aiohttp."""

from contextlib import suppress

import httpx
import pytest
from aiohttp import web

from runner import Runner, Settings, task
from runner.embed import Probes
from runner.settings.model import RedisGroup


@task
async def fine(ctx) -> int:
    return 1


@pytest.fixture
def runner(redis_url) -> Runner:
    return Runner(Settings(redis=RedisGroup(url=redis_url), tasks=()), tasks=[fine])


def asked(app) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")


async def test_they_answer_below_any_prefix(runner):
    """The last part of the address counts, wherever it is mounted; HEAD has no body, others are not found."""
    async with runner, asked(Probes(runner)) as http:
        ready, alive = await http.get("/internal/readyz/"), await http.head("/healthz")
        metrics, scale, other = [await http.get(f"/a/b/{name}") for name in ("metrics", "scale", "secrets")]
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert (alive.status_code, alive.content) == (200, b"")
    assert "runner_server_up 1.0" in metrics.text
    assert (scale.json()["backlog"], other.status_code) == (0, 404)


async def test_a_worker_that_dies_flips_both(runner, redis, wait_until):
    """An embedded worker that stops by itself: the app lives on, and says that its jobs do not."""
    async with runner, asked(Probes(runner, needs_worker=True)) as http:
        before = await http.get("/readyz")
        with suppress(Exception):
            async with runner.worker():
                assert (await http.get("/readyz")).status_code == 200
                await redis.set("arq:queue", "no zset")
                await wait_until(lambda: runner.health.died, "the worker has stopped")
        answers = [await http.get(path) for path in ("/healthz", "/readyz")]
    assert (before.status_code, before.json()["reasons"]) == (503, ["no worker serves here"])
    assert [answer.status_code for answer in answers] == [503, 503]
    assert "has stopped" in answers[0].json()["reasons"][0]


async def test_liveness_does_not_ask_the_server(runner):
    """Before it is connected, or when the server is away, a restart would not help: alive, and not ready."""
    async with asked(Probes(runner)) as http:
        answers = [(await http.get(path)).status_code for path in ("/healthz", "/readyz", "/scale")]
    assert answers == [200, 503, 503]


async def test_they_are_routes_of_an_aiohttp_app_too(runner):
    """Below a prefix, with the runner under its typed key."""
    app = web.Application()
    app.add_routes(Probes(runner).routes("/internal"))
    app.cleanup_ctx.append(runner.cleanup_ctx)
    server = web.AppRunner(app)
    await server.setup()
    assert app[runner.app_key] is runner
    await web.TCPSite(server, "127.0.0.1", 0).start()
    host, port = server.addresses[0][:2]
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://{host}:{port}/internal/readyz")
    await server.cleanup()
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


def test_each_runner_has_an_app_key_of_its_own(runner):
    """Two runners, of two servers, live in one app."""
    other = Runner(Settings())
    app = web.Application()
    app[runner.app_key], app[other.app_key] = runner, other
    assert (app[runner.app_key], app[other.app_key]) == (runner, other)
