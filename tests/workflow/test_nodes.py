"""Nodes are jobs like any: limits, placements and ends that no worker writes, each known to the workflow."""

import asyncio
import importlib
import json
import signal
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from jobs.webhook import send_webhook
from runner import (
    Concurrency,
    Context,
    GiveUp,
    InvalidArguments,
    NodeOutcome,
    Results,
    Runner,
    Settings,
    WorkflowFailed,
    chain,
    chord,
    group,
    task,
)
from runner.settings.model import RedisGroup, WorkerGroup
from runner.wire.keys import keys_of

KEYS = keys_of("default")
LANED = KEYS.here + "laned"


class Room:
    """How many calls are in it, the most there ever were, and the order they came in."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.came: list[str] = []

    async def stay(self, name: str) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        self.came.append(name)
        await asyncio.sleep(0)
        self.now -= 1
        return name


room = Room()


@task
async def host(ctx: Context, name: str) -> str:
    return name


@task(concurrency=Concurrency("host:{name}", 2))
async def visit(ctx: Context, name: str) -> str:
    return await room.stay(name)


@task
async def plain(ctx: Context, name: str) -> str:
    return await room.stay(name)


@pytest.fixture
def make(redis_url: str) -> Callable[..., Runner]:
    def runner(*tasks: Any) -> Runner:
        room.__init__()
        settings = Settings(redis=RedisGroup(url=redis_url), worker=WorkerGroup(grace=0), tasks=())
        return Runner(settings, tasks=tasks)

    return runner


async def test_nodes_keep_the_limits_and_lanes_of_their_tasks(make: Any, redis: Redis) -> None:
    """Gates and priority hold for nodes: known arguments put them into their lane at once, a result later."""
    runner = make(host, visit, plain)
    async with runner:
        both = chain(host.call("a"), group([visit.call()] * 6))
        flow = await runner.start(group([visit.call("a") for _ in range(6)]))
        later = await runner.start(both)
        first = await runner.start(plain.using(priority=0, tenant="t").call("first"))
        laned = await runner.client.execute("HKEYS", LANED)
        assert {key.decode().partition(":")[0] for key in laned} == {flow.id, first.id}
        assert await runner.client.execute("HGET", LANED, f"{first.id}:0") == b"0\x1ft"
        async with runner.worker():
            assert await flow.result(timeout=30) == ["a"] * 6
            assert await later.result(timeout=30) == ["a"] * 6
            assert await first.result(timeout=30) == "first"
    assert room.most <= 3, "two at the gate, and the one without"
    assert await redis.exists(LANED) == 0


async def test_a_process_that_knows_no_tasks_starts_workflows(make: Any) -> None:
    """The tasks in the plan are enough for a web app; what fits together is checked all the same."""
    async with make() as app:
        flow = await app.start(chain(host.call("a"), plain.call()))
    async with make(host, plain).worker():
        pass
    runner = make(host, plain)
    async with runner.worker():
        assert await runner.workflow(flow.id).result(timeout=30) == "a"


async def test_a_node_is_prepared_like_any_call(make: Any, redis: Redis) -> None:
    """A webhook in a workflow is frozen when it starts: what is stored is what is sent."""
    async with make() as app:
        await app.start(send_webhook.call("https://example.org/", {"a": 1}), id="w")
        await app.enqueue(send_webhook.using(key="k"), "https://example.org/", {"a": 1})
    node, job = [json.loads(await redis.get(KEYS.job(each)) or b"") for each in ("w:0", "k")]
    assert (node["a"], node["k"]) == (job["a"], job["k"])


@task
async def price(ctx: Context, cents: int) -> Decimal:
    if cents < 0:
        raise GiveUp("no price")
    return Decimal(cents) / 100


@task
async def add(ctx: Context, prices: Results[Decimal]) -> Decimal:
    assert not isinstance(prices, list)
    return sum([each async for each in prices], Decimal(len(prices)))


@task
async def add_some(ctx: Context, prices: Results[NodeOutcome[Decimal]]) -> list[Decimal | None]:
    return [each.value async for each in prices]


async def test_a_callback_reads_the_results_of_a_large_group_by_pages(make: Any) -> None:
    """`Results` in place of a list: typed, in order, 500 a trip, as often as wished."""
    starts: list[int] = []

    async def read(start: int) -> list[int]:
        starts.append(start)
        return list(range(start, min(start + 500, 1201)))

    pages = Results(1201, read, str)
    assert [each async for each in pages] == [str(n) for n in range(1201)]
    assert [each async for each in pages][-1] == "1200"
    assert starts == [0, 500, 1000] * 2
    runner = make(price, add, add_some, host)
    async with runner.worker():
        whole = await runner.start(chord([price.call(n) for n in (101, 202)], add.call()))
        calls = [price.call(n) for n in (1, -1, 3)]
        some = await runner.start(chord(calls, add_some.call(), error="collect"))
        assert await whole.result(timeout=30) == Decimal("5.03")
        assert await some.result(timeout=30) == [Decimal("0.01"), None, Decimal("0.03")]
        by_hand = await runner.enqueue(add, [Decimal("1.5")])  # pyright: ignore[reportArgumentType]
        assert await by_hand.result(timeout=30) == Decimal("2.5")
        with pytest.raises(InvalidArguments, match="'host' gives str, but task 'add' after it takes"):
            await runner.start(chain(host.call("a"), add.call()))


async def test_a_node_cancelled_by_hand_is_known_to_its_workflow_at_once(make: Any) -> None:
    """No worker ended it: a push wakes one that tells the workflow."""
    runner = make(host)
    async with runner.worker():
        flow = await runner.start(chain(host.using(delay=3600).call("a"), host.call()))
        assert await runner.job(f"{flow.id}:0").cancel()
        with pytest.raises(WorkflowFailed, match=r"node 0: .*cancelled"):
            await flow.result(timeout=30)


CHORD = """
import asyncio, os, signal, sys
from pathlib import Path
from runner import Context, Runner, Settings, task
from runner.settings.model import RedisGroup, WorkerGroup

log = Path(__file__).with_suffix(".log")

def noted(word):
    with log.open("a") as file:
        file.write(word + " ")

@task
async def member(ctx: Context, number: int) -> int:
    if number == 2 and not log.exists():
        noted("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    return number

@task
async def merge(ctx: Context, numbers: list[int]) -> list[int]:
    noted("merged")
    return numbers

def make(url):
    settings = Settings(redis=RedisGroup(url=url), worker=WorkerGroup(lease=1, grace=0), tasks=())
    return Runner(settings, tasks=[member, merge])

async def main():
    async with make(sys.argv[1]).worker():
        await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_a_chord_whose_worker_is_killed_calls_back_once(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the middle of the header: another worker does the rest, and the callback comes once."""
    (tmp_path / "chord_tasks.py").write_text(CHORD)
    monkeypatch.syspath_prepend(str(tmp_path))
    tasks = importlib.import_module("chord_tasks")
    runner = tasks.make(redis_url)
    async with runner:
        header = [tasks.member.call(number) for number in range(1, 6)]
        flow = await runner.start(chord(header, tasks.merge.call()))
        victim = await asyncio.create_subprocess_exec(sys.executable, tasks.__file__, redis_url)
        assert await victim.wait() == -signal.SIGKILL
        async with tasks.make(redis_url).worker():
            assert await flow.result(timeout=30) == [1, 2, 3, 4, 5]
    assert tasks.log.read_text() == "killed merged "
