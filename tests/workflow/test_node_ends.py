"""Ends of nodes that are not the plain ones: no worker saw them, or they come at a bad moment."""

import json

import pytest

from runner.dead_letters import Retention
from runner.engine.dead import look_after
from runner.outcome import Dead
from runner.parts import Call
from runner.workflow.draft import CHUNK
from runner.workflow.plan import chain, chord, group

AFTER_MS = 3_000_000_000_000
"""Later than what the server itself takes for the time."""


async def test_a_node_that_kills_its_workers_fails_the_workflow(world, say):
    """Poison is buried by a claim: whoever tells of it tells the workflow too, and a retry does it again."""
    flow = await world.start(chain(say.call("a"), say.call("b")))
    for _ in range(5):
        await world.claim()
        await world.let_lease_end("default", f"{flow.id}:0")
    await look_after(world.link.execute, world.keys["default"], {}, Retention(), "w")
    world.now_ms = AFTER_MS
    await world.drain()
    info = await flow.info()
    assert (info.state, info.failed_node) == ("failed", "0")
    [node, _] = await flow.nodes()
    assert "took down the worker" in node.error
    assert await flow.retry()
    await world.drain()
    assert await world.result(flow.id) == say.valued("b", "a")


async def test_a_node_whose_payload_is_gone_fails_the_workflow_and_is_made_anew(world, say):
    """Its id says whose node it was; a retry makes its job out of the plan."""
    flow = await world.start(say.call("a"), id="w")
    await world.redis.delete(world.keys["default"].job("w:0"))
    await world.drain()
    assert await world.state("w") == "failed"
    assert await flow.retry()
    await world.drain()
    assert await world.result("w") == "a"


async def test_a_member_whose_payload_is_gone_is_one_error_where_errors_are_collected(world, say):
    """What follows its end stands in the plan: the callback is told of it, and the others go on."""
    await world.start(chord([say.call("a"), say.call("b")], say.call("d"), error="collect"), id="w")
    await world.redis.delete(world.keys["default"].job("w:2"))
    await world.drain()
    assert await world.state("w") == "succeeded"
    given = json.loads((await world.result("w")).removeprefix("d(").removesuffix(")"))
    assert [each["ok"] for each in given] == [True, False]


async def test_a_node_expires_from_when_it_became_due(world, say):
    """`expires=` counts from the end of what comes before, and anew from a retry."""
    second = Call(say.work.using(expires=60), ("b",), {})
    flow = await world.start(chain(say.call("a"), second))
    world.now_ms += 3_600_000
    [(name, token, job)] = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))
    await world.settle()
    [(name, token, job)] = await world.claim()
    assert json.loads(job.payload)["m"]["x"] == world.advancing.now_ms + 60_000
    await world.finish(name, await world.end_of(name, token, job, Dead("expired", TimeoutError("late"))))
    await world.settle()
    info = await flow.info()
    assert (info.state, info.failed_node) == ("failed", "1")
    world.now_ms += 3_600_000
    world.advancing.now_ms = world.now_ms
    assert await flow.retry()
    [(_, _, job)] = await world.claim()
    assert json.loads(job.payload)["m"]["x"] > world.now_ms, "a retry gives it its time anew"


async def test_a_collected_death_leaves_the_node_of_that_number_alone(world, say):
    """Places of members and numbers of nodes overlap; the one that died must not stop the one that lives."""
    header = [say.call("a"), say.call("b", deaths=1), say.call("c")]
    flow = await world.start(chord(header, say.call("d"), error="collect"))
    claimed = {job.job_id: (name, token, job) for name, token, job in await world.claim()}
    name, token, job = claimed.pop(f"{flow.id}:2")
    await world.finish(name, await world.end_of(name, token, job))
    await world.settle()
    for name, token, job in claimed.values():
        await world.finish(name, await world.end_of(name, token, job))
    await world.drain()
    bad = {"ok": False, "type": "ValueError", "message": "b"}
    given = [{"ok": True, "value": "a"}, bad, {"ok": True, "value": "c"}]
    assert await world.result(flow.id) == say.valued("d", given)


async def test_a_retry_while_nodes_are_being_cancelled_does_all_that_is_left(world, say):
    """Some are cancelled, some not yet when it comes: each runs once, and nothing is cancelled afterwards."""
    labels = [f"n{n}" for n in range(CHUNK + 20)]
    flow = await world.start(group([say.call(each, deaths=int(each == "n0")) for each in labels]))
    claimed = await world.claim(limit=4)
    for name, token, job in claimed:
        await world.finish(name, await world.end_of(name, token, job))
    world.crash_after = 40
    try:
        await world.settle()
    except say.Crash:
        world.crash_after = None
    waiting = await world.redis.zcard(world.keys["default"].queue)
    assert 0 < waiting < CHUNK, "the one that cancels died half-way"
    assert await flow.retry()
    world.let_notes_be_seen()
    await world.drain()
    assert await world.result(flow.id) == labels
    assert dict(world.ran) == {each: 1 + (each == "n0") for each in labels}


async def test_a_job_made_again_waits_until_the_end_before_it_is_told(world, say, monkeypatch):
    """A retry may be quicker than who told of the death is to drop its note: the job waits."""
    flow = await world.start(say.call("a", deaths=1))
    [(name, token, job)] = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))

    async def drop(*_):
        raise say.Crash

    with monkeypatch.context() as patched:
        patched.setattr(world.advancing.scripts, "drop", drop)
        with pytest.raises(say.Crash):
            await world.settle()
    assert await flow.retry()
    [(name, token, job)] = await world.claim()
    assert (await world.end_of(name, token, job)).verb == "later"
    await world.finish(name, await world.end_of(name, token, job))
    world.let_notes_be_seen()
    await world.drain()
    assert await world.result(flow.id) == "a"
