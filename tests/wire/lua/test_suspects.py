"""claim.lua on jobs whose workers died: who runs again in company, who alone, and who never."""

from typing import Any


async def kill_workers(desk: Any, times: int, **options: Any) -> None:
    """Let this many workers die while they run the job "a"."""
    for number in range(times):
        job = next(job for job in (await desk.claim(f"dies{number}", **options)).jobs if job.job_id == "a")
        await desk.let_lease_end(job.job_id)


async def kill_the_one_alone(desk: Any) -> None:
    """Let a worker die that runs the suspect "a" alone: its lease is spared once, and runs out again."""
    await kill_workers(desk, 1, is_idle=True)
    assert (await desk.claim("early", is_idle=True)).jobs == []
    await desk.let_lease_end("a")


async def test_after_one_death_a_job_runs_again_in_company(desk: Any) -> None:
    """One dead worker proves nothing: the job is leased with others, and the death is on its record."""
    await desk.enqueue("a")
    await kill_workers(desk, 1)
    await desk.enqueue("b")
    claim = await desk.claim("t")
    assert [(j.job_id, j.attempt, j.deaths, j.alone) for j in claim.jobs] == [
        ("a", 2, 1, False),
        ("b", 1, 0, False),
    ]
    assert (await desk.picture())["history:a"]["d"] == "1"


async def test_after_two_deaths_a_job_waits_until_a_worker_is_idle(desk: Any) -> None:
    """A busy worker does not get it; it waits among the suspects, held by nobody, and in the queue."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.enqueue("b")
    claim = await desk.claim("t", worker="busy")
    assert ([job.job_id for job in claim.jobs], claim.isolate) == (["b"], True)
    picture = await desk.picture()
    assert picture["suspects"] == {"a": desk.now_ms}
    assert picture["queue"]["a"] == desk.now_ms + 15_000
    assert "a" not in picture["running"]
    assert "lease:a" not in picture
    assert picture["ward"] == "busy"


async def test_an_idle_worker_gets_a_suspect_and_nothing_else(desk: Any) -> None:
    """Alone means alone: no other job comes with it, and it is no longer among those that wait."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.claim("busy")
    await desk.enqueue("b", "c")
    claim = await desk.claim("idle", is_idle=True)
    assert [(job.job_id, job.deaths, job.alone) for job in claim.jobs] == [("a", 2, True)]
    assert claim.more is False
    picture = await desk.picture()
    assert picture["running"]["a"].endswith(" w 1")
    assert "suspects" not in picture
    assert [job.job_id for job in (await desk.claim("next")).jobs] == ["b", "c"]


async def test_an_idle_worker_takes_a_suspect_from_the_queue_itself(desk: Any) -> None:
    """A suspect needs no busy worker to notice it first."""
    await desk.enqueue("a", at_ms=1)
    await kill_workers(desk, 2)
    await desk.enqueue("b", at_ms=desk.now_ms)
    claim = await desk.claim("idle", is_idle=True)
    assert [(job.job_id, job.alone) for job in claim.jobs] == [("a", True)]


async def test_no_suspect_joins_jobs_that_the_same_call_leases(desk: Any) -> None:
    """An idle worker that has been given an ordinary job is idle no more."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.enqueue("first", at_ms=1)
    claim = await desk.claim("idle", is_idle=True)
    assert [(job.job_id, job.alone) for job in claim.jobs] == [("first", False)]
    assert list((await desk.picture())["suspects"]) == ["a"]


async def test_a_death_while_alone_convicts(desk: Any) -> None:
    """It is dead of poison, with its payload and history; nothing of it is left to run; 3 workers died."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await kill_the_one_alone(desk)
    claim = await desk.claim("t", is_idle=True)
    assert claim.jobs == []
    picture = await desk.picture()
    letter = picture.pop("letter:a")
    assert picture == {"dead": {"a": desk.now_ms}}
    assert (letter["reason"], letter["attempts"], letter["d"], letter["payload"]) == ("poison", "3", "3", "a")
    assert letter["queue"] == desk.keys.queue


