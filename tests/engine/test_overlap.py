"""One half of the slots runs while the server works on the other: what is claimed and has not begun."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from runner import events, task
from runner.engine.claim import Rounds
from runner.engine.sharing import ServedQueue
from runner.engine.worker import Worker
from runner.wire.scripts import Scripts


@task
async def noted(ctx: Any) -> None:
    ctx["began"].append(ctx.job_id)


@contextlib.asynccontextmanager
async def holding(yard: Any, began: list[str], jobs: list[str]) -> AsyncIterator[Worker]:
    """A worker that has claimed these jobs and begun none of them."""
    worker = yard.worker(noted, ctx={"began": began})
    await worker._open()
    worker._is_serving = True  # it writes nothing by itself
    if jobs:
        await worker._rounds.run(in_flight=0, slots=len(jobs))
    assert worker._running.attempts.keys() == set(jobs)
    yield worker
    worker._is_stopping = True
    await worker._rounds.run(in_flight=0, slots=-1)
    await worker.close()


class Trips:
    """Makes each round of a worker last until what begins beside it has ended; counts those under way."""

    def __init__(self, worker: Worker, when_two: Callable[[], None] = lambda: None) -> None:
        self.worker, self.when_two, self.now, self.most = worker, when_two, 0, 0
        self.run, worker._rounds.run = worker._rounds.run, self.run_slowly

    async def run_slowly(self, **given: Any) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == 2:
            asyncio.get_running_loop().call_later(0, self.when_two)
        try:
            await self.run(**given)
            while self.now == 1 and self.worker._running.tasks:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
        finally:
            self.now -= 1


async def carry_on(worker: Worker) -> None:
    """Begin what is held and let it end."""
    await worker._running.begin()
    await asyncio.gather(*worker.tasks.values())
    await worker._rounds.run(in_flight=0, slots=-1)


async def test_what_runs_beside_a_round_begins_when_its_commands_are_sent(yard: Any) -> None:
    """Neither before them, or the server would wait, nor after the answer, or the worker would."""
    order: list[str] = []

    async def execute(*command: Any) -> Any:
        order.append("sent")
        reply = await yard.redis.execute_command(*command)
        order.append("answered")
        return reply

    async def beside() -> None:
        order.append("beside")

    rounds = Rounds(
        Scripts(execute),
        [ServedQueue(yard.keys, 1)],
        worker="w",
        lease_ms=1000,
        strict=False,
        on_claimed=lambda queue, jobs, token, now_ms: None,
        on_settled=lambda queue, ends: None,
    )
    await yard.scripts.claim(
        yard.keys, token="t.1", worker="w", limit=1, lease_ms=1000
    )  # the server knows it
    await rounds.run(in_flight=0, slots=1, beside=beside())
    assert order == ["sent", "beside", "answered"]


async def test_what_was_claimed_begins_though_no_round_follows(yard: Any) -> None:
    """Nothing ends and no more is due: no trip carries a lone job along, and it waits for none."""
    began: list[str] = []
    async with holding(yard, began, []) as worker:
        job = await yard.put(noted)
        worker._rounds.note_changed([])
        worker._serving.next_beat = asyncio.get_running_loop().time() + 3600  # a beat begins jobs, too
        worker._serving.must_look_for_aborts = False
        steps = [await worker._serving._step() for _ in range(4)]
        assert (steps[0], steps[-1]) == (True, False)  # there is nothing to do any more: it would sleep
        await asyncio.gather(*worker.tasks.values())
        assert began == [job]
        await worker._rounds.run(in_flight=0, slots=-1)
    assert await yard.state(job) == "succeeded"


@pytest.mark.parametrize("max_jobs", [1, 7, 60])
async def test_what_is_claimed_and_not_over_never_exceeds_the_slots(
    yard: Any, max_jobs: int, wait_until: Any
) -> None:
    """From its claim to its outcome a job holds a slot, begun or not; jobs that wait fill all slots."""
    claimed, most, may_end = set[str](), 0, asyncio.Event()

    @task
    async def waits(ctx: Any) -> None:
        await may_end.wait()

    def note(fields: Any) -> None:
        nonlocal most
        claimed.add(fields["job_id"])
        most = max(most, len(claimed))

    async def let_end() -> None:
        await wait_until(lambda: most >= max_jobs, "all slots are taken")
        for _ in range(20):  # trips in which a worker that counts wrong would claim more
            await yard.redis.ping()
        may_end.set()

    for _ in range(200):
        await yard.put(waits)
    forget = [
        events.subscribe("job.claimed", note),
        events.subscribe("job.ended", lambda fields: claimed.discard(fields["job_id"])),
    ]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(let_end())
            worker = await asyncio.wait_for(yard.drain(waits, max_jobs=max_jobs), 30)
    finally:
        for each in forget:
            each()
    assert (worker.jobs_complete, most, claimed) == (200, max_jobs, set())


async def test_jobs_begin_while_a_trip_is_under_way(yard: Any) -> None:
    """A drain is faster than its worker and its server one after the other: they work at once."""
    under_way: list[bool] = []

    @task
    async def looks(ctx: Any) -> None:
        under_way.append(bool(ctx["worker"]._link._sent))

    for _ in range(300):
        await yard.put(looks)
    worker = yard.worker(looks, burst=True)
    worker.ctx["worker"] = worker
    await asyncio.wait_for(worker.main(), 30)
    await worker.close()
    assert len(under_way) == 300
    assert under_way.count(True) >= 75


@pytest.mark.parametrize("stop", ["handle_sig", "handle_sig_wait_for_completion"])
async def test_a_stop_gives_back_what_has_not_begun(yard: Any, stop: str) -> None:
    """A signal between the claim's answer and the start: no call, no attempt spent, nothing leased."""
    began: list[str] = []
    jobs = [await yard.put(noted) for _ in range(200)]  # more wait: no claim is the last one
    worker = yard.worker(noted, ctx={"began": began})
    seen: list[str] = []

    def signal_at_a_full_claim(fields: Any) -> None:
        seen.append(fields["job_id"])
        if len(seen) == 100:
            getattr(worker, stop)(15)

    forget = events.subscribe("job.claimed", signal_at_a_full_claim)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(worker.async_run(), 20)
    finally:
        forget()
    await worker.close()
    states = {job: await yard.state(job) for job in jobs}
    given_back = {job for job, state in states.items() if state == "waiting"}
    assert set(states.values()) == {"succeeded", "waiting"}
    assert given_back.isdisjoint(began)
    assert len(given_back) >= 50
    for job in given_back:
        assert await yard.redis.get(yard.keys.retry(job)) in (None, b"0")
    assert await yard.redis.hlen(yard.keys.running) == 0


