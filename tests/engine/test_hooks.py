"""arq's hooks: their order, and that none of them can end the worker or leave a job stuck."""

import asyncio
from typing import Any

import pytest

from runner import GiveUp, Snooze, backoff, task


@task(retry=backoff.constant(0), max_tries=2)
async def job(ctx: Any) -> str:
    ctx["redis"].said.append("call")
    return "ok"


class Said(list[str]):
    pass


async def run(yard: Any, **hooks: Any) -> tuple[str, list[str]]:
    said: list[str] = []
    worker = yard.worker(job, burst=True, **hooks)
    worker.pool.said = said
    job_id = await yard.put(job)
    await asyncio.wait_for(worker.main(), 30)
    assert not worker.tasks
    assert not worker._running.attempts
    await worker.close()
    return job_id, said


def hook(name: str, error: BaseException | None = None) -> Any:
    async def called(ctx: Any) -> None:
        ctx["redis"].said.append(name)
        if error is not None:
            raise error

    return called


async def test_hooks_come_in_arqs_order(yard: Any) -> None:
    """on_job_start, the call, on_job_end, and after_job_end last."""
    names = ("on_job_start", "on_job_end", "after_job_end")
    job_id, said = await run(yard, **{name: hook(name) for name in names})
    assert said == ["on_job_start", "call", "on_job_end", "after_job_end"]
    assert await yard.state(job_id) == "succeeded"


async def test_after_job_end_sees_the_result_on_the_server(yard: Any) -> None:
    """on_job_end comes before the outcome is written, after_job_end after it."""
    seen: dict[str, str] = {}

    async def on_job_end(ctx: Any) -> None:
        seen["end"] = await yard.state(ctx["job_id"])

    async def after_job_end(ctx: Any) -> None:
        seen["after"] = await yard.state(ctx["job_id"])

    await run(yard, on_job_end=on_job_end, after_job_end=after_job_end)
    assert seen == {"end": "running", "after": "succeeded"}


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(1), asyncio.CancelledError()])
@pytest.mark.parametrize("name", ["on_job_end", "after_job_end"])
async def test_an_error_after_the_call_changes_nothing(yard: Any, name: str, error: BaseException) -> None:
    """The job has run: its outcome stands, it does not run again, and the worker goes on (arq's ends)."""
    job_id, said = await run(yard, **{name: hook(name, error)})
    assert said == ["call", name]
    assert await yard.state(job_id) == "succeeded"
    assert await yard.leftovers() == []


@pytest.mark.parametrize(
    ("error", "starts", "reason"),
    [
        (ValueError("x"), 2, "max_tries"),
        (SystemExit(1), 1, "gave_up"),
        (GiveUp("x"), 1, "gave_up"),
        (Snooze(0), 3, None),
    ],
)
async def test_an_error_before_the_call_is_the_jobs(
    yard: Any, error: BaseException, starts: int, reason: Any
) -> None:
    """on_job_start that raises fails the attempt by the policy; it leaves no lease behind (arq's does)."""
    calls: list[int] = []

    async def on_job_start(ctx: Any) -> None:
        calls.append(1)
        if reason or len(calls) < 3:
            raise error

    job_id, said = await run(yard, on_job_start=on_job_start)
    assert len(calls) == starts
    assert said == ([] if reason else ["call"])
    assert (await yard.letter(job_id)).get("reason") == reason
    assert await yard.leftovers() == []


async def test_a_hook_that_hangs_at_shutdown_does_not_hang_the_worker(yard: Any, wait_until: Any) -> None:
    """on_job_end is cancelled like a call; the outcome stands."""
    reached = asyncio.Event()

    async def on_job_end(ctx: Any) -> None:
        reached.set()
        await asyncio.Event().wait()

    @task
    async def quick(ctx: Any) -> int:
        return 1

    job_id = await yard.put(quick)
    async with yard.serving(quick, on_job_end=on_job_end):
        await asyncio.wait_for(reached.wait(), 30)
    assert await yard.state(job_id) == "succeeded"


async def test_an_error_in_on_shutdown_still_closes_the_connections(yard: Any) -> None:
    """It reaches the caller, as in arq, but nothing is left open."""

    async def on_shutdown(ctx: Any) -> None:
        raise LookupError("mine")

    worker = yard.worker(job, burst=True, on_shutdown=on_shutdown)
    await worker.main()
    with pytest.raises(LookupError):
        await worker.close()
    assert worker._pool is None