async def test_a_worker_that_was_cut_off_while_it_ran_one_alone_is_waited_for(desk: Any) -> None:
    """Nobody died: the lease that ran out goes on once more, for whoever holds it to come back to."""
    await desk.enqueue("a")
    await kill_workers(desk, 3, is_idle=True)
    assert (await desk.claim("other", is_idle=True)).jobs == []
    assert await desk.redis.get(desk.keys.lease("a")) == b"dies2"
    assert await desk.renew(("a", "dies2")) == []
    job = next(iter((await desk.claim("dies2", is_idle=True, is_resent=True)).jobs))
    assert (job.job_id, job.alone, job.deaths) == ("a", True, 2)
    assert await desk.finish(job, "dies2", "done", 0) == 1
    assert await desk.picture() == {}


async def test_a_worker_that_comes_back_was_no_death(desk: Any) -> None:
    """It renews, and hears that it has lost its lease: being cut off again and again makes no suspect."""
    await desk.enqueue("a")
    for number in range(5):
        job = await desk.claim_one(f"cut off{number}".replace(" ", "-"))
        assert (job.job_id, job.alone, job.deaths) == ("a", False, min(number, 1))
        if number:
            assert await desk.renew(("a", f"cut-off{number - 1}")) == ["a"]
        await desk.let_lease_end("a")
    assert (await desk.picture())["history:a"]["d"] == "0"


async def test_a_worker_that_comes_back_twice_takes_back_one_death(desk: Any) -> None:
    """Sent again it changes nothing; deaths of others stay; a job with one waits for no idle worker."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    assert (await desk.claim("busy")).isolate is True
    for _ in range(2):
        assert await desk.renew(("a", "dies1")) == ["a"]
    picture = await desk.picture()
    assert picture["history:a"]["d"] == "1"
    assert "suspects" not in picture


async def test_a_conviction_does_not_cost_the_claimer_its_slot(desk: Any) -> None:
    """The claim goes on to the next due job, and a cancellation of the dead one is forgotten."""
    await desk.enqueue("a", at_ms=1)
    await kill_workers(desk, 2)
    await kill_the_one_alone(desk)
    await desk.redis.zadd(desk.keys.abort, {"a": 1})
    await desk.enqueue("b")
    assert [job.job_id for job in (await desk.claim("t", limit=1)).jobs] == ["b"]
    assert "abort" not in await desk.picture()


async def test_a_suspect_that_ends_well_is_forgiven(desk: Any) -> None:
    """Nothing of the suspicion outlives the job."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    job = await desk.claim_one("t", is_idle=True)
    assert await desk.finish(job, "t", "done", 60_000, result=b"r") == 1
    assert await desk.picture() == {"result:a": "r"}


async def test_a_released_suspect_is_still_one(desk: Any) -> None:
    """A shutdown while it runs alone is no death, and the next worker runs it alone as well."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    job = await desk.claim_one("t", is_idle=True)
    assert await desk.finish(job, "t", "back", job.due_at_ms) == 1
    assert (await desk.claim("busy")).jobs == []
    job = await desk.claim_one("idle", is_idle=True)
    assert (job.alone, job.deaths, job.attempt) == (True, 2, 3)


async def test_a_lost_answer_is_no_death_of_a_suspect(desk: Any) -> None:
    """A claim of a suspect sent again gives it again, alone, and does not convict it."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.claim("tok", is_idle=True)
    job = await desk.claim_one("tok", is_idle=True, is_resent=True)
    assert (job.alone, job.deaths, job.attempt) == (True, 2, 3)


async def test_one_busy_worker_at_a_time_makes_itself_idle(desk: Any) -> None:
    """The first that sees waiting suspects is the ward; the others go on with ordinary jobs."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    assert (await desk.claim(worker="one")).isolate is True
    assert (await desk.claim(worker="two")).isolate is False
    assert (await desk.claim(worker="one")).isolate is True


async def test_a_suspect_that_runs_makes_nobody_idle(desk: Any) -> None:
    """Only suspects that wait call for a ward: while one runs alone, busy workers stay busy."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.claim("busy", worker="one")
    await desk.claim_one("alone", worker="two", is_idle=True)
    assert (await desk.claim(worker="three")).isolate is False


async def test_the_ward_stays_it_as_long_as_it_needs_to_become_idle(desk: Any) -> None:
    """Renewing its leases renews its office: long jobs do not make worker after worker stop claiming."""
    await desk.enqueue("0long", "a")
    await desk.claim("long", limit=1, worker="one")
    await kill_workers(desk, 2, worker="other")
    await desk.claim(worker="one")
    await desk.redis.pexpire(desk.keys.ward, 50)
    assert await desk.renew(("0long", "long")) == []
    assert await desk.redis.pttl(desk.keys.ward) > 5_000


