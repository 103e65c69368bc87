"""cancel.lua: a waiting job ends, a running one is asked to."""

from typing import Any


async def test_a_waiting_job_ends_with_a_result(desk: Any) -> None:
    """Nothing is left of it but the result that says so; its neighbours stay."""
    await desk.enqueue("a", "b")
    job = (await desk.claim("tok")).jobs[0]
    await desk.finish(job, "tok", "again", 50, note="{}")
    await desk.redis.zadd(desk.keys.abort, {"a": 1})
    assert await desk.cancel("a") == 1
    picture = await desk.picture()
    assert {name for name in picture if name.endswith(":a")} == {"result:a"}
    assert (picture["result:a"], list(picture["queue"]), "abort" in picture) == ("cancelled", ["b"], False)
    assert await desk.short_lived() == {"result:a", "lease:b"}


async def test_a_call_sent_twice_answers_the_same(desk: Any) -> None:
    """The second time the job is gone, and the result in its place is this very call's."""
    await desk.enqueue("a")
    assert (await desk.cancel("a"), await desk.cancel("a")) == (1, 1)
    assert await desk.cancel("a", b"somebody else's") == 0


async def test_a_running_job_is_asked(desk: Any) -> None:
    """The request is noted where arq's workers look, and nothing else changes."""
    await desk.enqueue("a")
    await desk.claim("tok")
    before = await desk.picture()
    assert await desk.cancel("a") == 2
    assert await desk.picture() == {**before, "abort": {"a": desk.now_ms}}


async def test_a_job_whose_worker_died_is_asked_at_its_next_claim(desk: Any) -> None:
    """Its lease ran out, but nobody knows yet whether its worker lives: it ends when it is claimed again."""
    await desk.enqueue("a")
    await desk.claim("tok")
    await desk.let_lease_end("a")
    assert await desk.cancel("a") == 2
    assert (await desk.claim_one("next")).aborted is True


async def test_a_stock_workers_job_is_asked(desk: Any) -> None:
    """A lease of arq's own counts like ours."""
    await desk.enqueue("a")
    await desk.redis.set(desk.keys.lease("a"), "1", px=60_000)
    assert await desk.cancel("a") == 2
    assert list((await desk.picture())["abort"]) == ["a"]


async def test_a_job_that_is_not_there_leaves_no_trace(desk: Any) -> None:
    """An ended or unknown id writes nothing: the next job of that id must not be met by it."""
    await desk.enqueue("a")
    job = await desk.claim_one("tok")
    await desk.finish(job, "tok", "done", 60_000, result=b"r")
    assert (await desk.cancel("a"), await desk.cancel("never")) == (0, 0)
    assert await desk.picture() == {"result:a": "r"}


async def test_a_suspect_can_be_cancelled(desk: Any) -> None:
    """A job that waits to run alone waits like any other, and its suspicion ends with it."""
    await desk.enqueue("a")
    for token in ("one", "two"):
        await desk.claim_one(token)
        await desk.let_lease_end("a")
    assert (await desk.claim(worker="busy")).jobs == []
    assert await desk.cancel("a", keep_ms=0) == 1
    assert set(await desk.picture()) == {"ward"}


async def test_a_cancellation_is_kept_as_long_as_asked(desk: Any) -> None:
    """Zero stores no result, a negative time stores it for ever."""
    await desk.enqueue("a", "b")
    assert (await desk.cancel("a", keep_ms=0), await desk.cancel("b", keep_ms=-1)) == (1, 1)
    assert await desk.picture() == {"result:b": "cancelled"}
    assert await desk.short_lived() == set()
