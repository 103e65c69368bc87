"""A queue of several shards is one queue to those who use it, also when shards are added under load."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import (
    Concurrency,
    Context,
    JobFailed,
    QueueFull,
    Runner,
    Settings,
    Unique,
    chord,
    task,
)
from runner.engine.sharing import ROUND_JOBS, ServedQueue, share
from runner.errors import InvalidJob
from runner.inspector import JobFilter
from runner.job import JobState
from runner.settings.model import RedisGroup, WorkerGroup
from runner.settings.queues import QueueTable
from runner.shards import Shards, whole
from runner.wire.keys import keys_of

ran: Counter[str] = Counter()
now: Counter[str] = Counter()


@task
async def note(ctx: Context, word: str) -> str:
    ran[word] += 1
    return word


@task(unique=Unique("1m", key="{word}"))
async def only(ctx: Context, word: str) -> None:
    ran[word] += 1


@task(concurrency=Concurrency("host:{host}", 2))
async def narrow(ctx: Context, host: str) -> None:
    now[host] += 1
    ran[f"most {host}"] = max(ran[f"most {host}"], now[host])
    await asyncio.sleep(0.005)
    now[host] -= 1


@task(tenant="{whose}")
async def owned(ctx: Context, whose: str) -> None: ...


@task(max_tries=1)
async def fails(ctx: Context) -> None:
    raise ValueError("no")


@task
async def total(ctx: Context, parts: list[str]) -> int:
    return len(parts)


TASKS = (note, only, narrow, owned, fails, total)


@pytest.fixture
def sharded(redis_url: str) -> Any:
    ran.clear()
    now.clear()

    def make(shards: int, **table: Any) -> Runner:
        redis = RedisGroup(url=redis_url, key_layout="tagged")
        worker = WorkerGroup(grace=1.0, queues={"default": 1, "bulk": 1})
        queues = {"default": QueueTable(shards=shards, **table)}
        return Runner(Settings(redis=redis, tasks=(), worker=worker, queues=queues), tasks=TASKS)

    return make


async def used(runner: Runner, name: str = "default") -> list[int]:
    """How many jobs wait in each shard."""
    return [each.waiting for each in await runner.inspector.by_shard(name)]


@pytest.mark.parametrize("seed", range(3))
async def test_shards_are_added_under_load(sharded: Any, seed: int) -> None:
    """1, 2, 5 while old workers and clients go on: all jobs run once, and keys made with fewer are known."""
    rng, words, keyed, held = random.Random(seed), set[str](), list[str](), list[str]()

    async def load(runner: Runner, phase: int, known_keyed: list[str], known_held: list[str]) -> None:
        for number in range(60):
            word = f"{phase}-{number}"
            words.add(word)
            kind = rng.choice(("plain", "keyed", "many", "held"))
            if kind == "plain":
                await runner.enqueue(note, word)
            elif kind == "keyed":
                await runner.enqueue(note.using(key=word), word)
                known_keyed.append(word)
            elif kind == "many":
                await runner.enqueue_many([note.call(word)], bulk_id=word)
            else:
                await runner.enqueue(only.using(delay=0.7), word)
                known_held.append(word)
            if known_keyed and (again := rng.choice(known_keyed)):
                assert (await runner.enqueue(note.using(key=again), again)).disposition == "duplicate"
            if known_held and (again := rng.choice(known_held)):
                assert (await runner.enqueue(only, again)).disposition == "duplicate"

    first, second, third = (sharded(count) for count in (1, 2, 5))
    async with first.worker():
        await load(first, 0, keyed, held)
        async with second.worker():
            older = list(keyed), list(held)
            await asyncio.gather(load(second, 1, keyed, held), load(first, 2, *older))
            async with third.worker():
                await load(third, 3, keyed, held)
                await third.queues.drain("default", scheduled=True, sleep=lambda _: asyncio.sleep(0.02))
    assert set(ran) == words
    assert not {word: count for word, count in ran.items() if count > 1}


async def test_a_queue_of_shards_is_one_queue(sharded: Any) -> None:
    """Jobs lie in all shards; status, result, cancel, lists, purge, pause and dead letters know one queue."""
    runner = sharded(4)
    async with runner:
        jobs = [await runner.enqueue(note, f"w{n}") for n in range(40)]
        assert all(count > 0 for count in await used(runner))
        found = await runner.inspector.find(queue="default", limit=100)
        assert {row.id for row in found.jobs} == {job.id for job in jobs}
        assert {whole(row.queue) for row in found.jobs} == {"default"}
        pages, cursor = list[str](), ""
        while cursor or not pages:
            page = await runner.inspector.jobs("default", "ready", cursor=cursor, limit=7)
            pages, cursor = pages + [row.id for row in page.jobs], page.cursor
        assert sorted(pages) == sorted(job.id for job in jobs)
        [standing, _] = await runner.inspector.queues()
        assert (standing.queue, standing.ready) == ("default", 40)
        assert await runner.queues.pause("default")
        handle = runner.job(jobs[0].id)
        assert (await handle.info()).queue == "default"
        assert "paused" in str(await runner.explain(jobs[0].id))
        assert await handle.cancel()
        assert await handle.status() is JobState.CANCELLED
        assert await runner.queues.resume("default")
        tally = await runner.queues.purge("default", JobFilter(text=jobs[1].id))
        assert (tally.looked, tally.done) == (39, 1)
        dying = [await runner.enqueue(fails) for _ in range(8)]
        async with runner.worker():
            assert await runner.job(jobs[2].id).result(timeout=30) == "w2"
            for job in dying:
                with pytest.raises(JobFailed):
                    await runner.job(job.id).result(timeout=30)
            flow = await runner.start(chord([note.call(f"n{n}") for n in range(8)], total.call()))
            assert await flow.result(timeout=30) == 8
        letters = (await runner.dead.find(queue="default")).letters
        assert {letter.id for letter in letters} == {job.id for job in dying}
        assert [(each.queue, each.count) for each in await runner.dead.standings("default")] == [
            ("default", 8)
        ]
        await runner.dead.replay(letters[0].id)
        assert (await runner.dead.replay_many(queue="default")).done == 7
        assert sum(await used(runner)) == 8
        assert (await runner.queues.retry(dying[0].id)) is JobState.READY


async def test_limits_count_the_whole_queue(sharded: Any) -> None:
    """Jobs under one concurrency limit lie together; others of the queue do not care."""
    runner = sharded(4)
    async with runner, runner.worker():
        jobs = [await runner.enqueue(narrow, host) for host in "abc" for _ in range(8)]
        await asyncio.gather(*(job.result(timeout=30) for job in jobs))
    assert [ran[f"most {host}"] for host in "abc"] == [2, 2, 2]


async def test_bounds_count_the_whole_queue(sharded: Any) -> None:
    """max_waiting and max_per_tenant are of the queue, not of a shard."""
    async with sharded(4, max_waiting=10) as runner:
        for n in range(10):
            await runner.enqueue(note, f"w{n}")
        with pytest.raises(QueueFull, match="10 jobs wait"):
            await runner.enqueue(note, "one too many")
        with pytest.raises(QueueFull, match="0 of 3 calls"):
            await runner.enqueue_many(note.call(f"m{n}") for n in range(3))
        await runner.queues.purge("default")
        with pytest.raises(QueueFull, match="10 of 30 calls"):
            await runner.enqueue_many(note.call(f"m{n}") for n in range(30))
        assert sum(await used(runner)) == 10
        await runner.queues.purge("default")
    async with sharded(4, max_per_tenant=5) as runner:
        for _ in range(5):
            await runner.enqueue(owned, "acme")
        with pytest.raises(QueueFull, match="tenant has 5 jobs"):
            await runner.enqueue(owned, "acme")
        await runner.enqueue(owned, "other")


async def test_a_full_queue_waits_for_room_in_any_shard(sharded: Any, wait_until: Any) -> None:
    """when_full = wait: the next comes in as soon as a job of whichever shard has gone."""
    async with sharded(3, max_waiting=3, when_full="wait", wait=30.0) as runner:
        jobs = [await runner.enqueue(note, f"w{n}") for n in range(3)]
        coming = asyncio.create_task(runner.enqueue(note, "next"))
        rooms = runner.client._intake._rooms
        await wait_until(lambda: rooms and rooms["default"].is_awaited, "it waits for room")
        assert not coming.done()
        await jobs[1].cancel()
        await asyncio.wait_for(coming, 30)


async def test_a_shard_is_no_queue_to_enqueue_into(sharded: Any) -> None:
    """Where a job goes is decided in one place; what asks for one shard by its name may read it."""
    with pytest.raises(InvalidJob, match="names a shard"):
        note.using(queue="default~1")
    async with sharded(3) as runner:
        await runner.enqueue_many(note.call(f"{n}") for n in range(30))
        rows = (await runner.inspector.jobs("default~1", "ready")).jobs
        assert 0 < len(rows) < 30
        assert await runner.job(rows[0].id, queue="default~1").status() is JobState.READY


def test_shards_that_are_added_take_only_their_share() -> None:
    """From k to k + 1 one in k + 1 words goes elsewhere, and always to the new shard."""
    ids = [f"id{n}" for n in range(3000)]
    for count in (1, 2, 5, 15):
        before, after = Shards({"q": count}), Shards({"q": count + 1})
        moved = [i for i in ids if before.place("q", i) != after.place("q", i)]
        assert {after.place("q", i) for i in moved} == {f"q~{count}"}
        assert abs(len(moved) / len(ids) - 1 / (count + 1)) < 0.05


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.integers(1, 120))
def test_no_shard_waits_for_ever(backlogs: list[int], slots: int) -> None:
    """Whatever each holds, all of it is claimed, and a shard waits for no more rounds than there are."""
    shards = [ServedQueue(keys_of(at, "tagged"), 1) for at in Shards({"q": len(backlogs)}).of("q")]
    left = {each.keys.at: jobs for each, jobs in zip(shards, backlogs, strict=True)}
    last, number = Counter[str](), 0
    while any(each.may_have_due for each in shards):
        number += 1
        quotas = share(shards, slots, strict=False)
        assert 0 < sum(quotas.values()) <= min(slots, ROUND_JOBS)
        for each in shards:
            if quota := quotas.get(each.keys.at, 0):
                took = min(quota, left[each.keys.at])
                left[each.keys.at] -= took
                each.has_more = each.may_have_due = took == quota
                each.claimed_in = last[each.keys.at] = number
            elif each.may_have_due:
                assert number - last[each.keys.at] <= len(shards)
    assert sum(left.values()) == 0