async def test_another_workers_renewal_does_not_keep_the_ward(desk: Any) -> None:
    """A ward that died leaves its office when its lease would have ended, whoever else renews."""
    await desk.enqueue("0long", "a")
    await desk.claim("long", limit=1, worker="alive")
    await kill_workers(desk, 2, worker="other")
    await desk.claim(worker="one")
    await desk.redis.pexpire(desk.keys.ward, 5_000)
    assert await desk.renew(("0long", "long")) == []
    assert 0 < await desk.redis.pttl(desk.keys.ward) <= 5_000


async def test_the_ward_ends_when_its_holder_claims_idle(desk: Any) -> None:
    """Having become idle it runs its suspect, or finds it gone, and then works like any other."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.claim(worker="one")
    await desk.claim(worker="two", is_idle=True)
    assert await desk.redis.get(desk.keys.ward) == b"one"
    await desk.claim(worker="one", is_idle=True)
    assert await desk.redis.exists(desk.keys.ward) == 0


async def test_a_ward_that_is_idle_runs_one_suspect_after_the_other(desk: Any) -> None:
    """Becoming idle is what costs: it stays the ward while suspects wait, and is none when they are over."""
    await desk.enqueue("a", "b", "c", "d")
    for number in range(2):
        assert len((await desk.claim(f"crash{number}", limit=4)).jobs) == 4
        await desk.let_lease_end("a", "b", "c", "d")
    assert (await desk.claim("busy", worker="one")).isolate is True
    for number, stays in enumerate([True, True, True, False]):
        claim = await desk.claim(f"t{number}", worker="one", is_idle=True)
        assert [job.alone for job in claim.jobs] == [True]
        assert claim.isolate is stays
        assert await desk.finish(claim.jobs[0], f"t{number}", "done") == 1
    assert await desk.redis.exists(desk.keys.ward) == 0


async def test_the_office_of_a_ward_ends_while_it_runs_suspects(desk: Any) -> None:
    """Renewing a job that runs alone does not prolong it: ordinary jobs do not wait for all suspects."""
    await desk.enqueue("a", "b")
    for number in range(2):
        await desk.claim(f"crash{number}", limit=2)
        await desk.let_lease_end("a", "b")
    await desk.claim("busy", worker="one")
    job = (await desk.claim("t", worker="one", is_idle=True)).jobs[0]
    await desk.redis.pexpire(desk.keys.ward, 5_000)
    assert await desk.renew((job.job_id, "t")) == []
    assert 0 < await desk.redis.pttl(desk.keys.ward) <= 5_000
    await desk.redis.delete(desk.keys.ward)
    await desk.finish(job, "t", "done")
    await desk.enqueue("e")
    assert (await desk.claim("u", worker="one", is_idle=True)).isolate is False


async def test_a_suspect_that_is_gone_is_dropped(desk: Any) -> None:
    """A suspect that a stock worker ran and ended is no reason to become idle any more."""
    await desk.enqueue("a")
    await kill_workers(desk, 2)
    await desk.claim(worker="one")
    await desk.redis.zrem(desk.keys.queue, "a")
    assert (await desk.claim(is_idle=True)).jobs == []
    assert await desk.redis.exists(desk.keys.suspects) == 0


async def test_a_killer_takes_three_workers_and_no_neighbour_with_it(desk: Any) -> None:
    """After two crashes all its neighbours run alone and end; only the killer is convicted."""
    ids = [f"j{i:02}" for i in range(20)]
    await desk.enqueue(*ids)
    for number in range(2):
        claim = await desk.claim(f"crash{number}", limit=20)
        assert len(claim.jobs) == 20
        await desk.let_lease_end(*ids)
    ended: set[str] = set()
    for number in range(40):
        claim = await desk.claim(f"alone{number}", limit=20, is_idle=True)
        assert len(claim.jobs) <= 1
        if not claim.jobs:
            await desk.let_lease_end("j07")  # that was spared
        for job in claim.jobs:
            assert job.alone
            if job.job_id == "j07":
                await desk.let_lease_end("j07")
            else:
                assert await desk.finish(job, f"alone{number}", "done") == 1
                ended.add(job.job_id)
    assert ended == set(ids) - {"j07"}
    picture = await desk.picture()
    assert list(picture["dead"]) == ["j07"]
    assert picture["letter:j07"]["reason"] == "poison"
    assert set(picture) == {"dead", "letter:j07"}
