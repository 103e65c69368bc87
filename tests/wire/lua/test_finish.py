"""finish.lua: what each verb writes, who may write, and what a repeat answers."""

from typing import Any

import pytest
from redis.exceptions import ResponseError

from runner.wire.scripts import MAX_BATCH, Claimed, End, Verdict

VERBS = {"done": "", "dead": "failed {}", "again": "{}", "later": "why", "back": ""}


async def claimed(desk: Any, job_id: str = "a", token: str = "tok") -> Claimed:
    await desk.enqueue(job_id)
    return await desk.claim_one(token)


async def test_done_leaves_the_result_alone(desk: Any) -> None:
    """Of a job that succeeded nothing is left but its result, for the time asked."""
    job = await claimed(desk)
    await desk.redis.zadd(desk.keys.abort, {"a": 1})
    assert await desk.finish(job, "tok", "done", 60_000, result=b"r") == Verdict.WRITTEN
    assert await desk.picture() == {"result:a": "r"}
    assert 55_000 < await desk.redis.pttl(desk.keys.result("a")) <= 60_000


@pytest.mark.parametrize(("keep_ms", "kept"), [(-1, True), (-5000, True), (0, False)])
async def test_a_result_is_kept_for_ever_or_not_at_all(desk: Any, keep_ms: int, kept: bool) -> None:
    """A negative time keeps it for ever, zero not at all."""
    job = await claimed(desk)
    assert await desk.finish(job, "tok", "done", keep_ms, result=b"r") == Verdict.WRITTEN
    assert await desk.picture() == ({"result:a": "r"} if kept else {})
    assert await desk.short_lived() == set()


async def test_done_without_a_result_stores_none(desk: Any) -> None:
    """A result that could not be written as bytes is no empty result."""
    job = await claimed(desk)
    assert await desk.finish(job, "tok", "done", 60_000) == Verdict.WRITTEN
    assert await desk.picture() == {}


async def test_a_cron_jobs_lease_outlives_it(desk: Any) -> None:
    """A stock worker that fires the same tick within that time sees it as running, as with arq's own."""
    job = await claimed(desk)
    end = desk.end(job, "tok", "done", 0, note="60000")
    assert await desk.finish_all([end]) == [Verdict.WRITTEN]
    assert await desk.picture() == {"lease:a": "1"}
    assert await desk.short_lived() == {"lease:a"}
    assert await desk.finish_all([end]) == [Verdict.REPEATED]


async def test_dead_keeps_all_that_was_known(desk: Any) -> None:
    """A dead letter holds payload, reason, attempts, history and note; its result tells who waits."""
    job = await claimed(desk)
    assert await desk.finish(job, "tok", "again", 0, note='{"n":1}') == Verdict.WRITTEN
    job = await desk.claim_one("tok2")
    assert await desk.finish(job, "tok2", "dead", 500, result=b"r", note='max_tries {"n":2,\n"x":" "}') == 1
    picture = await desk.picture()
    letter = picture.pop("letter:a")
    assert picture == {"dead": {"a": desk.now_ms}, "result:a": "r"}
    assert (
        letter.items()
        >= {
            "f": str(job.fence - 1),
            "a1": '{"n":1}',
            "l": "0",
            "w": "",
            "queue": desk.keys.queue,
            "reason": "max_tries",
            "attempts": "2",
            "at": str(desk.now_ms),
            "note": '{"n":2,\n"x":" "}',
            "payload": "a",
        }.items()
    )
    assert await desk.short_lived() == {"result:a"}


async def test_a_second_death_of_an_id_replaces_the_first(desk: Any) -> None:
    """A letter never mixes the fields of two jobs."""
    await desk.redis.hset(desk.keys.dead_letter("a"), mapping={"payload": "old", "a7": "old"})
    await desk.redis.zadd(desk.keys.queue, {"a": 1})
    job = await desk.claim_one("tok")
    assert await desk.finish(job, "tok", "dead", 0, note="missing_payload {}") == Verdict.WRITTEN
    letter = (await desk.picture())["letter:a"]
    assert ("payload" in letter, "a7" in letter, letter["reason"]) == (False, False, "missing_payload")


