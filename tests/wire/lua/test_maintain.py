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


async def test_a_tidy_queue_is_left_as_it_is(desk: Any) -> None:
    """Upkeep of waiting, running and dead jobs in order changes nothing, and needs no job to be there."""
    assert await desk.scripts.maintain(desk.keys, cursor=0) == 0
    await desk.enqueue("a", "b", "c")
    jobs = (await desk.claim("tok", limit=2)).jobs
    await desk.finish(jobs[0], "tok", "dead", note="failed {}")
    before = await desk.picture()
    assert await desk.scripts.maintain(desk.keys, cursor=0) == 0
    assert await desk.picture() == before
