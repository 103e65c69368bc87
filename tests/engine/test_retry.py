"""Retries as they stand on the server: counted at claim, recorded, without end or TTL of their own."""

import asyncio
import json
from typing import Any

import pytest

from runner import Snooze, backoff, task
from runner.wire.keys import keys_of


def failing(**options: Any) -> Any:
    @task(**options)
    async def fails(ctx: Any) -> None:
        raise ValueError("always")

    return fails


async def test_attempts_are_counted_when_a_job_is_claimed(yard: Any) -> None:
    """A worker that dies has spent an attempt: a job that kills workers must run out of them."""
    job = await yard.put(failing())
    for number in (1, 2, 3):
        claim = await yard.scripts.claim(
            yard.keys, token=f"t{number}", worker="w", limit=1, lease_ms=1, is_idle=True
        )
        assert [claimed.attempt for claimed in claim.jobs] == [number]
        assert await yard.redis.get(yard.keys.retry(job)) == str(number).encode()
        await yard.redis.delete(yard.keys.lease(job))
        await yard.redis.zadd(yard.keys.queue, {job: 1})


async def test_each_attempt_leaves_its_delay_and_error_on_the_job(yard: Any, wait_until: Any) -> None:
    """`runner:job:<id>`: a<n> what attempt n ended with, l the last delay, f the last fence."""
    fails = failing(retry=backoff.intervals(0, 0, 86_400), max_tries=4)
    job = await yard.put(fails)
    async with yard.serving(fails):
        await wait_until(lambda: has_field(yard, job, "a3"), "three attempts")
    history = await yard.history(job)
    entries = [json.loads(history[f"a{n}"]) for n in (1, 2, 3)]
    assert [entry["n"] for entry in entries] == [1, 2, 3]
    assert {entry["reason"] for entry in entries} == {"ValueError"}
    assert entries[0]["error"]["message"] == "always"
    assert "Traceback" in entries[0]["error"]["traceback"]
    assert history["l"] == "86400000"
    assert int(history["f"]) > 0


async def has_field(yard: Any, job: str, field: str) -> bool:
    return await yard.redis.hexists(yard.keys.record(job), field)


async def test_a_backoff_of_days_loses_neither_payload_nor_counter(yard: Any, wait_until: Any) -> None:
    """arq expires both within a day; nothing that carries work has a TTL here, also from a plain client."""
    fails = failing(retry=backoff.constant(30 * 86_400))
    async with yard.serving(fails):
        job = (await yard.pool().enqueue_job("fails")).job_id
        await wait_until(lambda: has_field(yard, job, "a1"), "the first attempt")
    due = await yard.redis.zscore(yard.keys.queue, job)
    now_s, _ = await yard.redis.time()
    assert due / 1000 - now_s > 29 * 86_400
    for key in (yard.keys.job(job), yard.keys.retry(job), yard.keys.record(job)):
        assert await yard.redis.ttl(key) == -1, key
    assert await yard.redis.get(yard.keys.retry(job)) == b"1"


async def test_a_retry_starts_when_its_delay_is_over_not_at_the_next_poll(yard: Any, wait_until: Any) -> None:
    """Pushes leave out what a worker writes itself: its timer must know of its own retries and snoozes."""
    starts: list[int] = []

    @task(retry=backoff.constant(0.03), max_tries=3)
    async def third_time(ctx: Any) -> str:
        starts.append(ctx.attempt)
        if len(starts) == 2:
            raise Snooze(0.03)
        if len(starts) < 4:
            raise ValueError
        return "done"

    async with yard.serving(third_time, options={"lease_s": 3600}):
        job = await yard.put(third_time)
        await wait_until(lambda: has_result(yard, job), "four starts")
    assert starts == [1, 2, 2, 3]


async def has_result(yard: Any, job: str) -> bool:
    return await yard.result(job) is not None


class Final(ValueError):
    pass


