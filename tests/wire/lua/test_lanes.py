"""Lanes and gates in the scripts: who is claimed next, who waits for a slot, and what that costs."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.lanes import Gate, Lane
from runner.wire.keys import PARKED

STEP_MS = 60_000


def of(tenant: str = "", priority: int = 5, *gates: str, on_full: Any = "wait") -> str:
    return Lane(tenant, priority, tuple(Gate(gate, gate, on_full) for gate in gates)).spec


async def claimed(desk: Any, limit: int = 10, **options: Any) -> list[str]:
    return [job.job_id for job in (await desk.claim(limit=limit, **options)).jobs]


async def closed(desk: Any, till_ms: int) -> None:
    """Close gate g, as a report of its calls does."""
    await desk.redis.hset(desk.keys.gate("g"), "u", till_ms)
    await desk.redis.zadd(desk.keys.gates, {"g": till_ms})


async def limit(desk: Any, **limits: int) -> None:
    await desk.scripts.set_rules(desk.keys, {f"limit:{name}": str(n) for name, n in limits.items()})


async def finish_all(desk: Any, claim: Any, token: str, verb: str = "done") -> None:
    await desk.finish_all([desk.end(job, token, verb) for job in claim.jobs])


async def commands(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(found["calls"] for name, found in stats.items() if "info" not in name and "config" not in name)


async def test_a_ready_job_in_a_lane_stands_far_off_in_the_queue_and_is_told_its_due_time(desk: Any) -> None:
    """No page of due jobs meets it; the claim tells when it was due, and that it is of a lane."""
    await desk.enqueue("a", at_ms=desk.now_ms - 7, lane=of("t"))
    assert (await desk.picture())["queue"] == {"a": PARKED + desk.now_ms - 7}
    [job] = (await desk.claim("t1")).jobs
    assert (job.due_at_ms, job.is_laned, job.is_skipped, job.attempt) == (desk.now_ms - 7, True, False, 1)
    assert (await desk.picture())["queue"] == {"a": desk.now_ms + 15_000}
    await desk.finish(job, "t1", "done")
    assert await desk.picture() == {}


async def test_nothing_in_a_lane_starts_before_it_is_due(desk: Any) -> None:
    """The most urgent priority is worth a head start among ready jobs, not before the due time."""
    await desk.enqueue("late", delay_ms=10, lane=of("", 0))
    claim = await desk.claim()
    assert (claim.jobs, claim.next_due_ms) == ([], 10)
    desk.now_ms += 10
    assert await claimed(desk) == ["late"]


async def test_tenants_take_turns_and_jobs_without_one_are_one_tenant(desk: Any) -> None:
    """However many jobs a tenant has, the next one of each other comes within a round."""
    await desk.enqueue(*(f"big{i:02}" for i in range(20)), lane=of("big"))
    await desk.enqueue("small1", "small2", lane=of("small"))
    await desk.enqueue("plain1", "plain2")
    order = await claimed(desk, 8)
    assert [sorted(name[:5] for name in order[i : i + 3]) for i in (0, 3)] == [
        ["big00", "plain", "small"],
        ["big01", "plain", "small"],
    ]
    assert order[6:] == ["big02", "big03"]


async def test_who_had_a_turn_stands_behind_tenants_that_a_claim_has_not_read_yet(desk: Any) -> None:
    """Tenants whose lanes turn out to wait make a claim go on past those that it read at first."""
    await limit(desk, g=0)
    for tenant in ("a", "d"):
        await desk.enqueue(f"{tenant}1", lane=of(tenant, 5, "g"))
    for tenant in ("b", "c", "e"):
        await desk.enqueue(f"{tenant}1", f"{tenant}2", lane=of(tenant))
    assert await claimed(desk, 3) == ["b1", "c1", "e1"]
    assert sorted(await claimed(desk, 3)) == ["b2", "c2", "e2"]


async def test_a_tenant_with_one_lane_gets_a_second_one_and_loses_both(desk: Any) -> None:
    """The lane whose head ranks first goes first, also a second one; what is cancelled leaves nothing."""
    await limit(desk, g=5)
    await desk.enqueue("old1", "old2", lane=of("t"))
    desk.now_ms += 5
    await desk.enqueue("new", lane=of("t", 5, "g"))
    await desk.enqueue("urgent", lane=of("t", 0, "g"))
    assert [await claimed(desk, 1) for _ in range(2)] == [["urgent"], ["old1"]]
    await desk.enqueue("lone", lane=of("u"))
    for job_id in ("old2", "new", "lone"):
        assert await desk.cancel(job_id) == 1
    left = {key.removeprefix(desk.keys.here).partition(":")[0] for key in await desk.picture()}
    assert left & {"lane", "lanes", "lone", "tenants", "turn"} == {"turn"}


async def test_a_weight_is_a_share_of_the_turns_and_counts_from_the_next_claim(desk: Any) -> None:
    """Of 12 turns a tenant of weight 3 gets three times as many as one of weight 1."""
    await desk.enqueue(*(f"a{i:02}" for i in range(30)), lane=of("a"))
    await desk.enqueue(*(f"b{i:02}" for i in range(30)), lane=of("b"))
    await desk.scripts.set_rules(desk.keys, {"weight:a": "3"})
    await claimed(desk, 4)
    assert sum(name[0] == "a" for name in await claimed(desk, 12)) == 9
    await desk.scripts.set_rules(desk.keys, {"weight:a": ""})
    await claimed(desk, 4)
    assert sum(name[0] == "a" for name in await claimed(desk, 12)) == 6


async def test_coming_back_again_and_again_gains_no_turns(desk: Any) -> None:
    """A tenant that enqueues its next job only when the last was claimed passes nobody."""
    await desk.enqueue(*(f"x{i:02}" for i in range(20)), lane=of("x"))
    await desk.enqueue(*(f"y{i:02}" for i in range(20)), lane=of("y"))
    order: list[str] = []
    for i in range(15):
        await desk.enqueue(f"trickle{i}", lane=of("trickle"))
        order += await claimed(desk, 1)
    assert sum(name.startswith("trickle") for name in order) == 5


async def test_a_small_tenants_wait_does_not_depend_on_a_big_ones_backlog(desk: Any) -> None:
    """100 tenants with 10 jobs: all are claimed within as many claims, whether another has 10 or 5,000."""
    turns = []
    for backlog in (10, 5000):
        await desk.redis.flushdb()
        for start in range(0, backlog, 500):
            await desk.enqueue(*(f"big{i}" for i in range(start, min(backlog, start + 500))), lane=of("big"))
        for tenant in range(100):
            await desk.enqueue(*(f"s{tenant}-{i}" for i in range(10)), lane=of(f"s{tenant}"))
        order: list[str] = []
        while sum(name[0] == "s" for name in order) < 1000:
            order += await claimed(desk, 100)
        turns.append(max(n for n, name in enumerate(order) if name[0] == "s"))
    assert turns == [1009, 1009]


async def test_a_priority_is_a_fixed_head_start(desk: Any) -> None:
    """Of two jobs that differ by one step the less urgent goes first if due more than a step earlier."""
    await desk.enqueue("old9", at_ms=desk.now_ms - 4 * STEP_MS - 1, lane=of("", 9))
    await desk.enqueue("plain", at_ms=desk.now_ms)
    await desk.enqueue("urgent", at_ms=desk.now_ms, lane=of("", 0))
    await desk.enqueue("new9", at_ms=desk.now_ms - 4 * STEP_MS + 1, lane=of("", 9))
    assert await claimed(desk) == ["urgent", "old9", "plain", "new9"]


@settings(
    max_examples=25,
    derandomize=True,
)
@given(jobs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 900_000)), min_size=1, max_size=30))
async def test_whoever_waits_is_overtaken_only_for_a_bounded_time(
    desk: Any, jobs: list[tuple[int, int]]
) -> None:
    """A job goes before all that fell due more than (its priority - theirs) steps after it."""
    await desk.redis.flushdb()
    for number, (priority, ago_ms) in enumerate(jobs):
        await desk.enqueue(f"{number}", at_ms=desk.now_ms - ago_ms, lane=of("", priority))
    order = [int(job_id) for job_id in await claimed(desk, 30)]
    assert sorted(order) == list(range(len(jobs)))
    for place, first in enumerate(order):
        for then in order[place + 1 :]:
            waited_ms = jobs[then][1] - jobs[first][1]
            assert waited_ms <= (jobs[then][0] - jobs[first][0]) * STEP_MS


async def test_strict_priorities_are_a_step_no_wait_is_as_long_as(desk: Any) -> None:
    """With the step of strict queues the more urgent goes first however long another has waited."""
    await desk.scripts.set_rules(desk.keys, {"step": str(10**13)})
    await desk.enqueue("years", at_ms=1, lane=of("", 9))
    await desk.enqueue("plain", at_ms=desk.now_ms)
    await desk.enqueue("now", at_ms=desk.now_ms, lane=of("", 4))
    assert await claimed(desk) == ["now", "plain", "years"]


@pytest.mark.parametrize("verb", ["done", "dead", "again", "later", "back"])
async def test_a_slot_is_free_again_with_the_end_of_its_attempt(desk: Any, verb: str) -> None:
    """Two pass at once, the third when one has ended, however it ended."""
    await limit(desk, g=2)
    await desk.enqueue("a", "b", "c", lane=of("", 5, "g"))
    claim = await desk.claim("t")
    assert ([job.job_id for job in claim.jobs], claim.lanes_wait) == (["a", "b"], True)
    assert await claimed(desk) == []
    ms = {"again": 99_000, "later": 99_000, "back": desk.now_ms + 99_000}.get(verb, 0)
    await desk.finish(claim.jobs[0], "t", verb, ms, note={"dead": "failed {}", "done": ""}.get(verb, "{}"))
    assert await claimed(desk) == ["c"]


async def test_a_slot_stays_with_the_job_over_the_death_of_its_worker(desk: Any) -> None:
    """The job that falls due again runs in its own slot, before those that wait for one."""
    await limit(desk, g=1)
    await desk.enqueue("a", "b", lane=of("", 5, "g"))
    assert await claimed(desk) == ["a"]
    await desk.let_lease_end("a")
    again = await desk.claim("again")
    assert [(job.job_id, job.deaths) for job in again.jobs] == [("a", 1)]
    assert await claimed(desk) == []
    await finish_all(desk, again, "again")
    assert await claimed(desk) == ["b"]


async def test_several_gates_are_passed_all_or_none(desk: Any) -> None:
    """A job that one of its gates stops holds no slot of the others, and does not keep one from others."""
    await limit(desk, g=1, h=1)
    await desk.enqueue("g1", lane=of("", 5, "g"))
    await desk.enqueue("both", lane=of("", 5, "h", "g"))
    await desk.enqueue("h1", lane=of("", 5, "h"))
    first = await desk.claim("t")
    assert [job.job_id for job in first.jobs] == ["g1", "h1"]
    await desk.finish(first.jobs[1], "t", "done")
    assert await claimed(desk) == []
    await desk.finish(first.jobs[0], "t", "done")
    assert await claimed(desk) == ["both"]


async def test_a_slot_that_nobody_took_goes_to_the_next_in_line(desk: Any) -> None:
    """A lane that came back for it, and is stopped by another gate then, leaves it to those behind."""
    await limit(desk, g=1, h=1)
    await desk.enqueue("g1", lane=of("", 5, "g"))
    await desk.enqueue("h1", lane=of("", 5, "h"))
    first = await desk.claim("t")
    await desk.enqueue("both", lane=of("", 5, "h", "g"))
    assert await claimed(desk) == []
    desk.now_ms += 1
    await desk.enqueue("h2", lane=of("", 5, "h"))
    assert await claimed(desk) == []
    await desk.finish(next(job for job in first.jobs if job.job_id == "h1"), "t", "done")
    assert [*await claimed(desk), *await claimed(desk)] == ["h2"]


async def test_a_gate_that_opens_lets_all_lanes_go_on_in_bounded_steps(desk: Any) -> None:
    """At most 50 a claim, which says that there is more."""
    await closed(desk, desk.now_ms + 5)
    for number in range(55):
        await desk.enqueue(f"{number}", lane=of(f"t{number}", 5, "g"))
    assert await claimed(desk, 100) == []
    desk.now_ms += 5
    claim = await desk.claim("t", limit=100)
    assert (len(claim.jobs), claim.more) == (50, True)
    assert len(await claimed(desk, 100)) == 5


async def test_another_lane_does_not_move_its_tenant(desk: Any) -> None:
    """Who enqueues behind ever new gates has its turns like everybody, neither more nor fewer."""
    await desk.enqueue(*(f"y{i:02}" for i in range(20)), lane=of("y"))
    order: list[str] = []
    for number in range(12):
        await desk.enqueue(f"z{number}", lane=of("z", 5, f"g{number}"))
        order += await claimed(desk, 1)
    assert sum(name[0] == "z" for name in order) == 6


async def test_a_full_gate_holds_up_nobody_else(desk: Any) -> None:
    """Jobs behind it, of the same tenant too, go on when their own gates are open."""
    await limit(desk, slow=1, fast=10)
    await desk.enqueue(*(f"slow{i}" for i in range(50)), lane=of("t", 5, "slow"))
    await desk.enqueue(*(f"fast{i}" for i in range(5)), lane=of("t", 5, "fast"))
    assert sorted(await claimed(desk)) == [*(f"fast{i}" for i in range(5)), "slow0"]


async def test_a_claim_costs_the_same_however_many_jobs_wait_behind_a_full_gate(desk: Any) -> None:
    """The commands that a claim makes do not grow with the jobs, or lanes, that are parked."""
    costs = []
    for parked in (10, 10_000):
        await desk.redis.flushdb()
        await limit(desk, g=1)
        for start in range(0, parked, 500):
            ids = [f"p{i}" for i in range(start, min(parked, start + 500))]
            await desk.enqueue(*ids, lane=of(f"t{start}", 5, "g"))
        await desk.enqueue(*(f"free{i}" for i in range(20)))
        await claimed(desk, 1)
        await claimed(desk, 5)
        before = await commands(desk.redis)
        assert len(await claimed(desk, 5)) == 5
        costs.append(await commands(desk.redis) - before)
    assert costs[1] <= costs[0] + 2


async def test_keys_of_a_limit_leave_nothing_behind_when_their_jobs_are_gone(desk: Any) -> None:
    """However many there were: no key of theirs, no lane, no tenant."""
    await limit(desk, host=5)
    lanes = [Lane(f"t{n}", 5, (Gate(f"host:{n}", "host"),)).spec for n in range(300)]
    for n, lane in enumerate(lanes):
        await desk.enqueue(f"j{n}", lane=lane)
    for token in ("t1", "t2", "t3"):
        claim = await desk.claim(token, limit=100)
        assert len(claim.jobs) == 100
        await finish_all(desk, claim, token)
    assert set(await desk.picture()) == {f"{desk.keys.here}rules"}


async def test_10_000_tenants_cost_a_claim_what_10_do(desk: Any) -> None:
    """Picking the next tenant is a look at the first of a ZSET."""
    costs = []
    for tenants in (10, 10_000):
        await desk.redis.flushdb()
        entries = [(f"j{i}", of(f"t{i}")) for i in range(tenants)]
        pipe = desk.redis.pipeline()
        for job_id, spec in entries:
            pipe.zadd(desk.keys.queue, {job_id: PARKED + desk.now_ms})
            pipe.hset(desk.keys.laned, job_id, spec)
            pipe.zadd(f"{desk.keys.here}lane:t{job_id[1:]}", {job_id: desk.now_ms})
            pipe.hset(f"{desk.keys.here}lone", f"t{job_id[1:]}", f"t{job_id[1:]}")
            pipe.zadd(f"{desk.keys.here}tenants", {f"t{job_id[1:]}": 1})
        await pipe.execute()
        before = await commands(desk.redis)
        assert len(await claimed(desk, 10)) == 10
        costs.append(await commands(desk.redis) - before)
    assert costs[1] <= costs[0] + 2


async def test_a_limit_is_changed_at_run_time_for_the_next_claim(desk: Any) -> None:
    """Higher lets more pass at once, lower fewer, 0 nobody; what is set goes before what tasks declare."""
    await limit(desk, g=1)
    await desk.enqueue(*"abcdef", lane=of("", 5, "g"))
    assert await claimed(desk) == ["a"]
    await desk.scripts.set_rules(desk.keys, {"set:g": "3"})
    assert await claimed(desk) == ["b", "c"]
    await desk.scripts.set_rules(desk.keys, {"set:g": "0"})
    assert await claimed(desk) == []
    await desk.scripts.set_rules(desk.keys, {"set:g": "", "limit:g": ""})
    assert await claimed(desk) == ["d", "e", "f"]


async def test_a_closed_gate_is_passed_by_nobody_until_it_opens_by_itself(desk: Any) -> None:
    """The claim tells when; a job that died there waits too; opened by hand it is looked at at once."""
    await desk.enqueue("a", "b", lane=of("", 5, "g"))
    assert await claimed(desk, 1) == ["a"]
    await desk.let_lease_end("a")
    opens_ms = desk.now_ms + 5_000
    await closed(desk, opens_ms)
    claim = await desk.claim()
    assert (claim.jobs, claim.next_due_ms, claim.lanes_wait) == ([], 5_000, True)
    desk.now_ms = opens_ms
    assert sorted(await claimed(desk)) == ["a", "b"]


async def test_full_can_mean_that_a_job_is_skipped(desk: Any) -> None:
    """It is claimed without a slot and marked; a closed gate is no full one."""
    await limit(desk, g=1)
    await desk.enqueue("a", "b", "c", lane=of("", 5, "g", on_full="skip"))
    claim = await desk.claim("t")
    assert [(job.job_id, job.is_skipped) for job in claim.jobs] == [("a", False), ("b", True), ("c", True)]
    await finish_all(desk, claim, "t")
    await desk.enqueue("d", lane=of("", 5, "g", on_full="skip"))
    await closed(desk, desk.now_ms + 10)
    assert await claimed(desk) == []
    desk.now_ms += 10
    assert [job.is_skipped for job in (await desk.claim()).jobs] == [False]


async def test_full_can_mean_that_the_oldest_is_cancelled(desk: Any) -> None:
    """It is asked to stop, the claim says so, and the new one starts when it is gone."""
    await limit(desk, g=1)
    await desk.enqueue("a", lane=of("", 5, "g", on_full="cancel_oldest"))
    first = await desk.claim("t")
    await desk.enqueue("b", lane=of("", 5, "g", on_full="cancel_oldest"))
    claim = await desk.claim()
    assert (claim.jobs, claim.cancels, (await desk.picture())["abort"]) == ([], True, {"a": desk.now_ms})
    await finish_all(desk, first, "t")
    assert await claimed(desk) == ["b"]


async def test_a_job_sorted_into_its_lane_has_spent_nothing(desk: Any) -> None:
    """A job that came without a lane, as a stock client's, is given back with one: first attempt still."""
    await limit(desk, g=1)
    await desk.enqueue("a", "b")
    claim = await desk.claim("t")
    ends = [desk.end(job, "t", "sort", job.due_at_ms, note=of("", 5, "g")) for job in claim.jobs]
    assert await desk.finish_all(ends) == [1, 1]
    [job] = (await desk.claim()).jobs
    assert (job.job_id, job.attempt, job.snoozes, job.deaths, job.is_laned) == ("a", 1, 0, 0, True)


