"""maintain.lua: bounded upkeep that loses nothing."""

from typing import Any


async def test_what_a_plain_client_wrote_is_made_to_last(desk: Any) -> None:
    """Step by step every waiting job's payload and counter lose their TTL; 0 says that the end is reached."""
    ids = [f"j{i}" for i in range(25)]
    await desk.enqueue(*ids)
    for job_id in ids:
        await desk.redis.pexpire(desk.keys.job(job_id), 60_000)
        await desk.redis.set(desk.keys.retry(job_id), 1, px=60_000)
    cursors = [await desk.scripts.maintain(desk.keys, cursor=0, limit=10)]
    while cursors[-1]:
        cursors.append(await desk.scripts.maintain(desk.keys, cursor=cursors[-1], limit=10))
    assert cursors == [10, 20, 0]
    assert await desk.short_lived() == set()


async def test_cancellations_of_jobs_that_are_gone_are_dropped(desk: Any) -> None:
    """They would meet the next job of that id; those of waiting and running jobs stay."""
    await desk.enqueue("waits", delay_ms=50)
    await desk.enqueue("runs")
    await desk.claim("tok")
    await desk.redis.zadd(desk.keys.abort, {"waits": 1, "runs": 1, "gone": 1})
    await desk.scripts.maintain(desk.keys, cursor=0)
    assert set((await desk.picture())["abort"]) == {"waits", "runs"}


async def test_a_holder_of_a_job_that_a_stock_worker_ended_is_forgotten(desk: Any) -> None:
    """The entry would count as a death of the next job of that id; entries of jobs in the queue stay."""
    await desk.enqueue("a", "b")
    await desk.claim("tok")
    await desk.redis.zrem(desk.keys.queue, "a")
    await desk.scripts.maintain(desk.keys, cursor=0)
    assert list((await desk.picture())["running"]) == ["b"]


async def test_a_lease_is_no_longer_than_it_was_given_also_when_the_clock_went_back(desk: Any) -> None:
    """Or a dead worker's job waits until that hour comes again. One in order, and a stock worker's, stay."""
    seconds, us = await desk.redis.time()
    real_ms, hour_ms = seconds * 1000 + us // 1000, 3_600_000
    for job_id, token, ahead_ms in (
        ("ahead", "a.5000", hour_ms),
        ("right", "b.5000", 0),
        ("stock", "c", hour_ms),
    ):
        desk.now_ms = real_ms + ahead_ms
        await desk.enqueue(job_id)
        await desk.claim_one(token, lease_ms=5_000)
        await desk.redis.pexpire(desk.keys.lease(job_id), 5_000 + ahead_ms)
    before = (await desk.picture())["queue"]
    await desk.scripts.maintain(desk.keys, cursor=0)
    after = (await desk.picture())["queue"]
    assert real_ms < after["ahead"] <= real_ms + 10_000
    assert 0 < await desk.redis.pttl(desk.keys.lease("ahead")) <= 5_000
    assert {**after, "ahead": 0} == {**before, "ahead": 0}
    assert await desk.renew(("ahead", "a.5000")) == [], "whoever holds it keeps it"


async def test_a_tidy_queue_is_left_as_it_is(desk: Any) -> None:
    """Upkeep of waiting, running and dead jobs in order changes nothing, and needs no job to be there."""
    assert await desk.scripts.maintain(desk.keys, cursor=0) == 0
    await desk.enqueue("a", "b", "c")
    jobs = (await desk.claim("tok", limit=2)).jobs
    await desk.finish(jobs[0], "tok", "dead", note="failed {}")
    before = await desk.picture()
    assert await desk.scripts.maintain(desk.keys, cursor=0) == 0
    assert await desk.picture() == before
