"""The door that reads: pages, search, one job, workers; its cost does not grow with the queue."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis

from runner import Runner, Settings, task
from runner.errors import UnknownJob, UnknownQueue
from runner.inspector import Inspector, JobFilter
from runner.inspector.pages import STATES
from runner.wire import codec
from runner.wire.keys import PARKED, WORKERS, keys_of, worker
from runner.wire.scripts import Entry, Scripts

KEYS = keys_of("default")


@task
async def pay(ctx: Any, order: str, cents: int) -> None: ...


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[Runner]:
    made = Runner(Settings(redis={"url": redis_url}), tasks=[pay])  # type: ignore[arg-type]
    async with made:
        yield made


async def put(redis: Redis, *ids: str, name: str = "pay", delay_ms: int = 0, payload: bytes = b"") -> None:
    given = payload or codec.encode_job(name, ("o-1", 5), {}, 1_700_000_000_000, codec.Meta())
    entries = [Entry(job_id, 0, delay_ms, given) for job_id in ids]
    await Scripts(redis.execute_command).enqueue(KEYS, entries)


async def test_a_reading_goes_through_all_lists_page_by_page(runner: Runner, redis: Redis) -> None:
    """Running, ready, scheduled of every queue; each job once, whatever the size of a page."""
    await put(redis, *(f"r{n}" for n in range(3)))
    await Scripts(redis.execute_command).claim(KEYS, token="t", worker="a worker", limit=3, lease_ms=60_000)
    await put(redis, *(f"w{n}" for n in range(7)))
    await put(redis, *(f"s{n}" for n in range(5)), delay_ms=60_000)
    for limit in (1, 4, 100):
        seen: list[tuple[str, str]] = []
        cursor = ""
        while True:
            page = await runner.inspector.find(cursor=cursor, limit=limit)
            seen += [(job.id, job.state.value) for job in page.jobs]
            cursor = page.cursor
            if not cursor:
                break
        expected = [(f"r{n}", "running") for n in range(3)] + [(f"w{n}", "ready") for n in range(7)]
        assert sorted(seen[:3]) + seen[3:] == expected + [(f"s{n}", "scheduled") for n in range(5)]


async def test_running_jobs_come_in_steps_of_the_server(runner: Runner, redis: Redis) -> None:
    """Too many for one step: none is left out, and what waits comes behind them."""
    await put(redis, *(f"r{n}" for n in range(500)))
    await put(redis, *(f"s{n}" for n in range(200)))
    for token in "tu":
        await Scripts(redis.execute_command).claim(KEYS, token=token, worker="w", limit=500, lease_ms=60_000)
    await put(redis, "waits")
    seen: list[str] = []
    page = await runner.inspector.find(limit=10_000, look=10_000)
    seen += [job.id for job in page.jobs]
    assert (len(set(seen)), seen[-1], page.cursor) == (701, "waits", "")


async def test_a_running_job_names_its_worker(runner: Runner, redis: Redis) -> None:
    """Who, and since when by the server's clock."""
    await put(redis, "a")
    claim = await Scripts(redis.execute_command).claim(
        KEYS, token="t", worker="a worker", limit=1, lease_ms=60_000
    )
    [job] = (await runner.inspector.jobs("default", "running")).jobs
    assert (job.worker, job.task, job.args) == ("a worker", "pay", ["o-1", 5])
    assert abs((job.started_at_ms or 0) - claim.now_ms) <= 1
    detail = await runner.inspector.job("a")
    assert (detail.worker, detail.info.state, detail.why) == ("a worker", "running", "")


