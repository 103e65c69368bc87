"""What follows a failed attempt, as a table; no worker, no server."""

from random import Random
from typing import Any

import pytest

from runner import GiveUp, Retry, Undecided, backoff
from runner.clock import FixedClock
from runner.job import Attempt
from runner.middleware.chain import compose
from runner.middleware.dead_letter import DeadLetter
from runner.middleware.retry import BackoffRetry, decide
from runner.outcome import Dead, Failed, Outcome, Retrying, Snoozed, Succeeded
from runner.tasks import RetryPolicy

FIXED = backoff.constant(7)


def attempt(number: int = 1, **known: Any) -> Attempt:
    return Attempt(
        job_id="j",
        queue="q",
        number=number,
        token="t",
        fence=1,
        due_at_ms=0,
        payload=b"",
        clock=FixedClock(),
        **known,
    )


@pytest.mark.parametrize(
    ("policy", "number", "error", "expected"),
    [
        ({}, 1, ValueError(), 7000),
        ({}, 4, ValueError(), 7000),
        ({}, 5, ValueError(), "max_tries"),
        ({"max_tries": 1}, 1, ValueError(), "max_tries"),
        ({"max_tries": 1}, 1, Retry(3), "max_tries"),
        ({}, 1, Retry(3), 3000),
        ({}, 1, Retry(0), 0),
        ({}, 1, Retry(), 7000),
        ({"retry_on": (KeyError,)}, 1, Retry(), 7000),
        ({"retry_on": (KeyError,)}, 1, ValueError(), "gave_up"),
        ({"retry_on": (LookupError,)}, 1, KeyError(), 7000),
        ({"give_up_on": (KeyError,), "retry_on": (LookupError,)}, 1, KeyError(), "gave_up"),
        ({}, 1, GiveUp(), "gave_up"),
        ({}, 1, Undecided(), "undecided"),
        ({"retry_on": (Exception,)}, 1, Undecided(), "undecided"),
        ({}, 1, SystemExit(), "gave_up"),
        ({"judge": lambda error: False}, 1, ValueError(), "gave_up"),
        ({"judge": lambda error: 1 / 0}, 1, ValueError(), 7000),
        ({"backoff": FIXED.times(1)}, 2, ValueError(), "max_tries"),
        ({"max_age_s": 6.9}, 1, ValueError(), "max_age"),
        ({"max_age_s": 7.1}, 1, ValueError(), 7000),
    ],
)
def test_decide_is_a_table(
    policy: dict[str, Any], number: int, error: BaseException, expected: int | str
) -> None:
    """GiveUp, then the policy's word on the error, then attempts, then the backoff's end, then age."""
    made = attempt(number, enqueued_at_ms=FixedClock().now_ms())
    outcome = decide(RetryPolicy(**{"backoff": FIXED, **policy}), made, error, Random(1))
    assert (outcome.delay_ms if isinstance(outcome, Retrying) else outcome.reason) == expected
    assert outcome.error is error


def test_a_seeded_random_makes_delays_repeatable() -> None:
    """The middleware draws from the Random it was given, and only for delays that are used."""
    policy = RetryPolicy(backoff=backoff.exponential(base=1, cap=600, jitter="full"))

    def delays() -> list[int]:
        rng = Random(42)
        outcomes = [decide(policy, attempt(n), ValueError(), rng) for n in (1, 2, 3)]
        decide(policy, attempt(5), ValueError(), rng)
        return [outcome.delay_ms for outcome in outcomes if isinstance(outcome, Retrying)] + [
            rng.randrange(1000)
        ]

    assert delays() == delays()
    assert len(set(delays())) > 1


@pytest.mark.parametrize(("snoozes", "expected"), [(0, "Snoozed"), (2, "Snoozed"), (3, "Dead")])
async def test_the_middleware_bounds_snoozes(snoozes: int, expected: str) -> None:
    """max_snoozes=3 lets three pass."""

    async def snoozes_again(attempt: Attempt) -> Outcome:
        return Snoozed(1000, "busy")

    run = compose([DeadLetter(), BackoffRetry(RetryPolicy(max_snoozes=3))], snoozes_again)
    assert type(await run(attempt(snoozes=snoozes))).__name__ == expected


async def test_the_chain_is_composed_outermost_first() -> None:
    """Each sees what the one inside gave; what nobody retries the dead letter middleware buries."""
    order: list[str] = []

    def named(name: str) -> Any:
        async def middleware(attempt: Attempt, call_next: Any) -> Outcome:
            order.append(f"+{name}")
            outcome = await call_next(attempt)
            order.append(f"-{name}")
            return outcome

        return middleware

    error = ValueError()

    async def call(attempt: Attempt) -> Outcome:
        order.append("call")
        return Failed(error)

    outcome = await compose([named("a"), named("b"), DeadLetter()], call)(attempt())
    assert order == ["+a", "+b", "call", "-b", "-a"]
    assert outcome == Dead("failed", error)


async def test_what_is_no_failure_passes_through() -> None:
    """Retry and dead letters look at failures and snoozes only."""

    async def succeeds(attempt: Attempt) -> Outcome:
        return Succeeded(1)

    assert await compose([DeadLetter(), BackoffRetry(RetryPolicy())], succeeds)(attempt()) == Succeeded(1)