async def test_jobs_that_fall_due_later_are_not_held_up_by_a_backlog_of_plain_ones(desk: Any) -> None:
    """A retry of a tenant takes its turn, though thousands without a tenant were due before."""
    await desk.enqueue("retry", delay_ms=10, lane=of("t"))
    for start in range(0, 2000, 500):
        await desk.enqueue(*(f"p{i}" for i in range(start, start + 500)))
    assert "retry" not in await claimed(desk, 4)
    desk.now_ms += 10
    assert "retry" in await claimed(desk, 4)


async def test_what_a_cancelled_job_leaves_lets_the_next_go_on(desk: Any) -> None:
    """A parked job is cancelled at once, and its empty lane stands in nobody's way."""
    await limit(desk, g=1)
    await desk.enqueue("a", lane=of("", 5, "g"))
    await desk.enqueue("b", lane=of("b", 5, "g"))
    await desk.enqueue("c", lane=of("c", 5, "g"))
    first = await desk.claim("t")
    assert await desk.cancel("b", keep_ms=0) == 1
    await finish_all(desk, first, "t")
    assert await claimed(desk) == ["c"]


async def test_upkeep_mends_what_a_stock_worker_or_a_hand_left(desk: Any) -> None:
    """A job that is gone has no slot; a ready one that stands nowhere is put where it belongs."""
    await limit(desk, g=1)
    await desk.enqueue("gone", "next", lane=of("", 5, "g"))
    assert await claimed(desk) == ["gone"]
    await desk.redis.zrem(desk.keys.queue, "gone")
    assert await desk.scripts.maintain(desk.keys, cursor=0) == 0
    await desk.redis.delete(*[key async for key in desk.redis.scan_iter(f"{desk.keys.here}lane*:*")])
    await desk.redis.delete(f"{desk.keys.here}waiting:g")
    await desk.scripts.maintain(desk.keys, cursor=0)
    assert await claimed(desk) == ["next"]
    assert await desk.redis.zrange(desk.keys.holders("g"), 0, -1) == [b"next"]
