"""Which jobs are claimed: shares of queues, free slots, nobody in anybody's way."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import task
from runner.engine.claim import Rounds
from runner.engine.sharing import ROUND_JOBS, ServedQueue, share
from runner.wire.keys import keys_of
from runner.wire.scripts import End

weights = st.lists(st.integers(1, 9), min_size=1, max_size=5)


def queues_of(given_weights: list[int]) -> list[ServedQueue]:
    return [ServedQueue(keys_of(f"q{n}"), weight) for n, weight in enumerate(given_weights)]


@given(weights, st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_hungry_queues_get_their_weights_share(given_weights: list[int], claims: list[int]) -> None:
    """Over any stretch of claims every queue is within one turn of its exact share; so none starves."""
    queues, got = queues_of(given_weights), Counter[str]()
    for slots in claims:
        quotas = share(queues, slots, strict=False)
        assert sum(quotas.values()) == slots
        got.update(quotas)
    for queue in queues:
        exact = sum(claims) * queue.weight / sum(given_weights)
        assert abs(got[queue.keys.name] - exact) <= len(queues)


@given(weights, st.integers(1, 600), st.data())
def test_queues_without_work_give_their_share_away(given_weights: list[int], slots: int, data: Any) -> None:
    """All free slots go to the hungry, up to the bound of a round; strict order gives all to the first."""
    queues = queues_of(given_weights)
    for queue in queues:
        queue.may_have_due = data.draw(st.booleans())
    hungry = [queue.keys.name for queue in queues if queue.may_have_due]
    for strict in (False, True):
        quotas = share(queues, slots, strict=strict)
        assert sum(quotas.values()) == (min(slots, ROUND_JOBS) if hungry else 0)
        assert set(quotas) <= set(hungry)
        assert not strict or list(quotas) == hungry[:1]


@task
async def noted(ctx: Any, queue: str) -> None:
    ctx["order"].append(queue)


async def run_all(yard: Any, **options: Any) -> list[str]:
    order: list[str] = []
    names = {"critical": 6, "default": 3, "bulk": 1}
    for queue in names:
        for _ in range(60):
            await yard.put(noted, queue, queue=queue)
    options = {"queues": names, **options}
    await asyncio.wait_for(yard.drain(noted, max_jobs=10, ctx={"order": order}, options=options), 30)
    return order


async def test_queues_are_served_by_their_weights(yard: Any) -> None:
    """6:3:1 in the first hundred starts, while all three have work; the rest follows."""
    order = await run_all(yard)
    assert Counter(order[:90]) == {"critical": 54, "default": 27, "bulk": 9}
    assert Counter(order) == {"critical": 60, "default": 60, "bulk": 60}


async def test_strict_order_empties_the_first_queue_first(yard: Any) -> None:
    """Nothing of a later queue while an earlier one has work."""
    order = await run_all(yard, strict=True)
    assert order == sorted(order, key=["critical", "default", "bulk"].index)


async def test_never_more_than_max_jobs_run(yard: Any) -> None:
    """Claims never exceed the free slots, over all queues together."""
    running, most = set[str](), 0

    @task
    async def counted(ctx: Any) -> None:
        nonlocal most
        running.add(ctx.job_id)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.discard(ctx.job_id)

    for queue in ("default", "bulk"):
        for _ in range(100):
            await yard.put(counted, queue=queue)
    worker = await asyncio.wait_for(
        yard.drain(counted, max_jobs=7, options={"queues": {"default": 1, "bulk": 1}}), 20
    )
    assert worker.jobs_complete == 200
    assert most == 7


async def test_burst_stops_at_its_limit(yard: Any) -> None:
    """max_burst_jobs counts starts, also when slots are freed in the round that claims."""
    for _ in range(6):
        await yard.put(noted, "default")
    order: list[str] = []
    worker = await asyncio.wait_for(yard.drain(noted, max_jobs=2, max_burst_jobs=3, ctx={"order": order}), 30)
    assert (worker.jobs_complete, len(order)) == (3, 3)


async def test_long_jobs_of_one_worker_do_not_stand_before_others(yard: Any, wait_until: Any) -> None:
    """arq's head of line: 200 running jobs stay in the queue, in front; another worker passes them."""
    free = asyncio.Event()

    @task
    async def long(ctx: Any) -> None:
        await free.wait()

    for _ in range(200):
        await yard.put(long)
    async with yard.serving(long, max_jobs=200, options={"name": "a"}) as busy:
        await wait_until(lambda: len(busy.tasks) == 200, "200 jobs run")
        order: list[str] = []
        others = [await yard.put(noted, "other") for _ in range(50)]
        async with yard.serving(noted, max_jobs=10, ctx={"order": order}, options={"name": "b"}):
            await wait_until(lambda: len(order) == len(others), "all others have run")
        assert len(busy.tasks) == 200
        free.set()
        await wait_until(lambda: not busy._running.attempts, "the long ones end")