async def test_a_job_aborted_before_it_begins_is_not_called(yard: Any) -> None:
    """It ends as cancelled, and its neighbour runs."""
    began: list[str] = []
    jobs = [await yard.put(noted) for _ in range(2)]
    async with holding(yard, began, jobs) as worker:
        assert await yard.scripts.cancel(yard.keys, jobs[0], result=b"", keep_ms=1000) == 2
        await worker._cancel_aborted_jobs()
        await carry_on(worker)
    assert began == jobs[1:]
    assert [await yard.state(job) for job in jobs] == ["cancelled", "succeeded"]
    assert await yard.leftovers_of_jobs() == []


async def test_what_has_not_begun_keeps_its_lease(yard: Any) -> None:
    """It is renewed with the rest; of one that is lost nothing is called or written."""
    began: list[str] = []
    jobs = [await yard.put(noted) for _ in range(2)]
    async with holding(yard, began, jobs) as worker:
        ends = [await yard.redis.zscore(yard.keys.queue, job) for job in jobs]
        await yard.redis.delete(yard.keys.lease(jobs[0]))
        await yard.redis.zadd(yard.keys.queue, {jobs[0]: 1})
        taken = await yard.scripts.claim(
            yard.keys, token="t", worker="t", limit=1, lease_ms=60_000, is_idle=True
        )
        assert [job.job_id for job in taken.jobs] == jobs[:1]
        worker._upkeep.lease_s = 3600
        await worker._upkeep.renew()
        assert await yard.redis.zscore(yard.keys.queue, jobs[1]) > ends[1] + 3_000_000
        await carry_on(worker)
    assert began == jobs[1:]
    assert [await yard.state(job) for job in jobs] == ["running", "succeeded"]


