"""An event loop that is blocked: who does it is said at once, and what comes too late changes nothing."""

import asyncio
import threading
import time
from typing import Any

from redis.asyncio import Redis

from runner import events, task
from runner.wire.scripts import End, Scripts, Verdict


def block_until(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


async def test_a_blocked_loop_is_told_with_its_culprit(yard: Any, caplog: Any, wait_until: Any) -> None:
    """The log has the job and its stack while it blocks, and the worker claims nothing; then an event."""
    heard: list[Any] = []
    seen: list[Any] = []

    @task
    async def blocks_the_loop(ctx: Any) -> None:
        block_until(lambda: "(blocks_the_loop) blocks it" in caplog.text)
        seen.append((worker._loop_watch.is_blocked, worker.is_claiming))

    def hear(event: Any) -> None:
        if event["task"]:  # not a pause of this machine
            heard.append(event)

    end = events.subscribe("loop.blocked", hear)
    try:
        async with yard.serving(blocks_the_loop, options={"blocked_after_s": 0.02}) as worker:
            job = await yard.put(blocks_the_loop)
            await wait_until(lambda: heard, "it is told")
            assert worker.is_claiming
    finally:
        end()
    assert seen == [(True, False)]
    told = next(record for record in caplog.records if "blocks_the_loop) blocks it" in record.getMessage())
    assert told.job_id == job
    assert f"job {job} (blocks_the_loop) blocks it" in told.getMessage()
    assert "in block_until" in told.getMessage()
    assert (heard[0]["job_id"], heard[0]["task"]) == (job, "blocks_the_loop")
    assert heard[0]["blocked_ms"] >= 20


async def test_a_loop_that_turns_is_left_alone(yard: Any, caplog: Any) -> None:
    """Busy is not blocked; without a limit there is no thread."""

    @task
    async def busy(ctx: Any) -> bool:
        for _ in range(20):
            await asyncio.sleep(0.002)
        return any(thread.name == "runner loop watch" for thread in threading.enumerate())

    for limit, is_watched in ((5, True), (0, False)):
        job = await yard.put(busy)
        await yard.drain(busy, options={"blocked_after_s": limit})
        assert (await yard.result(job))["r"] is is_watched
    assert "has not turned" not in caplog.text


async def test_a_block_that_outlasts_the_lease_loses_the_job(yard: Any, wait_until: Any) -> None:
    """Meanwhile another worker claims and ends the job; what the blocked attempt gives then is refused."""
    verdicts: list[Any] = []

    async def take_over() -> None:
        redis = Redis.from_url(yard.url)
        scripts, keys = Scripts(redis.execute_command), yard.keys
        after_ms = int(await redis.zscore(keys.queue, "j")) + 1
        await redis.delete(keys.lease("j"))
        claim = await scripts.claim(
            keys, token="other", worker="other", limit=1, lease_ms=60_000, is_idle=True, now_ms=after_ms
        )
        (mine,) = claim.jobs
        done = End("j", "other", mine.fence, "done", 60_000, b'{"s":true,"r":"fresh"}', "", mine.attempt)
        verdicts.extend(await scripts.finish(keys, [done]))
        await redis.aclose()

    @task
    async def blocks_for_long(ctx: Any) -> str:
        other = threading.Thread(target=lambda: asyncio.run(take_over()))
        other.start()
        other.join()
        return "stale"

    async with yard.serving(blocks_for_long, options={"blocked_after_s": 0}) as worker:
        await yard.put(blocks_for_long, job_id="j")
        await wait_until(lambda: verdicts and not worker._running.attempts, "both have ended")
    assert verdicts == [Verdict.WRITTEN]
    assert (await yard.result("j"))["r"] == "fresh"
