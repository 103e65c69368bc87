"""The scripts of people who look after queues: what they count, name, change and leave alone."""

from typing import Any

import pytest
from redis.asyncio import Redis

from runner.wire.keys import Keys
from runner.wire.queue_scripts import Change, QueueScripts


@pytest.fixture
def looks(redis: Redis, keys: Keys) -> Any:
    return QueueScripts(redis.execute_command)


async def test_a_standing_counts_every_job_once(desk: Any, looks: Any) -> None:
    """Ready, scheduled, running; one whose worker died is ready again, a stock worker's lease runs."""
    await desk.enqueue("lost")
    await desk.claim("dead", lease_ms=10)
    desk.now_ms += 11
    await desk.redis.delete(desk.keys.lease("lost"))
    await desk.enqueue("runs")
    await desk.claim("alive", limit=1, is_idle=False)  # takes `lost` back: the first by due
    await desk.enqueue("stock", "waits")
    await desk.redis.set(desk.keys.lease("stock"), "1", px=60_000)
    await desk.enqueue("later", delay_ms=5_000)
    await desk.redis.zadd(desk.keys.dead, {"d": 1})
    standing = await looks.standing(desk.keys, now_ms=desk.now_ms + 7)
    assert (standing.ready, standing.scheduled, standing.running, standing.dead) == (2, 1, 2, 1)
    assert standing.ready_since_ms == desk.now_ms
    await desk.let_lease_end("lost")
    standing = await looks.standing(desk.keys, now_ms=desk.now_ms)
    assert (standing.ready, standing.scheduled, standing.running) == (4, 0, 1)


async def test_an_empty_queue_stands_at_nothing(desk: Any, looks: Any) -> None:
    """No first job, no pause."""
    standing = await looks.standing(desk.keys, now_ms=desk.now_ms)
    assert standing == (desk.now_ms, 0, 0, 0, 0, 0, -1, 0, b"", 0)


async def test_nothing_of_a_paused_queue_is_claimed(desk: Any, looks: Any) -> None:
    """By any worker, idle or not; what runs is renewed and finished; resumed, all of it starts."""
    await desk.enqueue("runs")
    job = await desk.claim_one("t")
    await desk.enqueue("a", "b")
    assert await looks.pause(desk.keys, by="ann", now_ms=desk.now_ms) is True
    assert await looks.pause(desk.keys, by="bob", now_ms=desk.now_ms + 1) is False
    standing = await looks.standing(desk.keys, now_ms=desk.now_ms)
    assert (standing.paused_at_ms, standing.paused_by) == (desk.now_ms, b"ann")
    for is_idle in (False, True):
        claim = await desk.claim(is_idle=is_idle)
        assert (claim.jobs, claim.more, claim.isolate) == ([], False, False)
    assert await desk.renew(("runs", "t")) == []
    assert await desk.finish(job, "t", "done", 0) == 1
    assert await looks.resume(desk.keys) is True
    assert await looks.resume(desk.keys) is False
    assert [each.job_id for each in (await desk.claim()).jobs] == ["a", "b"]


async def test_a_claim_whose_answer_was_lost_gives_its_jobs_back_to_a_paused_queue(
    desk: Any, looks: Any
) -> None:
    """They had not started; they wait like the others, and no attempt is spent."""
    await desk.enqueue("a")
    await desk.claim("t")
    await looks.pause(desk.keys, by="ann")
    assert (await desk.claim("t", is_resent=True)).jobs == []
    picture = await desk.picture()
    assert "running" not in picture
    assert "lease:a" not in picture
    await looks.resume(desk.keys)
    assert (await desk.claim_one("u")).attempt == 1


async def test_a_worker_that_isolates_is_let_go_while_its_queue_is_paused(desk: Any, looks: Any) -> None:
    """Else it would stay idle for suspects that may not start, and serve no other queue."""
    await desk.redis.zadd(desk.keys.suspects, {"s": 1})
    assert (await desk.claim()).isolate is True
    await looks.pause(desk.keys, by="ann")
    assert (await desk.claim()).isolate is False


