"""renew.lua: leases that go on, and leases that are lost."""

from typing import Any

from runner.wire.scripts import MAX_BATCH


async def test_a_renewed_lease_ends_later(desk: Any) -> None:
    """Lease and score move together; nothing else changes."""
    await desk.enqueue("a", "b")
    await desk.claim("tok")
    before = await desk.picture()
    desk.now_ms += 5_000
    await desk.redis.pexpire(desk.keys.lease("a"), 100)
    assert await desk.renew(("a", "tok")) == []
    after = await desk.picture()
    assert after.pop("queue") == {"a": desk.now_ms + 15_000, "b": before.pop("queue")["b"]}
    assert after == before
    assert 10_000 < await desk.redis.pttl(desk.keys.lease("a")) <= 15_000
    assert await desk.short_lived() == {"lease:a", "lease:b"}


async def test_a_stale_token_renews_nothing(desk: Any) -> None:
    """The lease of a job that another worker holds is told as lost and left as it is; it was no death."""
    await desk.enqueue("a", "b")
    await desk.claim("tok")
    await desk.let_lease_end("a")
    await desk.claim("thief", limit=1)
    before = await desk.picture()
    assert await desk.renew(("a", "tok")) == ["a"]
    after = await desk.picture()
    assert (before["history:a"].pop("d"), before["history:a"].pop("v")) == ("1", "tok ")
    assert (after["history:a"].pop("d"), after["history:a"].pop("v")) == ("0", "")
    assert after == before


async def test_a_lease_that_ran_out_unnoticed_goes_on(desk: Any) -> None:
    """A worker that was late, and lost nothing to anybody, keeps its job and no death is counted."""
    await desk.enqueue("a")
    await desk.claim("tok")
    await desk.let_lease_end("a")
    assert await desk.renew(("a", "tok")) == []
    assert (await desk.claim()).jobs == []
    assert (await desk.picture())["lease:a"] == "tok"


async def test_an_ended_job_is_lost(desk: Any) -> None:
    """A renewal that overtakes nothing: what has ended, or never was, gets no lease."""
    await desk.enqueue("a")
    job = await desk.claim_one("tok")
    await desk.finish(job, "tok", "done")
    assert await desk.renew(("a", "tok"), ("never", "tok")) == ["a", "never"]
    assert await desk.picture() == {}


async def test_what_a_stock_worker_took_is_lost(desk: Any) -> None:
    """While arq's own worker runs our job, and after it ended it, renewing gives it no lease of ours."""
    await desk.enqueue("a")
    await desk.claim("tok")
    await desk.redis.set(desk.keys.lease("a"), "1", px=60_000)
    assert await desk.renew(("a", "tok")) == ["a"]
    await desk.redis.zrem(desk.keys.queue, "a")
    await desk.redis.delete(desk.keys.job("a"), desk.keys.retry("a"), desk.keys.lease("a"))
    assert await desk.renew(("a", "tok")) == ["a"]
    assert await desk.redis.exists(desk.keys.lease("a")) == 0


async def test_the_largest_batch_is_one_call(desk: Any) -> None:
    """500 leases are renewed by one call."""
    ids = [f"j{i}" for i in range(MAX_BATCH)]
    await desk.enqueue(*ids)
    await desk.claim("tok", limit=MAX_BATCH)
    desk.now_ms += 1
    assert await desk.renew(*((job_id, "tok") for job_id in ids)) == []
    assert set((await desk.picture())["queue"].values()) == {desk.now_ms + 15_000}
