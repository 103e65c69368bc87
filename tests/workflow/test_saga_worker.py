"""Sagas over a real worker: their results, their errors, and steps that take their time."""

from collections.abc import Callable
from typing import Any

import pytest

from runner import Context, GiveUp, JobState, Runner, Settings, Undecided, WorkflowFailed, saga, step, task
from runner.settings.model import RedisGroup, WorkerGroup

log: list[str] = []


@task
async def pack(ctx: Context, order: str) -> dict[str, str]:
    log.append("packed")
    return {"box": order}


@task
async def unpack(ctx: Context, packed: dict[str, str] | None, order: str) -> None:
    log.append(f"unpacked {packed}")


@task
async def approve(ctx: Context, order: str) -> str:
    word = await ctx.wait_for("decision", timeout="3d")
    if word == "no":
        raise GiveUp("not approved")
    if word == "?":
        raise Undecided("nobody can say")
    return f"{order}: {word}"


@pytest.fixture
def runner(redis_url: str) -> Runner:
    log.clear()
    settings = Settings(redis=RedisGroup(url=redis_url), worker=WorkerGroup(grace=0), tasks=())
    return Runner(settings, tasks=[pack, unpack, approve])


ORDER = saga(step(pack.call("o-1"), undo=unpack), step(approve.call("o-1")))


async def decide(runner: Runner, word: str, wait_until: Callable[..., Any]) -> Any:
    """Start the saga, and signal its second step once that waits."""
    flow = await runner.start(ORDER, id=f"saga {word}")

    async def is_waiting() -> bool:
        info = await runner.job(f"saga {word}:1").info()
        return info.state is JobState.SCHEDULED and "decision" in info.waits_for

    await wait_until(is_waiting, "the step to wait for its signal")
    assert (await flow.info()).state == "running"
    await runner.signal(f"saga {word}:1", "decision", word)
    return flow


async def test_a_step_that_waits_for_a_signal_holds_the_saga(runner: Runner, wait_until: Any) -> None:
    """It goes on with the signal, and gives what its last step returned."""
    async with runner.worker():
        assert await (await decide(runner, "yes", wait_until)).result(30) == "o-1: yes"
    assert log == ["packed"]


@pytest.mark.parametrize(
    ("word", "state", "message", "then"),
    [
        ("no", "undone", "undone, node 1: .*GiveUp: not approved", ["packed", "unpacked {'box': 'o-1'}"]),
        ("?", "needs_attention", "needs_attention, node 1: .*Undecided: nobody can say", ["packed"]),
    ],
)
async def test_whoever_waits_is_told_how_a_saga_ended(
    runner: Runner, wait_until: Any, word: str, state: str, message: str, then: list[str]
) -> None:
    """By the error of the step that failed, or that nobody knows of, and the state."""
    async with runner.worker():
        with pytest.raises(WorkflowFailed, match=message) as failed:
            await (await decide(runner, word, wait_until)).result(30)
    assert (failed.value.state, failed.value.node, log) == (state, "1", then)