async def test_a_suspect_that_has_not_begun_is_alone_already(yard: Any) -> None:
    """Nothing is claimed beside it."""
    job = await yard.put(noted)
    await yard.redis.hset(yard.keys.record(job), mapping={"d": 2, "f": 1})
    async with holding(yard, [], []) as worker:
        for _ in range(3):  # it is made a suspect, then given alone; from then on nothing is asked for
            worker._rounds.note_changed([])
            slots = worker._serving.free_slots()
            await worker._rounds.run(in_flight=worker._running.in_flight, slots=slots)
        assert worker._running.attempts.keys() == {job}
        assert worker._serving.free_slots() == -1
        await carry_on(worker)
        assert worker._serving.free_slots() > 0


async def test_what_was_claimed_begins_though_its_round_failed(yard: Any) -> None:
    """A server that goes away with one answer of a round keeps waiting nobody whom another one leased."""
    order: list[str] = []
    await yard.put(noted)
    worker = yard.worker(noted, burst=True, ctx={"began": order})
    run = worker._rounds.run

    async def run_and_fail_once(**given: Any) -> None:
        is_first = "round" not in order
        order.append("round")
        await run(**given)
        if is_first:
            raise ConnectionError("the server is away")

    worker._rounds.run = run_and_fail_once
    await asyncio.wait_for(worker.main(), 20)
    await worker.close()
    assert order[:3] == ["round", "j1", "round"]


async def test_a_round_overtakes_another_when_a_half_has_ended(yard: Any) -> None:
    """Worker and server are both busy then; two at most, and no more is claimed than there are slots."""
    held, most = set[str](), 0

    @task
    async def mostly_short(ctx: Any) -> None:
        ctx["began"].append(ctx.job_id)
        for _ in range(0 if len(ctx["began"]) % 6 else 50):
            await asyncio.sleep(0)

    def note(fields: Any) -> None:
        nonlocal most
        held.add(fields["job_id"])
        most = max(most, len(held))

    jobs = [await yard.put(mostly_short) for _ in range(400)]
    forget = [
        events.subscribe("job.claimed", note),
        events.subscribe("job.ended", lambda fields: held.discard(fields["job_id"])),
    ]
    began: list[str] = []
    worker = yard.worker(mostly_short, burst=True, max_jobs=60, ctx={"began": began})
    trips = Trips(worker)
    try:
        await asyncio.wait_for(worker.main(), 30)
    finally:
        for each in forget:
            each()
    await worker.close()
    assert sorted(began) == sorted(jobs)
    assert (trips.most, held) == (2, set())
    assert most <= 60


async def test_slots_that_a_claim_under_way_may_fill_are_not_free(yard: Any) -> None:
    """Of two claims under way neither knows what the other brings."""
    async with holding(yard, [], []) as worker:
        claiming, half = worker._rounds.queues[0].claiming, worker.max_jobs // 2
        assert worker._serving.free_slots() == half
        claiming[1] = half + 3
        assert worker._serving.free_slots() == half - 3
        claiming[2] = half - 3
        assert worker._serving.free_slots() == 0
        claiming.clear()


async def test_a_connection_lost_with_two_rounds_under_way_loses_and_repeats_nothing(yard: Any) -> None:
    """Outcomes are kept, and each claim whose answer is lost is asked again by its own token."""
    began: list[str] = []
    jobs = [await yard.put(noted) for _ in range(400)]
    worker = yard.worker(noted, burst=True, max_jobs=60, ctx={"began": began})
    lost: list[int] = []

    def lose() -> None:
        if len(lost) < 3:
            worker._link._break(RedisConnectionError("lost"))
            lost.append(1)

    Trips(worker, lose)
    await asyncio.wait_for(worker.main(), 30)
    await worker.close()
    assert len(lost) == 3
    assert sorted(began) == sorted(jobs)
    assert {await yard.state(job) for job in jobs} == {"succeeded"}
    assert await yard.redis.hlen(yard.keys.running) == 0


