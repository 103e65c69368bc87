"""Every way a task can end, through a real worker: what is left on the server."""

import asyncio
import sys
from typing import Any

import arq
import arq.worker
import pytest

from runner import GiveUp, Retry, Snooze, backoff, task
from runner.outcome import DEAD_REASONS


class Broken(Exception):
    """Cannot be put in words."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Wordless:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


NOW = backoff.constant(0)


@task(retry=NOW, max_tries=2)
async def ends(ctx: Any, how: str) -> Any:  # noqa: C901 - a table
    match how:
        case "returns":
            return [1, "a", None]
        case "raises":
            raise ValueError("wrong")
        case "asks again":
            raise Retry(delay=0, reason="not yet")
        case "gives up":
            raise GiveUp("no use")
        case "arq's Retry":
            raise arq.Retry(defer=0) from ValueError("cause")
        case "arq's RetryJob":
            raise arq.worker.RetryJob
        case "own cancellation":
            raise asyncio.CancelledError
        case "sys.exit":
            sys.exit(7)
        case "returns an object":
            return Wordless()
        case "returns NaN":
            return float("nan")
        case "returns too much":
            return "x" * 600_000
        case "broken error":
            raise Broken
        case "lone surrogate":
            raise ValueError("\udcff")
        case "base exception":
            raise BaseExceptionGroup("g", [KeyError("k"), BaseException("b")])
    raise AssertionError(how)


@pytest.mark.parametrize(
    ("how", "state", "reason", "attempts"),
    [
        ("returns", "succeeded", "", 1),
        ("raises", "dead", "max_tries", 2),
        ("asks again", "dead", "max_tries", 2),
        ("gives up", "dead", "gave_up", 1),
        ("arq's Retry", "dead", "max_tries", 3),
        ("arq's RetryJob", "dead", "max_tries", 3),
        ("own cancellation", "dead", "max_tries", 3),
        ("sys.exit", "dead", "gave_up", 1),
        ("returns an object", "dead", "unencodable_result", 1),
        ("returns NaN", "dead", "unencodable_result", 1),
        ("returns too much", "dead", "unencodable_result", 1),
        ("broken error", "dead", "max_tries", 2),
        ("lone surrogate", "dead", "max_tries", 2),
        ("base exception", "dead", "gave_up", 1),
    ],
)
async def test_a_task_ends_in_one_state_however_it_ends(
    yard: Any, how: str, state: str, reason: str, attempts: int
) -> None:
    """One terminal state, its reason, the attempts it took; the payload kept when dead, nothing else left.

    arq's own signals ask for another attempt without end; the one too many is refused when it is claimed.
    """
    job = await yard.put(ends, how)
    payload = await yard.redis.get(yard.keys.job(job))
    await asyncio.wait_for(yard.drain(ends), 30)
    assert await yard.state(job) == state
    letter = await yard.letter(job)
    if state == "dead":
        assert (letter["reason"], int(letter["attempts"]), letter["payload"]) == (reason, attempts, payload)
        assert '"error":{"type":"' in letter["note"]
        assert reason in DEAD_REASONS
    result = await yard.result(job)
    assert result is not None
    assert result["s"] is (state == "succeeded")
    assert await yard.leftovers() == []


@task
async def spoils_its_arguments(ctx: Any, items: list, error: bool) -> int:  # pyright: ignore[reportMissingTypeArgument]
    items.append(Wordless())
    if error:
        raise GiveUp("spoilt")
    return 5


@pytest.mark.parametrize(("error", "state"), [(False, "succeeded"), (True, "dead")])
async def test_a_task_may_put_anything_into_its_arguments(yard: Any, error: bool, state: str) -> None:
    """The result envelope carries the arguments as enqueued when those at hand cannot be written any more."""
    job = await yard.put(spoils_its_arguments, [1], error)
    await asyncio.wait_for(yard.drain(spoils_its_arguments), 30)
    assert await yard.state(job) == state
    assert (await yard.result(job))["a"] == [[1], error]


async def test_every_unreadable_job_is_a_dead_letter_with_its_bytes(yard: Any) -> None:
    """Garbage, a pickle, a wrong shape, no payload, wrong arguments, an unknown name, past its expires."""
    jobs = {
        "garbage": (b"\x00\x01", "undecodable"),
        "pickle": (b"\x80\x05K\x01.", "undecodable"),
        "shape": (b'{"a":1}', "undecodable"),
        "deep": (b"[" * 50_000, "undecodable"),
        "gone": (None, "missing_payload"),
    }
    for job_id, (payload, _) in jobs.items():
        await yard.redis.zadd(yard.keys.queue, {job_id: 1})
        if payload is not None:
            await yard.redis.set(yard.keys.job(job_id), payload)
    await yard.put(ends, job_id="arguments")
    await yard.put("nobody", job_id="unknown")
    await yard.put(ends, "returns", job_id="late", expires_at_ms=1)
    reasons = {name: reason for name, (_, reason) in jobs.items()}
    reasons |= {"arguments": "invalid_arguments", "unknown": "unknown_task", "late": "expired"}
    good = await yard.put(ends, "returns")
    await asyncio.wait_for(yard.drain(ends), 30)
    assert {name: (await yard.letter(name)).get("reason") for name in reasons} == reasons
    for job_id, (payload, _) in jobs.items():
        assert (await yard.letter(job_id)).get("payload") == payload
    assert await yard.state(good) == "succeeded"
    assert await yard.leftovers() == []


async def test_a_wrong_middleware_costs_the_job_and_not_the_slot(yard: Any) -> None:
    """A middleware that forgets its return, or raises, leaves a dead letter and nothing stuck."""

    async def forgets(attempt: Any, call_next: Any) -> Any:
        await call_next(attempt)

    async def raises(attempt: Any, call_next: Any) -> Any:
        raise LookupError("mine")

    for middleware, says in ((forgets, "no Outcome"), (raises, "LookupError")):
        job = await yard.put(ends, "returns")
        worker = await asyncio.wait_for(
            yard.drain(ends, max_jobs=1, options={"middleware": [middleware]}), 10
        )
        letter = await yard.letter(job)
        assert says in letter["note"]
        assert not worker.tasks


async def test_snoozes_from_a_task_spend_no_attempt(yard: Any) -> None:
    """Three snoozes and a success: the attempt is still the first."""
    seen: list[int] = []

    @task
    async def sleepy(ctx: Any) -> int:
        seen.append(ctx.attempt)
        if len(seen) < 4:
            raise Snooze(0, reason="not now")
        return ctx.attempt

    job = await yard.put(sleepy)
    await asyncio.wait_for(yard.drain(sleepy), 30)
    assert seen == [1, 1, 1, 1]
    assert (await yard.result(job))["r"] == 1
