"""The steps of one attempt, each alone: values in, an Outcome or None out."""

import asyncio
from typing import Any

import arq.worker
import pytest

from runner import errors
from runner.arguments import Parameters
from runner.clock import FixedClock
from runner.engine.attempt import admit, another_attempt, classify, decode, invoke, rebuild, unknown
from runner.engine.envelope import ArqEnvelope, JsonEnvelope
from runner.engine.function import Runnable
from runner.job import Attempt
from runner.outcome import Cancelled, Dead, Failed, Lost, Outcome, Released, Retrying, Snoozed, Succeeded
from runner.wire.codec import Meta, encode_job


def attempt(payload: bytes | None = b"", **known: Any) -> Attempt:
    known = {"number": 1, **known}
    return Attempt(
        job_id="j",
        queue="arq:queue",
        token="t",
        fence=1,
        due_at_ms=0,
        payload=payload,
        clock=FixedClock(),
        **known,
    )


def runnable(fn: Any = None, max_tries: int = 5) -> Runnable:
    async def run(attempt: Attempt) -> Outcome:
        raise AssertionError

    function = arq.worker.func(fn) if fn else arq.worker.func(run, name="f")
    parameters = Parameters(fn) if fn else None
    return Runnable(function, run, max_tries, None, parameters, False, 0)


GOOD = encode_job("f", (1,), {"b": 2}, 77, Meta(x=99))


def test_decode_fills_in_what_the_payload_says() -> None:
    """Task, arguments, enqueue time and expiry come from the payload alone."""
    read = attempt(GOOD)
    assert decode(read, JsonEnvelope()) is None
    assert (read.task, read.args, read.kwargs) == ("f", [1], {"b": 2})
    assert (read.enqueued_at_ms, read.expires_at_ms) == (77, 99)


def test_decode_takes_the_higher_of_two_attempt_numbers() -> None:
    """arq's `_job_try` sets where counting starts; a counter that is further wins."""
    for number, counted in ((1, 3), (4, 4)):
        read = attempt(b'{"t":3,"f":"f","a":[],"k":{},"et":1}', number=number)
        decode(read, JsonEnvelope())
        assert read.number == counted


@pytest.mark.parametrize(
    ("payload", "reason", "says"),
    [
        (None, "missing_payload", "expired"),
        (b"", "undecodable", "not a job"),
        (b"\x00\xff garbage", "undecodable", "not a job"),
        (b"[1,2]", "undecodable", "not a job"),
        (b'{"f":1,"a":[],"k":{},"et":1,"t":null}', "undecodable", "not a job"),
        (b'{"f":"f"}', "undecodable", "not a job"),
        (b"[" * 100_000, "undecodable", ""),
        (b"\x80\x05}\x94\x8c\x01f\x94h\x01s.", "undecodable", "pickle"),
    ],
)
def test_decode_buries_what_is_no_job(payload: bytes | None, reason: str, says: str) -> None:
    """Bytes that are no job are dead at once, with a reason a person reads; a pickle is never loaded."""
    outcome = decode(attempt(payload), JsonEnvelope())
    assert isinstance(outcome, Dead)
    assert outcome.reason == reason
    assert says in str(outcome.error)


def test_decode_outlives_a_deserializer_that_raises_anything() -> None:
    """A user's deserializer is the user's code."""

    def broken(data: bytes) -> dict[str, Any]:
        raise KeyError(data)

    outcome = decode(attempt(b"x"), ArqEnvelope(None, broken))
    assert isinstance(outcome, Dead)
    assert outcome.reason == "undecodable"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, None),
        ({"number": 5}, None),
        ({"number": 6}, "max_tries"),
        ({"aborted": True, "number": 6}, "cancelled"),
        ({"expires_at_ms": 1000}, None),
        ({"expires_at_ms": 999}, "expired"),
        ({"expires_at_ms": 999, "number": 6}, "expired"),
    ],
)
def test_admit_lets_in_what_may_start(known: dict[str, Any], expected: str | None) -> None:
    """Cancelled before expired before out of attempts; `expires` by the server's clock (here 1000 ms)."""
    outcome = admit(attempt(**known), runnable(), 1000)
    found = outcome.reason if isinstance(outcome, Dead) else outcome and "cancelled"
    assert found == expected
    assert expected != "cancelled" or isinstance(outcome, Cancelled)