@pytest.fixture
def losing(yard: Any) -> tuple[Rounds, list[str], Callable[[], None]]:
    """Rounds whose answers are lost until the last of these is called, and the ids that claims brought."""
    taken: list[str] = []
    is_away = True

    async def execute(*command: Any) -> Any:
        reply = await yard.redis.execute_command(*command)
        if is_away:
            raise RedisConnectionError("the answer is lost")
        return reply

    def come_back() -> None:
        nonlocal is_away
        is_away = False

    rounds = Rounds(
        Scripts(execute),
        [ServedQueue(yard.keys, 1)],
        worker="w",
        lease_ms=3_600_000,
        strict=False,
        on_claimed=lambda queue, jobs, token, now_ms: taken.extend(job.job_id for job in jobs),
        on_settled=lambda queue, ends: None,
    )
    return rounds, taken, come_back


async def lose_two_claims(yard: Any, rounds: Rounds) -> None:
    """Lease two jobs twice, and hear of neither."""
    # By another way first: the script is known then.
    await yard.scripts.claim(yard.keys, token="t.1", worker="w", limit=0, lease_ms=1000)
    both = [rounds.run(in_flight=1, slots=2), rounds.run(in_flight=1, slots=2)]
    rounds.queues[0].has_more = True  # or the second one would have nothing to claim
    kinds = [type(each) for each in await asyncio.gather(*both, return_exceptions=True)]
    assert kinds == [RedisConnectionError] * 2
    assert await yard.redis.hlen(yard.keys.running) == 4


async def test_each_of_two_lost_claims_is_asked_again(yard: Any, losing: Any) -> None:
    """What they have leased comes with later claims, once each; nothing waits for a lease to end."""
    rounds, taken, come_back = losing
    jobs = [await yard.put(noted) for _ in range(4)]
    await lose_two_claims(yard, rounds)
    assert (len(rounds.queues[0].lost_claims), rounds.claiming, taken) == (2, 0, [])
    come_back()
    for _ in range(2):
        await rounds.run(in_flight=1, slots=2)
    assert sorted(taken) == sorted(jobs)
    assert not rounds.has_lost_claim()


async def test_who_stops_gives_back_what_lost_claims_have_leased(yard: Any, losing: Any) -> None:
    """And claims nothing for it: after an outage another worker's job could be among what is due."""
    rounds, taken, come_back = losing
    for _ in range(5):
        await yard.put(noted)
    await lose_two_claims(yard, rounds)
    come_back()
    await rounds.return_lost()
    assert (taken, rounds.has_lost_claim()) == ([], False)
    assert await yard.redis.hlen(yard.keys.running) == 0
    claim = await yard.scripts.claim(yard.keys, token="t.2", worker="w", limit=9, lease_ms=1000)
    assert [job.attempt for job in claim.jobs] == [1] * 5


async def test_an_idle_workers_claim_fills_all_slots(yard: Any) -> None:
    """It may bring a suspect, who has the worker to itself: until it is answered nothing else is claimed."""
    free: list[int] = []

    async def execute(*command: Any) -> Any:
        free.append(worker._serving.free_slots())
        return await yard.redis.execute_command(*command)

    async with holding(yard, [], []) as worker:
        worker._rounds._scripts = Scripts(execute)
        await worker._rounds.run(in_flight=0, slots=1)
        assert free
        assert max(free) < 1
        assert worker._serving.free_slots() > 0


@pytest.mark.parametrize("turns", range(0, 60, 4))
async def test_a_stop_at_any_turn_of_the_loop_loses_nothing(yard: Any, turns: int) -> None:
    """Also with two rounds under way: a job has ended, or waits, no attempt spent; none is called twice."""
    began: list[str] = []
    jobs = [await yard.put(noted) for _ in range(300)]
    worker = yard.worker(noted, max_jobs=60, ctx={"began": began})
    stopped: list[int] = []

    async def stop() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        stopped.append(trips.most)
        worker.handle_sig(15)

    def stop_soon() -> None:
        nonlocal stopping
        stopping = stopping or asyncio.get_running_loop().create_task(stop())

    stopping: asyncio.Task[None] | None = None
    trips = Trips(worker, stop_soon)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(worker.async_run(), 20)
    await worker.close()
    states = {job: await yard.state(job) for job in jobs}
    assert (stopped, len(began)) == ([2], len(set(began)))
    assert set(states.values()) <= {"succeeded", "waiting"}
    assert {job for job, state in states.items() if state == "succeeded"} >= set(began)
    for job in (job for job, state in states.items() if state == "waiting"):
        assert await yard.redis.get(yard.keys.retry(job)) in (None, b"0")
    assert await yard.redis.hlen(yard.keys.running) == 0