async def test_a_search_is_bounded_and_goes_on(runner: Runner, redis: Redis) -> None:
    """It looks at as many jobs as it may, and says where it stopped, found or not."""
    await put(redis, *(f"j{n:03}" for n in range(250)))
    await put(redis, "needle", name="refund")
    page = await runner.inspector.find(JobFilter(task="ref*"), look=200)
    assert (page.jobs, page.looked) == ([], 200)
    page = await runner.inspector.find(JobFilter(task="ref*", text="NEEDLE"), cursor=page.cursor, look=200)
    assert [job.id for job in page.jobs] == ["needle"]
    assert page.cursor == ""


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_jobs_in_lanes_are_ready_ones(runner: Runner, redis: Redis, limit: int) -> None:
    """They stand far behind all others; lists tell them among what is ready, with the due they have."""
    await put(redis, "a", "b", "lane1", "lane2")
    await put(redis, "later", delay_ms=60_000)
    at_ms = int((await redis.time())[0]) * 1000
    await redis.zadd(KEYS.queue, {"lane1": PARKED + at_ms - 2, "lane2": PARKED + at_ms - 1})
    seen: dict[str, list[str]] = {}
    for state in ("ready", "scheduled"):
        cursor = ""
        while True:
            page = await runner.inspector.find(
                JobFilter(task="pay"), queue="default", state=state, cursor=cursor, limit=limit
            )
            seen.setdefault(state, []).extend(job.id for job in page.jobs)
            assert all(job.state == state and (job.due_at_ms or 0) < PARKED for job in page.jobs)
            cursor = page.cursor
            if not cursor:
                break
    assert seen == {"ready": ["a", "b", "lane1", "lane2"], "scheduled": ["later"]}
    queue = await runner.inspector.queue("default")
    assert (queue.ready, queue.scheduled) == (4, 1)


async def test_what_a_page_costs_does_not_grow_with_the_queue(runner: Runner, redis: Redis) -> None:
    """Ten or ten thousand jobs: the same commands, none of them over the keyspace."""
    sent: list[str] = []

    async def execute(*command: Any) -> Any:
        sent.append(str(command[0]))
        return await runner.client.execute(*command)

    inspector = Inspector(execute, info=runner.client.info, queues=["default"])

    async def ask() -> int:
        sent.clear()
        await inspector.overview()
        for state in STATES:
            await inspector.jobs("default", state, limit=50)
        return len(sent)

    await put(redis, *(f"few{n}" for n in range(200)))
    await ask()  # loads the scripts
    before = await ask()
    for part in range(20):
        await put(redis, *(f"p{part}-{n}" for n in range(500)), payload=b"{}")
    assert (await ask(), {"KEYS", "SCAN"} & set(sent)) == (before, set())
    assert before < 20


async def test_a_plain_arq_queue_can_be_read(runner: Runner, redis: Redis, arq_pool: ArqRedis) -> None:
    """Payloads that are pickles give their task and are not loaded; a stock worker's lease is seen."""
    job = await arq_pool.enqueue_job("send_mail", "ann@example.com", text="f")
    assert job is not None
    await redis.set(KEYS.lease("held"), "1", px=60_000)
    await arq_pool.enqueue_job("busy", _job_id="held", _defer_by=-1)
    listed = {row.id: row for row in (await runner.inspector.find()).jobs}
    assert (listed[job.job_id].task, listed[job.job_id].args) == ("send_mail", None)
    [queue] = [each for each in await runner.inspector.queues() if each.queue == "default"]
    assert (queue.ready, queue.running) == (1, 1)
    detail = await runner.inspector.job(job.job_id)
    assert "pickle" in detail.unreadable
    assert detail.info.state == "ready"


async def test_a_job_says_why_it_waits(runner: Runner, redis: Redis) -> None:
    """Paused, a limit, an attempt that failed, or only its time; dead ones why they died."""
    await put(redis, "a")
    assert "free slot" in (await runner.inspector.job("a")).why
    await runner.queues.pause("default")
    assert "paused" in (await runner.inspector.job("a")).why
    await runner.queues.resume("default")
    await put(redis, "later", delay_ms=60_000)
    assert (await runner.inspector.job("later")).why == "it is due later"
    await redis.hset(KEYS.record("later"), "w", "rate limit stripe")  # type: ignore[misc]
    assert (await runner.inspector.job("later")).why == "rate limit stripe"
    note = json.dumps({"n": 1, "task": "pay", "error": {"type": "E", "message": "m"}})
    fields = {"reason": "max_tries", "attempts": "1", "at": "5", "note": note}
    await redis.hset(KEYS.dead_letter("d"), mapping=fields)  # type: ignore[misc]
    await redis.zadd(KEYS.dead, {"d": 5})
    dead = await runner.inspector.job("d")
    assert (dead.why, dead.args) == ("max_tries: all attempts are spent", None)
    [row] = (await runner.inspector.jobs("default", "dead")).jobs
    assert (row.state, row.reason, row.error) == ("dead", "max_tries", "E: m")


