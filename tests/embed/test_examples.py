"""What docs/examples has runs: real servers under load, ended by SIGTERM, and each example as it is told."""

import ast
import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from runner import RunnerError
from runner.arq_settings import worker_of

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
SERVERS = {
    "fastapi": ("-m", "uvicorn", "fastapi_app:app", "--uds", "SOCKET", "--log-level", "warning"),
    "aiohttp": ("-c", "import aiohttp_app as a; a.web.run_app(a.app, path='SOCKET', print=None)"),
}


async def order_until_refused(http: httpx.AsyncClient, acknowledged: set[str], name: str) -> None:
    """Place orders one after the other; those that are answered are promised."""
    number = 0
    while True:
        number += 1
        try:
            answer = await http.post(f"/orders/{name}-{number}")
        except httpx.TransportError:
            return
        if answer.status_code != 202:
            return
        acknowledged.add(answer.json()["job"])


@pytest.mark.parametrize("framework", SERVERS)
async def test_an_app_ended_under_load_loses_nothing(framework, serve, redis, wait_until):
    """SIGTERM while requests and jobs run: every order that was answered has run or waits, none is held."""
    app = await serve(*SERVERS[framework])
    acknowledged: set[str] = set()
    async with app.client() as http:
        load = [asyncio.create_task(order_until_refused(http, acknowledged, f"{each}")) for each in range(8)]
        await wait_until(lambda: len(acknowledged) > 100, "orders come in")
        app.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*load)
    code = await asyncio.to_thread(app.process.wait, 30)
    assert code in (0, -signal.SIGTERM)
    done = {key.decode().removeprefix("arq:result:") async for key in redis.scan_iter("arq:result:*")}
    waiting = {job.decode() for job in await redis.zrange("arq:queue", 0, -1)}
    assert done
    assert acknowledged - done - waiting == set()
    assert [key async for key in redis.scan_iter("arq:in-progress:*")] == []
    spent = {job: int(await redis.get(f"arq:retry:{job}") or 0) for job in waiting}
    assert [job for job, attempts in spent.items() if attempts] == []


async def test_a_lifespan_of_its_own_holds_the_runner(example, redis):
    """Starlette: the app enqueues with what its lifespan yields; outside the error says what lacks."""
    module = example("starlette_app")
    transport = httpx.ASGITransport(module.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
        async with module.lifespan(module.app) as state:
            transport.app = with_state(module.app, state)
            answer = await http.post("/orders/o-17")
        assert answer.status_code == 202
        assert await redis.zscore("arq:queue", answer.json()["job"]) is not None
        with pytest.raises(RunnerError, match="as your app's lifespan"):
            await http.post("/orders/o-18")


def with_state(app, state):
    """Give requests the state of the lifespan, as servers do."""

    async def serve(scope, receive, send):
        await app({**scope, "state": dict(state)}, receive, send)

    return serve


async def test_a_dependency_without_its_lifespan_says_so(example):
    """FastAPI: nothing is enqueued, and the error names the lifespan; so does the probe."""
    app = example("fastapi_app").app
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
        with pytest.raises(RunnerError, match="the lifespan of a mounted app does not run"):
            await http.post("/orders/o-17")
        ready = await http.get("/internal/readyz")
    assert ready.status_code == 503
    assert ["the runner is not connected" in reason for reason in ready.json()["reasons"]] == [True, False]


async def test_a_plain_arq_client_is_served(example, redis_url, capsys):
    """It enqueues to the worker inside another app and gets the result; an order twice is one job."""
    arq_client, app = example("plain_arq_client"), example("aiohttp_app")
    async with app.runner.worker():
        await arq_client.main(redis_url, "o-17")
        await arq_client.main(redis_url, "o-17")
    assert capsys.readouterr().out.splitlines() == ["o-17 is confirmed", "o-17 was enqueued before"]


async def test_an_arq_project_is_served(example, arq_pool, redis_url, monkeypatch):
    """The settings class as it stands: its hooks, its Retry, its cron jobs."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    job = await arq_pool.enqueue_job("greet", "Ann")
    settings = example("bring_your_arq_project").WorkerSettings
    worker = worker_of(type("InOurLoop", (settings,), {"handle_signals": False}), burst=True)
    await worker.main()
    await worker.close()
    assert await job.result(timeout=30) == "hello Ann"


def test_the_examples_are_short():
    """25 lines of code at most, whatever blank lines and the docstring take."""
    sizes = {}
    for path in EXAMPLES.glob("*.py"):
        told = (ast.get_docstring(ast.parse(path.read_text())) or "").count("\n") + 1
        sizes[path.name] = sum(1 for line in path.read_text().splitlines() if line.strip()) - told
    assert len(sizes) >= 5
    assert {name: size for name, size in sizes.items() if size > 25} == {}
