"""enqueue_checked.lua: one job stands for calls that would do the same, and a queue holds only so many."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.lanes import Lane
from runner.unique import Sole
from runner.wire.intake import Wish, enqueue_checked, room
from runner.wire.keys import keys_of
from runner.wire.scripts import Entry

HOUR_MS = 3_600_000


def sole(lasts: Any = "done", on_conflict: Any = "keep", digest: str = "d", **times: int) -> Sole:
    return Sole(
        digest, lasts, on_conflict, *(times.get(t, 0) for t in ("period_ms", "wait_ms", "max_wait_ms"))
    )


async def admit(
    desk: Any,
    job_id: str,
    what: Sole | None = None,
    most: int = 0,
    drops: bool = False,
    delay_ms: int = 0,
    tenant: str = "",
    most_owned: int = 0,
) -> tuple[str, str]:
    """Enqueue one job whose payload is its id; gives the word and what it is about."""
    wish = Wish(Entry(job_id, 0, delay_ms, job_id.encode(), Lane(tenant).spec), what)
    options = {"most": most, "drops": drops, "most_owned": most_owned, "now_ms": desk.now_ms}
    [answer] = await enqueue_checked(desk.redis.execute_command, desk.keys, [wish], **options)
    return answer.word, answer.about


async def marks(desk: Any) -> int:
    """How many keys know of unique jobs."""
    return await desk.redis.exists(desk.keys.unique_jobs, desk.keys.unique("d"))


async def test_without_conditions_it_writes_what_enqueue_writes(desk: Any) -> None:
    """A job that is neither unique nor bounded leaves the same picture by either script."""
    assert await admit(desk, "a", delay_ms=5) == ("CREATED", "a")
    picture = await desk.picture()
    await desk.redis.flushdb()
    await desk.enqueue("a", delay_ms=5)
    assert await desk.picture() == picture


@pytest.mark.parametrize(
    ("lasts", "on_conflict", "waits", "runs", "retries", "ended"),
    [
        ("done", "keep", "DUPLICATE", "DUPLICATE", "DUPLICATE", "CREATED"),
        ("done", "reject", "REJECTED", "REJECTED", "REJECTED", "CREATED"),
        ("done", "replace", "REPLACED", "CREATED", "CREATED", "CREATED"),
        ("started", "keep", "DUPLICATE", "CREATED", "CREATED", "CREATED"),
        ("started", "reject", "REJECTED", "CREATED", "CREATED", "CREATED"),
        ("started", "replace", "REPLACED", "CREATED", "CREATED", "CREATED"),
        ("period", "keep", "DUPLICATE", "DUPLICATE", "DUPLICATE", "DUPLICATE"),
        ("period", "reject", "REJECTED", "REJECTED", "REJECTED", "REJECTED"),
        ("period", "replace", "REPLACED", "DUPLICATE", "DUPLICATE", "DUPLICATE"),
    ],
)
async def test_what_becomes_of_a_second_call(
    desk: Any, lasts: str, on_conflict: str, waits: str, runs: str, retries: str, ended: str
) -> None:
    """The table of docs/limits.md: by what the first job does when the second call comes."""
    what, words = sole(lasts, on_conflict, period_ms=HOUR_MS), []
    for number in range(4):
        first = f"first{number}"
        assert await admit(desk, first, what) == ("CREATED", first)
        if number:
            job = await desk.claim_one(f"t{number}")
        if number == 2:
            await desk.finish(job, "t2", "again", 60_000, note="{}")
        if number == 3:
            await desk.finish(job, "t3", "done", 0)
        word, about = await admit(desk, f"second{number}", what)
        words.append(word)
        assert about == (f"second{number}" if word == "CREATED" else first)
        await desk.redis.flushdb()
    assert words == [waits, runs, retries, ended]


async def test_a_replaced_job_keeps_its_id_and_its_place(desk: Any) -> None:
    """The newest payload runs where and when the first would have; an old cancellation does not meet it."""
    await admit(desk, "a", sole("done", "replace"), delay_ms=50)
    due = (await desk.picture())["queue"]
    await desk.redis.zadd(desk.keys.abort, {"a": 1})
    desk.now_ms += 20
    assert await admit(desk, "b", sole("done", "replace"), delay_ms=50) == ("REPLACED", "a")
    picture = await desk.picture()
    assert (picture["queue"], picture["job:a"], picture.get("abort")) == (due, "b", None)


@pytest.mark.parametrize("end", ["done", "dead", "cancel", "poison", "drop"])
async def test_whatever_ends_a_job_frees_its_record_in_the_same_step(desk: Any, end: str) -> None:
    """Done, dead, cancelled, convicted as poison or dropped: nothing of the record stays."""
    await admit(desk, "a", sole())
    assert await marks(desk) == 2
    if end == "cancel":
        await desk.cancel("a")
    elif end == "drop":
        await admit(desk, "b", most=1, drops=True)
    elif end == "poison":
        for token in ("t1", "t2", "t3", "spares it"):
            await desk.claim(token, is_idle=True)
            await desk.let_lease_end("a")
        assert (await desk.claim("t4", is_idle=True)).jobs == []
    else:
        await desk.finish(await desk.claim_one("t"), "t", end, 0, note={"done": ""}.get(end, "failed {}"))
    assert await marks(desk) == 0
    assert await admit(desk, "c", sole()) == ("CREATED", "c")


async def test_retries_and_crashes_keep_the_record(desk: Any) -> None:
    """A retry, a snooze, a release and a worker that dies are no ends."""
    await admit(desk, "a", sole())
    for token, verb in (("t1", "again"), ("t2", "later"), ("t3", "back")):
        await desk.finish(
            await desk.claim_one(token), token, verb, 0, note="{}" if verb == "again" else "why"
        )
        assert await admit(desk, "b", sole()) == ("DUPLICATE", "a")
    await desk.claim_one("t4")
    await desk.let_lease_end("a")
    assert await admit(desk, "b", sole()) == ("DUPLICATE", "a")


@pytest.mark.parametrize("verb", ["later", "back"])
async def test_a_job_that_came_back_unspent_waits_but_is_not_replaced(desk: Any, verb: str) -> None:
    """Snoozed or released: it stands for calls until it starts; its id may be known, so its payload stays."""
    await admit(desk, "a", sole("started"))
    await desk.finish(await desk.claim_one("t"), "t", verb, 0, note="why")
    assert await admit(desk, "b", sole("started")) == ("DUPLICATE", "a")
    assert await admit(desk, "b", sole("started", "replace")) == ("CREATED", "b")
    assert (await desk.picture())["job:a"] == "a"


async def test_a_record_until_done_has_no_end_of_its_own_and_one_for_a_period_has(desk: Any) -> None:
    """No TTL lets a second job in beside the first; a period passes by itself and leaves nothing."""
    await admit(desk, "a", sole())
    assert await desk.short_lived() == set()
    await admit(desk, "b", sole("period", digest="e", period_ms=HOUR_MS))
    key = desk.keys.unique("e")
    assert await desk.short_lived() == {key}
    assert HOUR_MS - 10_000 < await desk.redis.pttl(key) <= HOUR_MS
    assert await desk.redis.hkeys(desk.keys.unique_jobs) == [b"a"]


async def test_an_earlier_jobs_end_does_not_free_a_later_ones_record(desk: Any) -> None:
    """until_started: the first runs, the second waits and stands for both, also after the first's end."""
    await admit(desk, "a", sole("started"))
    job = await desk.claim_one("t")
    assert await admit(desk, "b", sole("started")) == ("CREATED", "b")
    await desk.finish(job, "t", "done", 0)
    assert await admit(desk, "c", sole("started")) == ("DUPLICATE", "b")


