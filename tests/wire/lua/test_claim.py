"""claim.lua: what a lease consists of, who gets one, and what a repeated call gives."""

from typing import Any

from runner.wire.scripts import MAX_BATCH


async def test_a_lease_is_a_token_a_holder_and_an_end(desk: Any) -> None:
    """A claimed job stays in the queue until its lease ends; the lease is the only thing that can expire."""
    await desk.enqueue("a")
    claim = await desk.claim("tok", worker="host 1")
    [job] = claim.jobs
    assert (job.job_id, job.payload, job.attempt, job.due_at_ms) == ("a", b"a", 1, desk.now_ms)
    assert (job.deaths, job.snoozes, job.last_delay_ms, job.alone, job.aborted) == (0, 0, 0, False, False)
    assert await desk.picture() == {
        "queue": {"a": desk.now_ms + 15_000},
        "running": {"a": f"tok {job.fence} host 1 0"},
        "job:a": "a",
        "retry:a": "1",
        "lease:a": "tok",
    }
    assert await desk.short_lived() == {"lease:a"}


async def test_jobs_are_leased_in_the_order_they_fall_due_up_to_the_limit(desk: Any) -> None:
    """The oldest due come first, nothing before its time, and `more` says that the limit was reached."""
    for position, job_id in enumerate("cba"):
        await desk.enqueue(job_id, at_ms=desk.now_ms - position)
    await desk.enqueue("future", delay_ms=1)
    claim = await desk.claim(limit=2)
    assert ([job.job_id for job in claim.jobs], claim.more) == (["a", "b"], True)
    claim = await desk.claim(limit=2)
    assert ([job.job_id for job in claim.jobs], claim.more) == (["c"], False)
    desk.now_ms += 1
    assert [job.job_id for job in (await desk.claim()).jobs] == ["future"]


async def test_an_empty_queue_is_left_empty(desk: Any) -> None:
    """A claim that finds nothing writes nothing and says that nothing is in sight."""
    claim = await desk.claim()
    assert (claim.now_ms, claim.next_due_ms, claim.more, claim.isolate, claim.jobs) == (
        desk.now_ms,
        -1,
        False,
        False,
        [],
    )
    assert await desk.picture() == {}


async def test_it_tells_when_to_come_back(desk: Any) -> None:
    """The time until the next job falls due, or the next lease ends, whichever is first."""
    await desk.enqueue("a", delay_ms=70_000)
    assert (await desk.claim()).next_due_ms == 70_000
    await desk.enqueue("b")
    assert (await desk.claim()).next_due_ms == 15_000


async def test_what_another_holds_is_passed_over(desk: Any) -> None:
    """A job that a stock worker runs stays where it is, and does not hold up those behind it."""
    ids = [f"j{i:02}" for i in range(40)]
    await desk.enqueue(*ids)
    for job_id in ids[:30]:
        await desk.redis.set(desk.keys.lease(job_id), "1", px=60_000)
    claim = await desk.claim(limit=3)
    assert [job.job_id for job in claim.jobs] == ids[30:33]
    claim = await desk.claim(limit=20)
    assert ([job.job_id for job in claim.jobs], claim.more) == (ids[33:], False)
    assert all([await desk.redis.get(desk.keys.lease(job_id)) == b"1" for job_id in ids[:30]])


async def test_a_thousand_jobs_held_by_others_do_not_make_a_worker_ask_on_and_on(desk: Any) -> None:
    """A claim looks at a bounded number of jobs; when it can take none of them it does not promise more."""
    for start in range(0, 1500, 500):
        ids = [f"j{i}" for i in range(start, start + 500)]
        await desk.enqueue(*ids)
        await desk.redis.mset({desk.keys.lease(job_id): "1" for job_id in ids})
    claim = await desk.claim(limit=1)
    assert (claim.jobs, claim.more) == ([], False)


async def test_a_claim_makes_a_plain_clients_job_last(desk: Any) -> None:
    """What arq's client wrote with a TTL, payload and counter, has none once the job is claimed."""
    await desk.enqueue("a")
    await desk.redis.pexpire(desk.keys.job("a"), 60_000)
    await desk.redis.set(desk.keys.retry("a"), 2, px=60_000)
    job = await desk.claim_one("t")
    assert job.attempt == 3
    assert await desk.short_lived() == {"lease:a"}


async def test_a_job_without_payload_is_leased_all_the_same(desk: Any) -> None:
    """Somebody has to bury it: it comes with payload None."""
    await desk.redis.zadd(desk.keys.queue, {"a": 1})
    assert (await desk.claim_one("t")).payload is None


async def test_rubbish_in_a_counter_does_not_stop_the_queue(desk: Any) -> None:
    """A counter that is no number counts as none; the others of the page are leased too."""
    await desk.enqueue("a", "b")
    await desk.redis.set(desk.keys.retry("a"), "rubbish")
    assert [(job.job_id, job.attempt) for job in (await desk.claim()).jobs] == [("a", 1), ("b", 1)]


