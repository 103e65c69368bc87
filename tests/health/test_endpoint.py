"""The port of a worker process, asked by a real HTTP client."""

import asyncio
import contextlib

import httpx
import pytest
from redis.exceptions import ResponseError

from runner import task
from runner.errors import MissingExtra
from runner.health.endpoint import Endpoint
from runner.health.meter import Meter
from runner.worker_parameters import worker_parameters


@task
async def fine(ctx) -> int:
    return 1


@contextlib.asynccontextmanager
async def listening(runner, wait_until):
    endpoint = Endpoint(runner.health, host="127.0.0.1", port=0)
    serving = asyncio.create_task(endpoint.run(runner.client.execute))
    await wait_until(lambda: endpoint.address, "the port is open")
    host, port = endpoint.address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as http:
        yield http
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_the_four_addresses_answer(make_runner, wait_until, samples):
    """Prometheus, the two probes of Kubernetes, and KEDA's metrics-api find what they look for."""
    runner = make_runner(fine)
    async with runner, runner.worker(), listening(runner, wait_until) as http:
        await (await runner.enqueue(fine)).result(timeout=30)
        metrics, alive, ready, scale = [
            await http.get(path) for path in ("/metrics", "/healthz", "/readyz", "/scale")
        ]
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert samples(metrics.text)['runner_attempts_total{outcome="succeeded",task="fine"}'] == 1
    assert (alive.status_code, alive.json()) == (200, {"alive": True, "reasons": []})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert scale.json()["backlog"] == 0


async def test_a_worker_that_drains_or_is_not_there_is_not_ready(make_runner, wait_until):
    """Kubernetes sends a rolling deploy on only when the new process claims."""
    runner = make_runner(fine)
    async with runner, listening(runner, wait_until) as http:
        before = await http.get("/readyz")
        async with runner.worker() as worker:
            worker.allow_pick_jobs = False
            draining = await http.get("/readyz")
        assert (await http.get("/healthz")).status_code == 200, "one that has left in order has not died"
    assert (before.status_code, before.json()["reasons"]) == (503, ["no worker serves here"])
    assert (draining.status_code, draining.json()["reasons"]) == (
        503,
        [f"worker {worker.worker_name} claims nothing: it drains"],
    )


async def test_a_worker_that_dies_inside_an_app_shows(make_runner, wait_until, redis):
    """An embedded worker that stops by itself flips liveness: the app would go on without its jobs."""
    runner = make_runner(fine)
    async with runner, listening(runner, wait_until) as http:
        with contextlib.suppress(ResponseError):
            async with runner.worker():
                await redis.set("arq:queue", "no zset")
                await wait_until(lambda: runner.health.died, "the worker stops")
        answers = [await http.get(path) for path in ("/healthz", "/readyz")]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert all("has stopped: ResponseError" in answer.json()["reasons"][0] for answer in answers)


async def test_a_port_that_is_taken_does_not_end_the_worker(make_runner, wait_until, caplog):
    """An old process may still drain behind it: a line says so, and it is tried again."""
    runner = make_runner(fine)
    async with runner, listening(runner, wait_until) as http:
        taken = Endpoint(runner.health, host="127.0.0.1", port=http.base_url.port)
        trying = asyncio.create_task(taken.run(runner.client.execute))
        await wait_until(lambda: "cannot be listened on" in caplog.text, "it says so")
        assert not trying.done()
        trying.cancel()
        await asyncio.gather(trying, return_exceptions=True)
    assert f"health.port: 127.0.0.1:{http.base_url.port}" in caplog.text


async def test_the_setting_opens_the_port(make_runner, redis_url):
    """`health.port` is all it takes, and without it a worker opens none."""
    without, with_port = make_runner(fine), make_runner(fine, health={"port": 9464, "host": "0.0.0.0"})
    beside = [worker_parameters(each, redis_url)["engine"].beside for each in (without, with_port)]
    assert [[each for each in members if isinstance(each, Endpoint)] for members in beside] == [
        [],
        [beside[1][-1]],
    ]


def test_the_missing_library_is_one_sentence(monkeypatch):
    """prometheus-client is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"metrics needs the extra 'metrics': pip install"):
        Meter((), ())