async def test_again_spends_the_attempt(desk: Any) -> None:
    """The job is due after the delay, its attempt counted and on record; nothing about it can expire."""
    job = await claimed(desk)
    assert await desk.finish(job, "tok", "again", 7_000, note='{"n":1}') == Verdict.WRITTEN
    assert await desk.picture() == {
        "queue": {"a": desk.now_ms + 7_000},
        "job:a": "a",
        "retry:a": "1",
        "history:a": {"f": str(job.fence), "a1": '{"n":1}', "l": "7000", "w": ""},
    }
    assert await desk.short_lived() == set()
    desk.now_ms += 7_000
    job = await desk.claim_one("tok2")
    assert (job.attempt, job.last_delay_ms) == (2, 7_000)


async def test_a_history_is_bounded(desk: Any) -> None:
    """The last 20 attempts stay on record, however often a job is tried."""
    await desk.enqueue("a")
    for number in range(1, 26):
        job = await desk.claim_one(f"t{number}")
        assert await desk.finish(job, f"t{number}", "again", 0, note=str(number)) == Verdict.WRITTEN
    history = (await desk.picture())["history:a"]
    assert sorted(int(name[1:]) for name in history if name[0] == "a") == list(range(6, 26))


async def test_later_spends_no_attempt_and_counts_the_snooze(desk: Any) -> None:
    """The next attempt has the same number, and knows how often it was put off and why."""
    await desk.enqueue("a")
    for token in ("t1", "t2"):
        job = await desk.claim_one(token)
        assert await desk.finish(job, token, "later", 50, note="limit") == Verdict.WRITTEN
        desk.now_ms += 50
    picture = await desk.picture()
    assert (picture["retry:a"], picture["history:a"]["s"], picture["history:a"]["w"]) == ("0", "2", "limit")
    job = await desk.claim_one("t3")
    assert (job.attempt, job.snoozes) == (1, 2)


async def test_back_undoes_the_claim(desk: Any) -> None:
    """A released job stands where it stood, first in line, with its attempt unspent and no snooze counted."""
    await desk.enqueue("a", at_ms=77)
    job = await desk.claim_one("tok")
    assert await desk.finish(job, "tok", "back", job.due_at_ms) == Verdict.WRITTEN
    picture = await desk.picture()
    assert picture.pop("history:a") == {"f": str(job.fence)}
    assert picture == {"queue": {"a": 77}, "job:a": "a", "retry:a": "0"}
    job = await desk.claim_one("tok2")
    assert (job.attempt, job.snoozes, job.deaths) == (1, 0, 0)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_repeat_changes_nothing(desk: Any, verb: str) -> None:
    """An end whose answer was lost may be sent again: it says so and writes nothing."""
    job = await claimed(desk)
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.WRITTEN
    before = await desk.picture()
    desk.now_ms += 9
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.REPEATED
    assert await desk.picture() == before


@pytest.mark.parametrize("verb", VERBS)
async def test_a_stale_token_changes_nothing(desk: Any, verb: str) -> None:
    """Once another worker holds the job, the end of the first is refused, key by key."""
    job = await claimed(desk)
    await desk.let_lease_end("a")
    assert (await desk.claim_one("thief")).attempt == 2
    before = await desk.picture()
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.LOST
    assert await desk.picture() == before


