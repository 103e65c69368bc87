"""A server that comes back without its last second (everysec, a failover) while a workflow is started."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runner.errors import ServerError
from runner.workflow.draft import CHUNK
from runner.workflow.plan import chain, group

MOMENTS = {
    "all of the draft": ("begin", "before"),
    "a part of the draft": ("begin", "before"),
    "the workflow, before its jobs": ("begin", "after"),
    "the workflow, after its jobs": ("drop", "before"),
}


def losing(world: Any, lost: str, verb: Callable[..., Awaitable[Any]], times: int) -> Callable[..., Any]:
    """Give a verb of a workflow's scripts whose first calls come upon a server that lost that."""
    left = times

    async def lose() -> None:
        nonlocal left
        left -= 1
        pattern = "*plan-draft*" if lost == "a part of the draft" else "*"
        for key in [key async for key in world.redis.scan_iter(pattern)] if left >= 0 else ():
            await (world.redis.hdel(key, "0") if lost == "a part of the draft" else world.redis.delete(key))

    async def call(*args: Any, **options: Any) -> Any:
        if MOMENTS[lost][1] == "before":
            await lose()
            return await verb(*args, **options)
        answer = await verb(*args, **options)
        await lose()
        return answer

    return call


@pytest.mark.parametrize("lost", MOMENTS)
async def test_a_start_whose_writes_are_lost_is_made_again(world, say, monkeypatch, lost):
    """Its caller still holds all of it; once it returns, the workflow is there and ends as if nothing was."""
    scripts, verb = world.advancing.scripts, MOMENTS[lost][0]
    monkeypatch.setattr(scripts, verb, losing(world, lost, getattr(scripts, verb), times=2))
    labels = [f"n{n}" for n in range(CHUNK + 5)]
    flow = await world.start(chain(say.call("a"), group([say.call(each) for each in labels])), id="w")
    assert flow.disposition == "created"
    await world.drain()
    assert await world.result("w") == [say.valued(each, "a") for each in labels]


async def test_a_start_whose_writes_are_lost_each_time_says_so(world, say, monkeypatch):
    """One of our errors, which names the workflow and what to do; no worker is left with half of it."""
    scripts, lost = world.advancing.scripts, "the workflow, before its jobs"
    monkeypatch.setattr(scripts, "begin", losing(world, lost, scripts.begin, times=100))
    with pytest.raises(
        ServerError, match=r"workflow w: the server has lost .* Start it again with the same id"
    ):
        await world.start(say.call("a"), id="w")
    monkeypatch.undo()
    world.let_notes_be_seen()
    await world.drain()
    assert (await world.start(say.call("a"), id="w")).disposition == "created"
