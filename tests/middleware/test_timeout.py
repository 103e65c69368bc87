"""Time limits around a call, as a task sees them: no worker, no server."""

import asyncio
from typing import Any

import arq.worker
import pytest

from runner import SoftTimeout, task
from runner.clock import FixedClock
from runner.context import Context
from runner.engine.attempt import invoke
from runner.engine.function import function_of, resolve
from runner.job import Attempt
from runner.outcome import Dead, Failed, Outcome, Retrying, Succeeded

NOW = 0.001


def attempt() -> Attempt:
    made = Attempt(
        job_id="j", queue="q", number=1, token="t", fence=1, due_at_ms=0, payload=b"", clock=FixedClock(1000)
    )
    made.ctx = Context({}, made)
    return made


async def run(
    fn: Any, stuck: list[Attempt] | None = None, made: Attempt | None = None, **options: Any
) -> Outcome:
    function = function_of(task(**options)(fn))
    runnable = resolve(
        function,
        around=(),
        default_timeout_s=None,
        default_max_tries=5,
        keep_result_ms=0,
        stuck_after_s=NOW,
        on_stuck=(stuck if stuck is not None else []).append,
    )
    made = made or attempt()
    made.function = function
    return await asyncio.wait_for(runnable.run(made), 30)


async def test_the_soft_limit_raises_inside_and_the_task_may_answer() -> None:
    """SoftTimeout arrives at the await; what the task returns then is the result, awaits and all."""

    async def cleans_up(ctx: Any) -> str:
        try:
            await asyncio.Event().wait()
        except SoftTimeout:
            await asyncio.sleep(0)
            current = asyncio.current_task()
            assert current is not None
            return f"cleaned up, {current.cancelling()} cancellations left"
        return "never"

    assert await run(cleans_up, soft_timeout=NOW) == Succeeded("cleaned up, 0 cancellations left")


async def test_a_soft_limit_that_is_not_answered_fails_the_attempt() -> None:
    """It is an error like others: retried by the policy."""

    async def hangs(ctx: Any) -> None:
        await asyncio.Event().wait()

    outcome = await run(hangs, soft_timeout=NOW)
    assert isinstance(outcome, Retrying)
    assert outcome.reason == "SoftTimeout"
    assert isinstance(await run(hangs, soft_timeout=NOW, max_tries=1), Dead)


async def test_the_soft_limit_reaches_through_structured_concurrency() -> None:
    """Inside asyncio.timeout and a TaskGroup it comes out as any exception of their body does."""

    async def nested(ctx: Any) -> list[str]:
        seen = []
        try:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(asyncio.Event().wait())
                await asyncio.Event().wait()
        except* SoftTimeout:
            seen.append("seen")
        return seen

    assert await run(nested, soft_timeout=NOW) == Succeeded(["seen"])


async def test_the_hard_limit_cancels_the_call_and_the_policy_decides() -> None:
    """The task sees a cancellation, everybody else a TimeoutError."""
    seen: list[str] = []

    async def hangs(ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    outcome = await run(hangs, timeout=NOW)
    assert isinstance(outcome, Retrying)
    assert isinstance(outcome.error, TimeoutError)
    assert seen == ["cancelled"]


async def test_the_hard_limit_follows_a_soft_one_that_was_swallowed() -> None:
    """Both limits are measured from the start of the call."""

    async def deaf_to_soft(ctx: Any) -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except SoftTimeout:
                continue

    outcome = await run(deaf_to_soft, soft_timeout=NOW, timeout=10 * NOW)
    assert isinstance(outcome, Retrying)
    assert outcome.reason == "TimeoutError"


async def test_a_call_that_does_not_stop_is_reported_as_stuck() -> None:
    """After its cancellation, `stuck_after_s` later; then its slot is taken from it."""
    stuck, reported = list[Attempt](), asyncio.Event()

    async def deaf(ctx: Any) -> str:
        while not stuck:
            try:
                await asyncio.sleep(NOW)
            except asyncio.CancelledError:
                continue
        reported.set()
        return "late"

    made = attempt()
    assert await run(deaf, stuck, made, timeout=NOW) == Succeeded("late")
    assert stuck == [made]
    assert made.cancel_reason == "timeout"


async def test_a_call_that_ends_in_time_leaves_no_timer() -> None:
    """Nothing fires into the asyncio task that goes on to the next thing."""

    async def quick(ctx: Any) -> int:
        return 1

    assert await run(quick, timeout=20 * NOW, soft_timeout=10 * NOW) == Succeeded(1)
    await asyncio.sleep(40 * NOW)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


@pytest.mark.parametrize(("limit", "left"), [(30, 30.0), (None, None)])
async def test_remaining_counts_down_to_the_hard_limit(limit: float | None, left: float | None) -> None:
    """By the clock that is handed in; None when the task has no limit."""

    async def asks(ctx: Context) -> Any:
        before = ctx.remaining()
        ctx.running.clock.advance(10)  # type: ignore[attr-defined]
        return before, ctx.remaining()

    outcome = await run(asks, **({"timeout": limit} if limit else {}))
    assert isinstance(outcome, Succeeded)
    assert outcome.result == (left, left if left is None else left - 10)


async def test_a_cancellation_from_outside_is_not_taken_for_the_soft_limit() -> None:
    """An abort at the same moment wins: the task is to stop, not to clean up and go on."""
    seen: list[str] = []

    async def looks(ctx: Any) -> None:
        try:
            await asyncio.Event().wait()
        except SoftTimeout:
            seen.append("soft")
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    made = attempt()
    carrier = asyncio.ensure_future(run(looks, made=made, soft_timeout=60))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    made.is_soft_due, made.cancel_reason = True, "abort"
    carrier.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrier
    assert seen == ["cancelled"]


async def test_invoke_sees_a_task_function_as_arq_does() -> None:
    """The arq Function's coroutine raises arq's Retry, exactly that class, where another attempt follows."""

    async def fails(ctx: Any) -> None:
        raise ValueError("x")

    function = function_of(task(max_tries=2)(fails))
    made = attempt()
    with pytest.raises(arq.worker.Retry) as raised:
        await function.coroutine(made.ctx)
    assert type(raised.value) is arq.worker.Retry
    made.number = 2
    with pytest.raises(ValueError, match="x"):
        await function.coroutine(made.ctx)
    made.number, made.function = 1, function
    assert isinstance(await invoke(made), Failed)