async def test_what_a_stock_worker_ended_stands_for_nothing(desk: Any) -> None:
    """A peer that knows no records cannot leave one behind: enqueue looks past it, maintenance removes it."""
    await admit(desk, "a", sole())
    await desk.redis.delete(desk.keys.job("a"))
    await desk.redis.zrem(desk.keys.queue, "a")
    await desk.scripts.maintain(desk.keys, cursor=0)
    assert await marks(desk) == 0
    await admit(desk, "b", sole())
    await desk.redis.delete(desk.keys.job("b"))
    assert await admit(desk, "c", sole()) == ("CREATED", "c")


@pytest.mark.parametrize("what", [sole(), sole("done", "replace"), sole("started", "reject"), None])
async def test_a_call_sent_twice_answers_the_same(desk: Any, what: Sole | None) -> None:
    """The same payload again is the same call again, created or replaced, and nothing moves."""
    answers = [await admit(desk, job_id, what, most=2) for job_id in ("a", "b")]
    before = await desk.picture()
    desk.now_ms += 7
    assert [await admit(desk, job_id, what, most=2) for job_id in ("b",)] == answers[1:]
    assert await desk.picture() == before


async def test_debounce_moves_the_due_time_but_not_for_ever(desk: Any) -> None:
    """Each call puts its payload in place and is due the wait later, up to the first call's longest wait."""
    what, start, dues = sole("started", "replace", wait_ms=10, max_wait_ms=25), desk.now_ms, []
    for number in range(5):
        word, about = await admit(desk, f"j{number}", what)
        assert (word, about) == ("REPLACED" if number else "CREATED", "j0")
        picture = await desk.picture()
        assert picture["job:j0"] == f"j{number}"
        dues.append(picture["queue"]["j0"] - start)
        desk.now_ms += 6
    assert dues == [10, 16, 22, 25, 25]
    await desk.claim_one("t")
    assert await admit(desk, "next", what) == ("CREATED", "next")
    assert (await desk.picture())["queue"]["next"] == desk.now_ms + 10


