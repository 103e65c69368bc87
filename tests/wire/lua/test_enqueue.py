"""enqueue.lua: jobs come into being once, whole, and only when there is room."""

import itertools
from typing import Any

import pytest
from redis.asyncio import Redis

from runner.errors import QueueFull
from runner.wire.keys import keys_of
from runner.wire.scripts import MAX_BATCH, End, Entry, Scripts, Verdict


async def test_a_new_job_is_a_payload_and_a_place_in_the_queue(desk: Any) -> None:
    """Nothing but the payload and the due time is written, and neither can expire."""
    assert await desk.enqueue("a") == [True]
    assert await desk.picture() == {"queue": {"a": desk.now_ms}, "job:a": "a"}
    assert await desk.short_lived() == set()


async def test_due_is_an_instant_a_delay_or_now(desk: Any) -> None:
    """``at_ms`` wins over ``delay_ms``, which counts from the server's now."""
    await desk.enqueue("at", at_ms=5, delay_ms=7)
    await desk.enqueue("delayed", delay_ms=7)
    await desk.enqueue("now")
    assert (await desk.picture())["queue"] == {"at": 5, "delayed": desk.now_ms + 7, "now": desk.now_ms}


async def test_without_a_given_time_the_servers_clock_counts(desk: Any) -> None:
    """now_ms 0 asks TIME; no clock of a client decides when a job is due."""
    before = (await desk.redis.time())[0] * 1000
    await desk.scripts.enqueue(desk.keys, [Entry("a", 0, 3_600_000, b"a")])
    due = await desk.redis.zscore(desk.keys.queue, "a")
    assert before <= due - 3_600_000 <= (await desk.redis.time())[0] * 1000 + 1000


async def test_a_taken_id_is_left_as_it_is(desk: Any) -> None:
    """Another payload for an id that waits changes nothing and is told as not created."""
    await desk.enqueue("a", payload=b"first")
    before = await desk.picture()
    desk.now_ms += 99
    assert await desk.enqueue("a", payload=b"second") == [False]
    assert await desk.picture() == before


async def test_a_call_sent_twice_answers_the_same(desk: Any) -> None:
    """The same payload again is the same call again: created, and nothing moves."""
    assert await desk.enqueue("a", "b", delay_ms=50) == [True, True]
    before = await desk.picture()
    desk.now_ms += 99
    assert await desk.enqueue("a", "b", delay_ms=50) == [True, True]
    assert await desk.picture() == before


async def test_an_id_given_twice_in_one_call_is_made_once(desk: Any) -> None:
    """The first of two entries with one id wins."""
    entries = [Entry("a", 0, 0, b"first"), Entry("a", 0, 0, b"second"), Entry("b", 0, 0, b"b")]
    assert await desk.scripts.enqueue(desk.keys, entries, now_ms=1) == [True, False, True]
    assert await desk.picture() == {"queue": {"a": 1, "b": 1}, "job:a": "first", "job:b": "b"}


async def test_an_id_whose_result_or_dead_letter_is_kept_is_taken(desk: Any) -> None:
    """As in arq, an id is free again when its result is gone; a dead letter holds it until it is replayed."""
    await desk.redis.set(desk.keys.result("ended"), "r")
    await desk.redis.hset(desk.keys.dead_letter("dead"), "reason", "poison")
    before = await desk.picture()
    assert await desk.enqueue("ended", "dead") == [False, False]
    assert await desk.picture() == before


async def test_an_old_cancellation_does_not_meet_the_new_job(desk: Any) -> None:
    """Who asked to cancel an earlier job of this id did not mean this one."""
    await desk.redis.zadd(desk.keys.abort, {"a": 1, "other": 1})
    await desk.enqueue("a")
    assert (await desk.picture())["abort"] == {"other": 1}


async def test_the_largest_batch_is_one_call(desk: Any) -> None:
    """500 jobs, the promised most, are written by one call."""
    ids = [f"j{i}" for i in range(MAX_BATCH)]
    assert await desk.enqueue(*ids) == [True] * MAX_BATCH
    assert await desk.redis.zcard(desk.keys.queue) == MAX_BATCH


async def test_a_full_server_refuses_new_work_whole_and_can_be_drained(restartable_server: Any) -> None:
    """At maxmemory enqueue writes nothing and says QueueFull; claim, renew, progress and finish go on."""
    redis = Redis.from_url(restartable_server.url)
    scripts, keys = Scripts(redis.execute_command), keys_of("default")
    await scripts.enqueue(keys, [Entry(f"j{i}", 0, 0, b"x" * 1000) for i in range(100)])
    await scripts.enqueue(keys, [Entry("later", 0, 3_600_000, b"x")])
    await redis.config_set("maxmemory", "1")
    with pytest.raises(QueueFull, match="out of memory"):
        await scripts.enqueue(keys, [Entry("new", 0, 0, b"x"), Entry("newer", 0, 0, b"x")])
    assert await redis.exists(keys.job("new"), keys.job("newer")) == 0
    assert await redis.zscore(keys.queue, "new") is None
    claim = await scripts.claim(keys, token="t", worker="w", limit=100, lease_ms=15_000)
    assert len(claim.jobs) == 100
    leases = [(job.job_id, "t") for job in claim.jobs]
    assert await scripts.renew(keys, leases, lease_ms=15_000) == []
    assert await scripts.progress(keys, "j1", token="t", note="{}") == Verdict.WRITTEN
    assert await scripts.cancel(keys, "later", result=b"r", keep_ms=1000) == 1
    verbs = {"done": "", "dead": "failed {}", "again": "{}", "later": "", "back": ""}
    ends = [
        End(job.job_id, "t", job.fence, verb, 1000, b"r", note, 1)
        for job, (verb, note) in zip(claim.jobs, itertools.cycle(verbs.items()), strict=False)
    ]
    assert set(await scripts.finish(keys, ends)) == {Verdict.WRITTEN}
    assert await scripts.maintain(keys, cursor=0) == 0
    await redis.aclose()