async def typed(ctx: Any, n: int) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ([1], {}, None),
        ([], {"n": 1}, None),
        (["1"], {}, "argument 'n'"),
        ([], {}, "missing"),
        ([1, 2], {}, "too many"),
        ([], {"m": 1}, "'n'"),
    ],
)
def test_rebuild_fits_arguments_to_the_signature(args: Any, kwargs: Any, says: str | None) -> None:
    """What does not fit is dead with the argument's name; no attempt would ever fit it."""
    outcome = rebuild(attempt(task="typed", args=args, kwargs=kwargs), runnable(typed))
    if says is None:
        assert outcome is None
    else:
        assert isinstance(outcome, Dead)
        assert outcome.reason == "invalid_arguments"
        assert says in str(outcome.error)


def test_rebuild_leaves_the_arguments_of_arqs_functions_alone() -> None:
    """They take what comes, as in arq."""
    assert rebuild(attempt(args=("x",)), runnable()) is None


@pytest.mark.parametrize(
    ("snoozes", "delay_ms"), [(0, 1000), (1, 2000), (5, 32_000), (6, 60_000), (9, 60_000)]
)
def test_unknown_waits_longer_each_time(snoozes: int, delay_ms: int) -> None:
    """1, 2, 4 … 60 s: a rolling deploy ends within the grace, and nobody is kept busy by it."""
    outcome = unknown(attempt(task="f", snoozes=snoozes), ["g"], grace_s=600, worker="w")
    assert outcome == Snoozed(delay_ms, "no task named 'f' on worker w")


def test_unknown_is_dead_once_the_grace_is_used_up() -> None:
    """The waits add up to exactly the grace; then the reason names what this worker knows."""
    waited, snoozes = 0.0, 0
    while isinstance(
        outcome := unknown(attempt(task="f", snoozes=snoozes), ["g"], grace_s=600, worker="w"), Snoozed
    ):
        waited, snoozes = waited + outcome.delay_ms / 1000, snoozes + 1
    assert waited == 600
    assert isinstance(outcome, Dead)
    assert outcome.reason == "unknown_task"
    assert "g" in str(outcome.error.__cause__)


STOP = asyncio.CancelledError()
OWN = ValueError("own")


@pytest.mark.parametrize(
    ("error", "why_cancelled", "outcome"),
    [
        (OWN, "", Failed(OWN)),
        (arq.worker.Retry(defer=5), "", "Retrying 5000 Retry"),
        (arq.worker.RetryJob(), "", "Retrying 0 RetryJob"),
        (errors.Snooze(2, reason="later"), "", Snoozed(2000, "later")),
        (another_attempt(errors.Snooze(2, reason="later")), "", Snoozed(2000, "later")),
        (another_attempt(OWN), "", Failed(OWN)),
        (STOP, "", "Retrying 0 cancelled"),
        (STOP, "abort", Cancelled()),
        (STOP, "lost", Lost()),
        (STOP, "shutdown", Released()),
        (STOP, "timeout", "Failed TimeoutError"),
        (OWN, "abort", Failed(OWN)),
    ],
)
def test_classify_is_a_table(error: BaseException, why_cancelled: str, outcome: Outcome | str) -> None:
    """What was raised, and why the call was cancelled if it was, decide the outcome; nothing else does."""
    found = classify(error, attempt(cancel_reason=why_cancelled))
    if isinstance(found, Retrying) and isinstance(outcome, str):
        assert f"Retrying {found.delay_ms} {found.reason}" == outcome
    elif outcome == "Failed TimeoutError":
        assert isinstance(found, Failed)
        assert isinstance(found.error, TimeoutError)
    else:
        assert found == outcome


def test_arqs_retry_keeps_its_delay_when_it_has_a_cause() -> None:
    """`raise Retry(defer=5) from error` is arq users' commonest line: it is not the error."""
    retry = arq.worker.Retry(defer=5)
    retry.__cause__ = OWN
    outcome = classify(retry, attempt())
    assert isinstance(outcome, Retrying)
    assert outcome.delay_ms == 5000


class Odd(BaseException):
    """Neither Exception nor CancelledError, as a TaskGroup may raise."""


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), Odd(), BaseExceptionGroup("g", [Odd()])])
async def test_invoke_turns_whatever_a_task_raises_into_an_outcome(error: BaseException) -> None:
    """sys.exit() in a task ends the task; only Ctrl-C ends the process."""

    async def fails(ctx: Any) -> None:
        raise error

    calling = attempt(function=arq.worker.func(fails), ctx={})
    assert await invoke(calling) == Failed(error)


async def test_invoke_gives_what_the_task_returns() -> None:
    """The result as it is; encoding it is another step."""

    async def returns(ctx: Any, a: int) -> Any:
        return {"a": a}

    assert await invoke(attempt(function=arq.worker.func(returns), ctx={}, args=[7])) == Succeeded({"a": 7})