@pytest.mark.parametrize("verb", VERBS)
async def test_a_stale_token_changes_nothing_though_nobody_holds_the_lease(desk: Any, verb: str) -> None:
    """The thief's lease ran out as well: it was the last to hold the job, and it alone may still end it.

    That the first lives is heard: what its lease ran out for was no death.
    """
    job = await claimed(desk)
    await desk.let_lease_end("a")
    thief = await desk.claim_one("thief")
    await desk.let_lease_end("a")
    before = await desk.picture()
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.LOST
    assert await desk.picture() == before
    assert await desk.renew(("a", "tok")) == ["a"]
    history = {**before["history:a"], "d": "0", "v": ""}
    assert await desk.picture() == {**before, "history:a": history}
    assert await desk.finish(thief, "thief", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.WRITTEN


@pytest.mark.parametrize("verb", VERBS)
async def test_a_stock_worker_that_took_over_is_left_alone(desk: Any, verb: str) -> None:
    """While arq's own lease stands, and after it ended the job, our late end writes nothing."""
    job = await claimed(desk)
    await desk.redis.set(desk.keys.lease("a"), "1", px=60_000)
    before = await desk.picture()
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.LOST
    assert await desk.picture() == before
    await desk.redis.zrem(desk.keys.queue, "a")
    await desk.redis.delete(desk.keys.job("a"), desk.keys.retry("a"), desk.keys.lease("a"))
    before = await desk.picture()
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.REPEATED
    assert await desk.picture() == before


@pytest.mark.parametrize("verb", VERBS)
async def test_an_end_after_the_lease_counts_if_nobody_took_the_job(desk: Any, verb: str) -> None:
    """The work is done and nobody else began it: refusing it would only run it twice."""
    job = await claimed(desk)
    await desk.let_lease_end("a")
    assert await desk.finish(job, "tok", verb, 500, result=b"r", note=VERBS[verb]) == Verdict.WRITTEN
    assert "running" not in await desk.picture()


async def test_a_queue_emptied_by_hand_leaves_no_rubbish(desk: Any) -> None:
    """The holder of a job that was removed from the queue still cleans up after it."""
    job = await claimed(desk)
    await desk.redis.delete(desk.keys.queue)
    assert await desk.finish(job, "tok", "done", 500, result=b"r") == Verdict.WRITTEN
    assert await desk.picture() == {"result:a": "r"}


async def test_ends_of_one_call_are_judged_one_by_one(desk: Any) -> None:
    """All verbs in one call, a lost one among them: each gets its own verdict and its own effect."""
    await desk.enqueue(*"abcdef")
    jobs = {job.job_id: job for job in (await desk.claim("tok")).jobs}
    await desk.let_lease_end("f")
    assert (await desk.claim_one("thief")).job_id == "f"
    verbs = dict(zip("abcdef", [*VERBS, "done"], strict=True))
    ends = [desk.end(jobs[i], "tok", verb, 100, result=b"r", note=VERBS[verb]) for i, verb in verbs.items()]
    assert await desk.finish_all(ends) == [1, 1, 1, 1, 1, 0]
    picture = await desk.picture()
    assert set(picture["queue"]) == set("cdef")
    assert (list(picture["running"]), list(picture["dead"])) == (["f"], ["b"])
    assert {name for name in picture if name.startswith("lease")} == {"lease:f"}


async def test_an_unknown_verb_is_refused_before_anything_is_written(desk: Any) -> None:
    """Lua does not roll back, so the check comes first, for the whole call."""
    await desk.enqueue("a", "b")
    first, second = (await desk.claim("tok")).jobs
    before = await desk.picture()
    with pytest.raises(ResponseError, match="BADVERB nonsense"):
        await desk.finish_all([desk.end(first, "tok", "done"), desk.end(second, "tok", "nonsense")])
    assert await desk.picture() == before


async def test_the_largest_batch_is_one_call(desk: Any) -> None:
    """500 ends of the most expensive kind fit into one call."""
    await desk.enqueue(*(f"j{i}" for i in range(MAX_BATCH)))
    jobs = (await desk.claim("tok", limit=MAX_BATCH)).jobs
    ends = [End(job.job_id, "tok", job.fence, "dead", 500, b"r", "failed {}", 1) for job in jobs]
    assert await desk.finish_all(ends) == [Verdict.WRITTEN] * MAX_BATCH
    assert await desk.redis.zcard(desk.keys.dead) == MAX_BATCH
    assert await desk.redis.exists(desk.keys.queue, desk.keys.running) == 0