async def test_dead_letters_are_counted_by_how_they_died(runner: Runner, redis: Redis) -> None:
    """Queue, task, reason, error and host; bounded, and it says whether it saw all."""
    for n in range(150):
        is_down = n % 3 == 0
        url = f"https://{'down' if is_down else 'slow'}.example.com/{n}"
        note = json.dumps({"n": 1, "error": {"type": "httpx.ConnectError" if is_down else "TimeoutError"}})
        payload = codec.encode_job("pay", (url, 5), {}, 5, codec.Meta())
        fields = {"reason": "max_tries", "attempts": "1", "at": str(n), "note": note, "payload": payload}
        await redis.hset(KEYS.dead_letter(f"d{n}"), mapping=fields)  # type: ignore[misc]
        await redis.zadd(KEYS.dead, {f"d{n}": n})
    found = await runner.inspector.dead_groups()
    assert [(group.host, group.error, group.count, group.newest_id) for group in found.groups] == [
        ("slow.example.com", "TimeoutError", 100, "d149"),
        ("down.example.com", "httpx.ConnectError", 50, "d147"),
    ]
    assert (found.looked, found.is_all) == (150, True)
    some = await runner.inspector.dead_groups(queue="default", look=30)
    assert (sum(group.count for group in some.groups), some.looked, some.is_all) == (30, 30, False)


async def test_a_job_that_ended_says_its_queue_and_arguments(runner: Runner, redis: Redis) -> None:
    """Out of its result, although the queues of the classic layout share one name for it."""
    job = await runner.enqueue(pay.using(key="k", queue="bulk"), "o-1", 5)
    await job.cancel()
    detail = await runner.inspector.job("k")
    assert (detail.info.state, detail.info.queue, detail.args) == ("cancelled", "bulk", ["o-1", 5])


async def test_what_is_not_there_is_said(runner: Runner) -> None:
    """A job, a queue, a list, a cursor."""
    with pytest.raises(UnknownJob, match="no job 'x' in the queues critical, default, bulk"):
        await runner.inspector.job("x")
    with pytest.raises(UnknownQueue, match="'nope'"):
        await runner.inspector.queue("nope")
    with pytest.raises(ValueError, match="no list of 'succeeded' ones"):
        await runner.inspector.jobs("default", "succeeded")
    for cursor in ("x", "default/ready/x//", "bulk/ready/5//"):
        with pytest.raises(ValueError, match="cursor"):
            await runner.inspector.jobs("default", "ready", cursor=cursor)
    with pytest.raises(ValueError, match="cursor"):
        await runner.inspector.find(cursor="nope/ready/5//")


async def test_workers_say_what_they_do(runner: Runner, redis: Redis) -> None:
    """The living add up; one whose record is gone is told as gone, and rubbish counts as nothing."""
    said = {
        "queues": {"default": 3},
        "tasks": ["pay"],
        "max_jobs": 10,
        "running": 4,
        "completed": 7,
        "new": 1,
    }
    await redis.set(worker("b"), json.dumps(said))
    await redis.set(worker("c"), b"\xff[")
    await redis.zadd(WORKERS, {"a": 1, "b": 2, "c": 3})
    overview = await runner.inspector.overview()
    assert [(each.name, each.is_alive) for each in overview.workers] == [
        ("b", True),
        ("c", True),
        ("a", False),
    ]
    assert overview.workers[0].more == {"new": 1}
    totals = overview.totals
    assert (totals.workers, totals.slots, totals.running, totals.completed) == (2, 10, 4, 7)