@pytest.mark.parametrize(
    ("options", "reason", "attempts"),
    [
        ({"max_tries": 3, "retry": backoff.constant(0)}, "max_tries", 3),
        ({"retry": backoff.constant(0).times(1)}, "max_tries", 2),
        ({"max_age": 60, "retry": backoff.constant(61)}, "max_age", 1),
        ({"give_up_on": [Final]}, "gave_up", 1),
        ({"retry_on": [KeyError]}, "gave_up", 1),
        ({"retry_on": lambda error: False}, "gave_up", 1),
    ],
)
async def test_a_policy_ends_in_a_dead_letter_that_says_why(
    yard: Any, options: dict[str, Any], reason: str, attempts: int
) -> None:
    """Each way out of retries: its reason, its attempts, the payload as enqueued and the error."""

    @task(**options)
    async def fails(ctx: Any) -> None:
        raise Final("always")

    job = await yard.put(fails)
    payload = await yard.redis.get(yard.keys.job(job))
    await asyncio.wait_for(yard.drain(fails), 30)
    letter = await yard.letter(job)
    assert (letter["reason"], int(letter["attempts"]), letter["payload"]) == (reason, attempts, payload)
    assert json.loads(letter["note"])["error"]["message"] == "always"
    assert await yard.redis.zscore(yard.keys.dead, job) is not None


async def test_a_judge_that_raises_has_not_said_no(yard: Any) -> None:
    """A bug in a retry_on function costs no job: it is retried, and the bug logged."""

    @task(retry_on=lambda error: error.status == 500, retry=backoff.constant(0), max_tries=2)
    async def fails(ctx: Any) -> None:
        raise ValueError("no status")

    job = await yard.put(fails)
    await asyncio.wait_for(yard.drain(fails), 30)
    letter = await yard.letter(job)
    assert (letter["reason"], letter["attempts"]) == ("max_tries", "2")


async def test_snoozes_are_bounded(yard: Any) -> None:
    """max_snoozes=3: the fourth is one too many."""

    @task(max_snoozes=3)
    async def sleepy(ctx: Any) -> None:
        raise Snooze(0, reason="the moon is full")

    job = await yard.put(sleepy)
    await asyncio.wait_for(yard.drain(sleepy), 30)
    letter = await yard.letter(job)
    assert (letter["reason"], letter["attempts"], letter["s"]) == ("max_snoozes", "1", "3")
    assert "the moon is full" in letter["note"]


async def test_an_unknown_task_waits_with_its_reason_and_then_dies(yard: Any, wait_until: Any) -> None:
    """A rolling deploy brings a worker that knows it; after the grace it is a dead letter, never lost."""
    job = await yard.put("not_yet")
    async with yard.serving(failing(), options={"unknown_task_grace_s": 600, "name": "old"}):
        await wait_until(lambda: has_field(yard, job, "w"), "the reason")
        assert (await yard.history(job))["w"] == "no task named 'not_yet' on worker old"
    assert await yard.state(job) == "waiting"

    @task(name="not_yet")
    async def known(ctx: Any) -> int:
        return ctx.attempt

    await yard.redis.zadd(yard.keys.queue, {job: 1})
    await yard.drain(known)
    assert (await yard.result(job))["r"] == 1

    late = await yard.put("never")
    await yard.redis.hset(yard.keys.record(late), "s", 20)
    await yard.drain(failing(), options={"unknown_task_grace_s": 600})
    assert (await yard.letter(late))["reason"] == "unknown_task"


async def test_arqs_retry_keeps_its_delay_in_our_tasks_too(yard: Any, wait_until: Any) -> None:
    """`raise arq.Retry(defer=60) from error` waits 60 s, whatever the task's own backoff says."""
    import arq

    @task(retry=backoff.constant(0))
    async def asks(ctx: Any) -> None:
        raise arq.Retry(defer=60) from ValueError("busy")

    async def asks_arq(ctx: Any) -> None:
        raise arq.Retry(defer=60) from ValueError("busy")

    jobs = [await yard.put(asks), await yard.put("asks_arq")]
    async with yard.serving(asks, arq.worker.func(asks_arq, name="asks_arq")):
        for job in jobs:
            await wait_until(lambda job=job: has_field(yard, job, "a1"), "the attempt")
            assert (await yard.history(job))["l"] == "60000"


async def test_the_queue_of_a_retry_is_its_own(yard: Any) -> None:
    """A job of another queue comes back to that queue."""
    fails = failing(retry=backoff.constant(0), max_tries=2)
    job = await yard.put(fails, queue="bulk")
    await asyncio.wait_for(yard.drain(fails, options={"queues": {"bulk": 1}}), 30)
    assert await yard.redis.zscore(keys_of("bulk").dead, job) is not None