async def test_a_full_queue_takes_nothing_in(desk: Any) -> None:
    """Beyond the limit nothing is written, and the answer says how many wait; who runs does not count."""
    assert [await admit(desk, job_id, most=2) for job_id in "ab"] == [("CREATED", "a"), ("CREATED", "b")]
    before = await desk.picture()
    assert await admit(desk, "c", most=2) == ("FULL", "2")
    assert await desk.picture() == before
    assert await room(desk.redis.execute_command, desk.keys, most=2) == 0
    await desk.claim_one("t", limit=1)
    assert await room(desk.redis.execute_command, desk.keys, most=2) == 1
    assert await admit(desk, "c", most=2) == ("CREATED", "c")


async def test_what_needs_no_room_is_answered_by_a_full_queue(desk: Any) -> None:
    """A duplicate and a replacement add no job, so the limit does not concern them."""
    await admit(desk, "a", sole(), most=1)
    assert await admit(desk, "b", sole(), most=1) == ("DUPLICATE", "a")
    assert await admit(desk, "c", sole("done", "replace"), most=1) == ("REPLACED", "a")


async def test_what_is_dropped_becomes_a_dead_letter(desk: Any) -> None:
    """The job that is due longest and does not run makes room; payload and reason are kept."""
    await desk.enqueue("running")
    await desk.claim_one("t")
    await desk.enqueue("late", delay_ms=9)
    await desk.enqueue("early", delay_ms=1)
    desk.now_ms += 100_000
    assert await admit(desk, "new", most=2, drops=True) == ("CREATED", "new")
    picture = await desk.picture()
    assert set(picture["queue"]) == {"running", "late", "new"}
    letter = picture["letter:early"]
    assert (letter["reason"], letter["payload"], letter["attempts"]) == ("dropped", "early", "0")
    assert await desk.redis.sismember(desk.keys.dead_untold, "early")


async def test_a_lowered_limit_is_reached_step_by_step(desk: Any) -> None:
    """With more waiting than may, each new job drops two, so the queue shrinks."""
    await desk.enqueue(*"abcdef")
    for job_id, left in (("g", 5), ("h", 4), ("i", 3), ("j", 3)):
        assert await admit(desk, job_id, most=3, drops=True) == ("CREATED", job_id)
        assert await desk.redis.zcard(desk.keys.queue) == left


@pytest.mark.parametrize("drops", [False, True])
async def test_two_hundred_racing_enqueuers_never_exceed_the_limit(redis_url: str, drops: bool) -> None:
    """Counting and making are one step: at no moment more than 20 wait, whoever enqueues, claims and ends."""
    keys, most, words = keys_of("default"), 20, []
    async with Redis.from_url(redis_url, max_connections=50) as redis:

        async def enqueuer(number: int) -> None:
            for turn in range(2):
                wish = Wish(Entry(f"{number}.{turn}", 0, 0, b"p"), None)
                [answer] = await enqueue_checked(redis.execute_command, keys, [wish], most=most, drops=drops)
                words.append(answer.word)
                assert await redis.zcard(keys.queue) <= most

        await asyncio.gather(*(enqueuer(number) for number in range(200)))
        assert words.count("CREATED") == (400 if drops else most)
        assert await redis.zcard(keys.queue) == most
        assert await redis.zcard(keys.dead) == (400 - most if drops else 0)


calls = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from("de"), st.integers(0, 2)),
        st.tuples(st.just("claim"), st.just(""), st.integers(1, 3)),
        st.tuples(
            st.just("end"), st.sampled_from(["done", "dead", "again", "later", "back"]), st.integers(0, 5)
        ),
        st.tuples(st.just("cancel"), st.just(""), st.integers(0, 5)),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(calls)