async def test_a_worker_that_waits_for_suspects_still_lives(yard: Any, wait_until: Any) -> None:
    """Chosen to run a suspect alone it claims nothing until idle; its loop must not spin meanwhile."""
    free, order = asyncio.Event(), list[str]()

    @task
    async def long(ctx: Any) -> None:
        order.append("long")
        await free.wait()

    async with yard.serving(long, noted, ctx={"order": order}) as worker:
        await yard.put(long)
        await wait_until(lambda: order == ["long"], "the long job runs")
        suspect = await yard.put(noted, "suspect", delay_ms=60_000)
        await yard.redis.hset(yard.keys.record(suspect), mapping={"d": 2, "f": 1})
        await yard.redis.zadd(yard.keys.queue, {suspect: 1})
        await yard.put(noted, "other")
        await wait_until(lambda: worker._queues[0].is_isolating, "the worker is to run it alone")
        await asyncio.wait_for(asyncio.sleep(0.02), 2)
        free.set()
        await wait_until(lambda: set(order) == {"long", "suspect", "other"}, "suspect and others have run")
    assert await yard.redis.zcard(yard.keys.suspects) == 0


async def test_a_round_knows_when_what_it_gave_back_falls_due(yard: Any) -> None:
    """Pushes may leave out what this worker writes itself: its own retries set its timer."""
    loop = asyncio.get_running_loop()
    taken: list[Any] = []
    rounds = Rounds(
        yard.scripts,
        [ServedQueue(yard.keys, 1)],
        worker="w",
        lease_ms=3_600_000,
        strict=False,
        on_claimed=lambda queue, jobs, token, now_ms: taken.extend((job, token) for job in jobs),
        on_settled=lambda queue, ends: None,
    )
    await yard.put(noted, "x")
    await rounds.run(in_flight=0, slots=2)
    assert not rounds.has_work(in_flight=1, slots=1)
    job, token = taken[0]
    rounds.add(yard.keys.queue, End(job.job_id, token, job.fence, "again", 5000, b"", "{}", job.attempt))
    await rounds.run(in_flight=0, slots=0)
    due_at = rounds.next_due_at()
    assert due_at is not None
    assert 0 < due_at - loop.time() <= 5
    rounds.note_time(due_at)
    assert rounds.has_work(in_flight=0, slots=1)


async def test_what_stands_before_an_outcome_is_written_first(yard: Any) -> None:
    """While it cannot be written, the outcome is not: the job stays leased, and the next round tries both."""
    order: list[str] = []
    taken: list[Any] = []

    async def write_effects() -> None:
        order.append("effects")
        if len(order) == 1:
            raise ConnectionError("the server is away")

    rounds = Rounds(
        yard.scripts,
        [ServedQueue(yard.keys, 1)],
        worker="w",
        lease_ms=3_600_000,
        strict=False,
        on_claimed=lambda queue, jobs, token, now_ms: taken.extend((job, token) for job in jobs),
        on_settled=lambda queue, ends: order.append("outcomes"),
        before_ends=write_effects,
    )
    await yard.put(noted, "x")
    await rounds.run(in_flight=0, slots=1)
    job, token = taken[0]
    rounds.add(yard.keys.queue, End(job.job_id, token, job.fence, "done", 0, b"", "", job.attempt))
    with pytest.raises(ConnectionError):
        await rounds.run(in_flight=0, slots=0)
    assert (rounds.unwritten, await yard.redis.hlen(yard.keys.running)) == (1, 1)
    await rounds.run(in_flight=0, slots=0)
    assert (rounds.unwritten, await yard.redis.hlen(yard.keys.running)) == (0, 0)
    assert order == ["effects", "effects", "outcomes"]