async def test_resuming_is_news_for_idle_workers(desk: Any, looks: Any) -> None:
    """The queue changes for a moment, which is what they are told of; nothing is left of that."""
    await desk.enqueue("a")
    before = await desk.picture()
    await looks.pause(desk.keys, by="ann")
    pubsub_id = await desk.redis.client_id()
    changes = desk.redis.pubsub()
    assert pubsub_id
    await desk.redis.config_set("notify-keyspace-events", "Kz")
    try:
        database = desk.redis.connection_pool.connection_kwargs["db"]
        await changes.subscribe(f"__keyspace@{database}__:{desk.keys.queue}")
        await changes.get_message(timeout=5)
        await looks.resume(desk.keys)
        assert (await changes.get_message(timeout=5))["data"] == b"zadd"
    finally:
        await desk.redis.config_set("notify-keyspace-events", "")
        await changes.aclose()
    assert await desk.picture() == before


async def test_pages_follow_each_other_without_gap_or_repeat(desk: Any, looks: Any) -> None:
    """Jobs of one due are in order of their ids; one that left between two pages costs no other its turn."""
    ids = [f"j{n:02}" for n in range(25)]
    await desk.enqueue(*ids)
    await desk.enqueue("later", delay_ms=1)
    seen: list[str] = []
    after = ("", "")
    while True:
        _, page = await looks.page(desk.keys, until_ms=desk.now_ms, after=after, limit=10)
        if not page:
            break
        seen += [job.job_id.decode() for job in page]
        after = (page[-1].due_ms.decode(), page[-1].job_id.decode())
        await desk.redis.zrem(desk.keys.queue, page[-1].job_id)
    assert seen == ids
    at_ms, page = await looks.page(desk.keys, since_ms=desk.now_ms + 1, now_ms=desk.now_ms)
    assert (at_ms, [job.job_id for job in page]) == (desk.now_ms, [b"later"])


async def test_a_row_says_what_the_keys_of_a_job_say(desk: Any, looks: Any) -> None:
    """A large payload is cut; a job that is not there is a row without due."""
    await desk.enqueue("big", payload=b"x" * 40_000)
    job = await desk.claim_one("t")
    await desk.finish(job, "t", "later", 5_000, note="its limit")
    at_ms, [big, gone] = await looks.rows(desk.keys, [b"big", b"gone"], now_ms=desk.now_ms)
    assert at_ms == desk.now_ms
    assert (len(big.head), big.size, big.attempts, big.is_leased, big.waits_for) == (
        16_384, 40_000, b"0", 0, b"its limit",
    )  # fmt: skip
    assert (gone.due_ms, gone.size, gone.entry) == (None, 0, None)


async def test_hastening_makes_a_waiting_job_due(desk: Any, looks: Any) -> None:
    """At once, and twice is like once; its place in a rate's line is given up with the wait for it."""
    await desk.enqueue("a")
    job = await desk.claim_one("t")
    await desk.finish(job, "t", "later", 60_000, result=b"1", note="its limit")
    for _ in range(2):
        assert await looks.hasten(desk.keys, "a", now_ms=desk.now_ms) == Change.DONE
    assert (await desk.picture())["queue"] == {"a": desk.now_ms}
    assert (await desk.claim_one("u")).has_turn is False
    before = await desk.picture()
    assert await looks.hasten(desk.keys, "a", now_ms=desk.now_ms) == Change.RUNS
    assert await looks.hasten(desk.keys, "never", now_ms=desk.now_ms) == Change.MISSING
    assert await desk.picture() == before


async def test_a_payload_is_replaced_only_as_it_was_read(desk: Any, looks: Any) -> None:
    """Sent twice it answers the same; a running job, another payload and none are left alone."""
    await desk.enqueue("a", payload=b"old")
    for _ in range(2):
        assert await looks.rewrite(desk.keys, "a", b"old", b"new") == Change.DONE
    assert (await desk.picture())["job:a"] == "new"
    assert await looks.rewrite(desk.keys, "a", b"old", b"newer") == Change.OTHER
    await desk.claim("t")
    before = await desk.picture()
    assert await looks.rewrite(desk.keys, "a", b"new", b"newer") == Change.RUNS
    assert await looks.rewrite(desk.keys, "never", b"", b"x") == Change.MISSING
    assert await desk.picture() == before


async def test_a_running_job_is_not_asked_when_only_waiting_ones_are_meant(desk: Any) -> None:
    """A purge that meets a job which has just started writes nothing."""
    await desk.enqueue("a", "b")
    await desk.claim("t", limit=1)
    before = await desk.picture()
    cancel = desk.scripts.cancel
    options = {"result": b"r", "keep_ms": 60_000, "only_waiting": True, "now_ms": desk.now_ms}
    assert await cancel(desk.keys, "a", **options) == 3
    assert await desk.picture() == before
    assert await cancel(desk.keys, "b", **options) == 1