async def test_of_one_digest_at_most_one_job_is_alive(desk: Any, steps: list[tuple[str, str, int]]) -> None:
    """Any history of calls, claims, ends and cancellations: one job a digest, and no record without a job."""
    await desk.redis.flushdb()
    alive: dict[str, str] = {}  # id -> digest
    leases: dict[str, Any] = {}
    for number, (verb, word, n) in enumerate(steps):
        if verb == "call":
            wish = Wish(Entry(f"{word}{number}", 0, 0, str(number).encode()), sole(digest=word))
            [answer] = await enqueue_checked(
                desk.redis.execute_command, desk.keys, [wish], most=2, now_ms=desk.now_ms
            )
            expected = [job_id for job_id, digest in alive.items() if digest == word]
            assert answer[:2] == ("DUPLICATE", expected[0]) if expected else answer.word == "CREATED"
            alive |= {} if expected else {answer.about: word}
        elif verb == "claim":
            claim = await desk.claim(f"t{number}", limit=n)
            leases |= {job.job_id: (f"t{number}", job) for job in claim.jobs}
        elif verb == "end" and leases:
            token, job = leases.pop(sorted(leases)[n % len(leases)])
            note = {"dead": "failed {}", "again": "{}", "later": "why"}.get(word, "")
            await desk.finish(job, token, word, 0, note=note)
            alive = {i: d for i, d in alive.items() if i != job.job_id or word not in ("done", "dead")}
        elif verb == "cancel" and alive:
            job_id = sorted(alive)[n % len(alive)]
            alive = {i: d for i, d in alive.items() if i != job_id or job_id in leases}  # one that runs stays
            await desk.cancel(job_id, keep_ms=0)
        desk.now_ms += 1
    held = await desk.redis.hgetall(desk.keys.unique_jobs)
    assert {job_id.decode(): digest.decode() for job_id, digest in held.items()} == alive
    assert len(await desk.redis.keys("*unique:*")) == len(alive)


async def test_a_tenant_has_only_so_many_jobs(desk: Any) -> None:
    """Waiting, due later, running, between attempts: each counts until it has ended, however it ends; another
    tenant's do not, nor do jobs without one; and what is sent twice counts once."""
    one = {"tenant": "t", "most_owned": 3}
    assert await admit(desk, "runs", **one) == await admit(desk, "runs", **one) == ("CREATED", "runs")
    job = await desk.claim_one("k")
    assert await admit(desk, "later", delay_ms=99_000, **one) == ("CREATED", "later")
    assert await admit(desk, "waits", **one) == ("CREATED", "waits")
    assert await admit(desk, "more", **one) == ("CROWDED", "3")
    for tenant in ("", "t ", "s", "tt"):
        assert await admit(desk, f"of{tenant}", tenant=tenant, most_owned=1) == ("CREATED", f"of{tenant}")
    assert await desk.finish(job, "k", "again", 50_000, note="{}") == 1
    assert await admit(desk, "more", **one) == ("CROWDED", "3")
    assert await desk.cancel("waits", keep_ms=0) == 1
    assert await admit(desk, "more", **one) == ("CREATED", "more")
    assert await admit(desk, "evenmore", **one) == ("CROWDED", "3")


@pytest.mark.parametrize(("verb", "note"), [("done", ""), ("dead", "failed {}")])
async def test_an_end_makes_room_for_the_tenants_next(desk: Any, verb: str, note: str) -> None:
    """One at a time comes in; nothing is left of the count; without a bound nothing is counted."""
    for job_id in ("a", "b"):
        assert await admit(desk, job_id, tenant="t", most_owned=1) == ("CREATED", job_id)
        job = await desk.claim_one(f"k{job_id}")
        assert await admit(desk, "c", tenant="t", most_owned=1) == ("CROWDED", "1")
        assert await desk.finish(job, f"k{job_id}", verb, 0, note=note) == 1
    assert await admit(desk, "c", tenant="t") == ("CREATED", "c")
    assert await desk.redis.exists(f"{desk.keys.here}owned") == 0


async def test_a_replaced_job_counts_for_the_tenant_it_has_now(desk: Any) -> None:
    """Its old tenant has room again."""
    take = sole(on_conflict="replace")
    assert await admit(desk, "a", take, tenant="s", most_owned=1) == ("CREATED", "a")
    assert await admit(desk, "a2", take, tenant="t", most_owned=1) == ("REPLACED", "a")
    assert await admit(desk, "b", tenant="t", most_owned=1) == ("CROWDED", "1")
    assert await admit(desk, "b", tenant="s", most_owned=1) == ("CREATED", "b")