async def test_a_score_below_every_time_is_due(desk: Any) -> None:
    """-inf and negative scores, made by hand to run first, are leased; their due time is told as 0."""
    await desk.redis.zadd(desk.keys.queue, {"first": "-inf", "second": -5})
    assert [(job.job_id, job.due_at_ms) for job in (await desk.claim()).jobs] == [("first", 0), ("second", 0)]


async def test_a_cancellation_stays_until_the_job_has_ended(desk: Any) -> None:
    """A claim tells that the job is to be cancelled; a claim after the holder's death tells it again."""
    await desk.enqueue("a", "b")
    await desk.redis.zadd(desk.keys.abort, {"b": 1})
    assert [(job.job_id, job.aborted) for job in (await desk.claim()).jobs] == [("a", False), ("b", True)]
    await desk.let_lease_end("a", "b")
    assert [(job.job_id, job.aborted) for job in (await desk.claim("t")).jobs] == [("a", False), ("b", True)]


async def test_the_largest_claim_is_one_call(desk: Any) -> None:
    """500 jobs are leased by one call, also when more are asked for."""
    for start in range(0, 1000, 500):
        await desk.enqueue(*(f"j{i}" for i in range(start, start + 500)))
    claim = await desk.claim(limit=5000)
    assert (len(claim.jobs), claim.more) == (MAX_BATCH, True)


async def test_a_fence_rises_with_each_claim_of_a_job(desk: Any) -> None:
    """Whatever ended the last attempt, though the clock stands still or goes back, the fence is larger."""
    await desk.enqueue("a")
    fences = []
    for verb, ms in [("again", 0), ("later", 0), ("back", desk.now_ms - 10_000), ("again", 0)]:
        job = await desk.claim_one(f"{verb}{ms}")
        fences.append(job.fence)
        assert await desk.finish(job, f"{verb}{ms}", verb, ms) == 1
    desk.now_ms -= 5_000
    await desk.redis.zadd(desk.keys.queue, {"a": 1})
    fences.append((await desk.claim_one("last")).fence)
    assert fences == sorted(set(fences))


async def test_a_call_whose_answer_was_lost_gives_its_jobs_again(desk: Any) -> None:
    """Sent again with its token it gives the same jobs, with the same attempt, and counts no death."""
    await desk.enqueue("a", "b")
    await desk.redis.zadd(desk.keys.abort, {"b": 1})
    first = await desk.claim("tok")
    desk.now_ms += 300
    again = await desk.claim("tok", is_resent=True)
    assert [(j.job_id, j.payload, j.attempt, j.deaths, j.aborted) for j in again.jobs] == [
        (j.job_id, j.payload, j.attempt, 0, j.aborted) for j in first.jobs
    ]
    assert all(new.fence > old.fence for new, old in zip(again.jobs, first.jobs, strict=True))
    picture = await desk.picture()
    assert picture["queue"] == {"a": desk.now_ms + 15_000, "b": desk.now_ms + 15_000}
    assert (picture["lease:a"], picture["retry:a"]) == ("tok", "1")


async def test_a_call_that_never_arrived_is_sent_again_as_the_first(desk: Any) -> None:
    """With is_resent and nothing leased to the token, the claim is an ordinary one."""
    await desk.enqueue("a", "b")
    await desk.claim_one("other", limit=1)
    assert [job.job_id for job in (await desk.claim("tok", is_resent=True)).jobs] == ["b"]


async def test_a_repeated_call_gives_leases_though_they_had_run_out(desk: Any) -> None:
    """The jobs of a lost answer come back under a new lease, if nobody took them meanwhile."""
    await desk.enqueue("a", "b", "c")
    await desk.claim("tok")
    await desk.let_lease_end("a", "b", "c")
    await desk.redis.set(desk.keys.lease("c"), "1", px=60_000)
    assert (await desk.claim_one("thief", limit=1)).job_id == "a"
    claim = await desk.claim("tok", is_resent=True)
    assert [job.job_id for job in claim.jobs] == ["b"]
    assert await desk.redis.get(desk.keys.lease("b")) == b"tok"
    assert await desk.redis.get(desk.keys.lease("c")) == b"1"


async def test_a_repeated_call_keeps_to_its_limit(desk: Any) -> None:
    """What no longer fits goes back to the queue unharmed: due, no attempt spent."""
    await desk.enqueue("a", "b", "c")
    await desk.claim("tok")
    claim = await desk.claim("tok", is_resent=True, limit=1)
    assert len(claim.jobs) == 1
    assert sorted(job.attempt for job in (await desk.claim()).jobs) == [1, 1]
