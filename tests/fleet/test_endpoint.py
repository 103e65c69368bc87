"""The parent's own port: what all of its processes say, in one answer."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner import Runner, Settings, task
from runner.fleet.endpoint import FleetEndpoint
from runner.fleet.together import together
from runner.health.endpoint import Endpoint

FIRST = """# HELP runner_claims_total attempts claimed
# TYPE runner_claims_total counter
runner_claims_total{queue="a {b} \\"c\\""} 3.0
# HELP runner_slots calls
# TYPE runner_slots gauge
runner_slots 100.0
# HELP runner_queue_ready due
# TYPE runner_queue_ready gauge
runner_queue_ready{queue="default"} 7.0
"""


@task
async def fine(ctx: Any) -> int:
    return 1


def process(place: int, **what: Any) -> Any:
    return SimpleNamespace(
        **{"place": place, "pid": 100 + place, "is_ready": True, "is_retiring": False, **what}
    )


@contextlib.asynccontextmanager
async def open_port(endpoint: Any, wait_until: Any, *arguments: Any) -> Any:
    serving = asyncio.create_task(endpoint.run(*arguments))
    await wait_until(lambda: endpoint.address, "the port is open")
    host, port = endpoint.address
    async with httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as http:
        yield http
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def fleet(redis_url: str, wait_until: Any, free_ports: Any) -> Any:
    """A parent's port, and one real worker with a port of its own in place 1."""
    given = {"redis": {"url": redis_url}, "tasks": (), "worker": {"queues": {"default": 1}, "grace": 0}}
    runner, port = Runner(Settings.model_validate(given), tasks=[fine]), free_ports(5)
    known = SimpleNamespace(processes={101: process(1)}, policy=SimpleNamespace(processes=1))
    async with runner, runner.worker():
        own = Endpoint(runner.health, host="127.0.0.1", port=port + 1)
        parents = FleetEndpoint(known, host="127.0.0.1", port=port)
        async with (
            open_port(own, wait_until, runner.client.execute),
            open_port(parents, wait_until) as http,
        ):
            yield SimpleNamespace(runner=runner, known=known, http=http)


def test_metrics_of_processes_are_told_apart_and_queues_are_told_once() -> None:
    """Samples get a label more; what everybody says of the server stays one sample."""
    second = FIRST.replace("3.0", "4.0").replace("7.0", "8.0")
    text = together({1: FIRST, 3: second})
    found = {
        (sample.name, sample.labels.get("process"), sample.labels.get("queue")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found == {
        ("runner_claims_total", "1", 'a {b} "c"'): 3,
        ("runner_claims_total", "3", 'a {b} "c"'): 4,
        ("runner_slots", "1", None): 100,
        ("runner_slots", "3", None): 100,
        ("runner_queue_ready", None, "default"): 7,
    }
    assert text.count("# TYPE runner_slots") == 1
    assert together({}) == ""


async def test_the_parent_answers_for_its_processes(fleet: Any) -> None:
    """Metrics, both probes and scale, asked of a real worker behind it."""
    await (await fleet.runner.enqueue(fine)).result(timeout=30)
    metrics, alive, ready, scale = [
        await fleet.http.get(path) for path in ("/metrics", "/healthz", "/readyz", "/scale")
    ]
    assert 'runner_attempts_total{process="1",outcome="succeeded",task="fine"} 1.0' in metrics.text
    assert 'runner_fleet_processes{state="answering"} 1' in metrics.text
    assert (alive.status_code, alive.json()) == (200, {"alive": True, "reasons": []})
    assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
    assert (scale.status_code, scale.json()["backlog"]) == (200, 0)


async def test_one_process_of_many_asks_the_server_for_the_queues(fleet: Any, wait_until: Any) -> None:
    """A scrape, and a question of an autoscaler, cost as many scripts with three processes as with one."""
    health, at = fleet.runner.health, int(fleet.http.base_url.port)
    fleet.known.processes |= {103: process(3), 104: process(4)}
    asked: list[str] = []
    execute = health._execute

    def note(*command: Any) -> Any:
        if command[0] != "EVAL":  # what EVALSHA is followed by where the server has not got the script yet
            asked.append(command[0])
        return execute()(*command)

    health._execute = lambda: note
    two, three = (Endpoint(health, host="127.0.0.1", port=at + n) for n in (3, 4))
    async with open_port(two, wait_until, None), open_port(three, wait_until, None):
        text = (await fleet.http.get("/metrics")).text
        assert asked == ["EVALSHA"]
        assert text.count("runner_queue_ready{") == 1
        assert [f'runner_slots{{process="{n}"}}' in text for n in (1, 3, 4)] == [True] * 3
        await fleet.http.get("/scale")
        assert asked == ["EVALSHA"] * 2
        fleet.known.processes[101] = process(2)  # nothing answers there
        assert 'runner_queue_ready{queue="default"} 0.0' in (await fleet.http.get("/metrics")).text
        assert (await fleet.http.get("/scale")).status_code == 200


async def test_the_parent_says_which_process_is_not_ready(fleet: Any) -> None:
    """One does not answer, one is missing; retiring ones are not asked. One that answers is alive."""
    fleet.known.policy.processes = 3
    fleet.known.processes[102] = process(2)
    fleet.known.processes[103] = process(3, is_retiring=True)
    ready, alive = await fleet.http.get("/readyz"), await fleet.http.get("/healthz")
    silent = "process 2 (pid 102) does not answer: its event loop may be blocked"
    assert (ready.status_code, ready.json()["reasons"]) == (503, [silent, "2 of 3 processes serve"])
    assert (alive.status_code, alive.json()["reasons"]) == (200, [silent])
    del fleet.known.processes[101]
    assert (await fleet.http.get("/healthz")).status_code == 503
    assert (await fleet.http.get("/scale")).status_code == 503
    fleet.known.processes[104] = process(1, is_ready=False)
    assert (await fleet.http.get("/healthz")).status_code == 200, "one is being started"
