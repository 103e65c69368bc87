"""Workflows from start to end: what is given to whom, what a death does, and going on from there."""

from contextlib import suppress

from runner.wire.dead_scripts import DeadScripts, new_op
from runner.workflow.plan import chain, chord, group


async def test_a_chain_passes_each_result_on(world, say):
    """Each node gets the result of the one before it as its first argument, a fixed one does not."""
    flow = await world.start(chain(say.call("a"), say.call("b", far=True), say.call("c", fixed=True)))
    assert flow.disposition == "created"
    await world.drain()
    assert await world.state(flow.id) == "succeeded"
    assert await world.result(flow.id) == "c"
    assert dict(world.succeeded) == {f"{flow.id}:{n}": 1 for n in range(3)}
    results = await world.part(flow.id, "results")
    assert results[b"1"] == b'"b(\\"a\\")"'


async def test_a_chord_calls_back_once_with_all_results_in_order(world, say):
    """The callback gets the list of the header's results, in the order they were written in."""
    header = [say.call("a"), chain(say.call("b"), say.call("c")), group([say.call("d"), say.call("e")])]
    flow = await world.start(chain(chord(header, say.call("f")), say.call("g")))
    await world.drain()
    given = ["a", 'c("b")', ["d", "e"]]
    assert await world.result(flow.id) == say.valued("g", say.valued("f", given))
    assert world.ran["f"] == 1


async def test_an_end_that_is_told_again_counts_once(world, say):
    """A process dies between telling a workflow and forgetting what it told: nothing follows twice."""
    flow = await world.start(chord([say.call("a"), say.call("b")], say.call("c")))
    await world.settle()
    (name, token, job), other = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))
    for commands in range(2, 6):
        world.crash_after = commands
        with suppress(say.Crash):
            await world.settle()
        world.crash_after = None
        world.let_notes_be_seen()
    assert await world.claim() == [], "one of two has ended"
    name, token, job = other
    await world.finish(name, await world.end_of(name, token, job))
    await world.drain()
    assert await world.result(flow.id) == say.valued("c", ["a", "b"])
    assert world.ran["c"] == 1


async def test_a_group_in_a_chain_gets_the_result_before_it(world, say):
    """Every member of a group begins with what comes before the group."""
    flow = await world.start(chain(say.call("a"), group([say.call("b"), say.call("c", fixed=True)])))
    await world.drain()
    assert await world.result(flow.id) == ['b("a")', "c"]


async def test_a_group_of_none_ends_at_once(world, say):
    """An empty group is []; a chord of none calls back with it, wherever it stands."""
    lone = await world.start(group([]))
    assert await world.state(lone.id) == "succeeded"
    assert await world.result(lone.id) == []
    back = await world.start(chain(chord([], say.call("a")), group([group([]), say.call("b")])))
    await world.drain()
    assert await world.result(back.id) == [[], say.valued("b", "a([])")]


async def test_the_same_id_twice_is_one_workflow(world, say):
    """A second start with an id changes nothing and says so."""
    first = await world.start(say.call("a"), id="report-17")
    second = await world.start(chain(say.call("b"), say.call("c")), id="report-17")
    assert (first.disposition, second.disposition) == ("created", "duplicate")
    await world.drain()
    assert await world.result("report-17") == "a"


async def test_a_death_fails_the_workflow_and_calls_on_error_once(world, say):
    """The workflow is failed at once, with node and error; those that wait are cancelled."""
    members = [say.call("a", deaths=1), *(say.call(f"b{n}") for n in range(3))]
    flow = await world.start(chain(group(members), say.call("c")), on_error=say.alarm)
    (name, token, job), *others = await world.claim(limit=1)
    assert others == []
    await world.finish(name, await world.end_of(name, token, job))
    await world.settle()
    info = await flow.info()
    assert (info.state, info.failed_node) == ("failed", "1")
    assert await world.redis.zcard(world.keys["default"].queue) == 1, "on_error alone is left"
    await world.drain()
    error = {"type": "ValueError", "message": "a"}
    assert world.told == [{"workflow": flow.id, "node": "1", "error": error}]
    assert world.ran["b0"] == world.ran["c"] == 0


async def test_a_retry_does_again_what_failed_and_nothing_else(world, say):
    """After a retry the workflow goes on from what failed, and ends as if nothing had been."""
    members = [say.call("a"), chain(say.call("b", deaths=1), say.call("c")), say.call("d")]
    flow = await world.start(chain(group(members), say.call("e")), on_failure="finish")
    await world.drain()
    assert await world.state(flow.id) == "failed"
    assert await flow.retry()
    assert await flow.retry() is False, "it runs"
    await world.drain()
    assert await world.result(flow.id) == say.valued("e", ["a", 'c("b")', "d"])
    assert dict(world.ran) == {"a": 1, "b": 2, "c": 1, "d": 1, "e": 1}


async def test_a_replayed_dead_letter_lets_the_workflow_go_on(world, say):
    """Replaying by hand the letter of the node that failed it does what a retry does."""
    flow = await world.start(group([say.call("a", deaths=1), say.call("b"), say.call("c")]))
    (name, token, job), *_ = await world.claim(limit=1)
    await world.finish(name, await world.end_of(name, token, job))
    await world.drain()
    assert await world.state(flow.id) == "failed"
    dead, letter = DeadScripts(world.redis.execute_command), (f"{flow.id}:1", b"")
    options = {"by": "me", "op": new_op(), "now_ms": world.now_ms}
    assert await dead.replay(world.keys["default"], [letter], **options) == [1]
    await world.drain()
    assert await world.result(flow.id) == ["a", "b", "c"]


async def test_a_chord_that_collects_calls_back_in_spite_of_deaths(world, say):
    """With error="collect" the callback gets an outcome of each, in order; the workflow has not failed."""
    header = [say.call("a"), chain(say.call("b", deaths=1), say.call("c")), say.call("d")]
    flow = await world.start(chord(header, say.call("e"), error="collect"), on_error=say.alarm)
    await world.drain()
    bad = {"ok": False, "type": "ValueError", "message": "b"}
    given = [{"ok": True, "value": "a"}, bad, {"ok": True, "value": "d"}]
    assert await world.result(flow.id) == say.valued("e", given)
    assert world.told == []
    assert world.ran["c"] == 0


async def test_a_cancelled_workflow_begins_nothing_more_until_it_is_retried(world, say):
    """What waits is cancelled, what a running node leads to is held; a retry lets all of it go on."""
    flow = await world.start(chain(say.call("a"), group([say.call("b"), say.call("c")])))
    [(name, token, job)] = await world.claim()
    end = await world.end_of(name, token, job)
    assert await flow.cancel()
    assert await flow.cancel() is False
    await world.finish(name, end)
    await world.drain()
    assert await world.state(flow.id) == "cancelled"
    assert dict(world.ran) == {"a": 1}
    assert await flow.retry()
    await world.drain()
    assert await world.result(flow.id) == ['b("a")', 'c("a")']
    assert dict(world.ran) == {"a": 1, "b": 1, "c": 1}


async def test_a_node_that_has_succeeded_is_not_run_again(world, say):
    """A job that a slow process makes anew of a node that has ended long ago is dropped unrun."""
    flow = await world.start(chain(say.call("a"), say.call("b")))
    await world.drain()
    await world.advancing._enqueue(
        {"default": [(await world.advancing._call(flow.id, "0")).entry(flow.id, 0)]}
    )
    await world.drain()
    assert dict(world.ran) == {"a": 1, "b": 1}
    assert await world.state(flow.id) == "succeeded"


async def test_a_success_on_its_way_outlives_a_late_cancellation(world, say):
    """A success that the workflow does not know yet is not replaced by how a late second job ends."""
    flow = await world.start(group([say.call("a"), say.call("b", deaths=1, far=True)]))
    for name, token, job in await world.claim():
        await world.finish(name, await world.end_of(name, token, job))
    world.advancing.now_ms = world.now_ms
    late = (await world.advancing._call(flow.id, "1")).entry(flow.id, 0)
    await world.advancing._enqueue({"default": [late]})
    await world.advancing.settle(world.keys["bulk"])
    assert await world.redis.zcard(world.keys["default"].queue) == 0, "the workflow failed: it is cancelled"
    await world.drain()
    assert await flow.retry()
    await world.drain()
    assert await world.result(flow.id) == ["a", "b"]
    assert dict(world.ran) == {"a": 1, "b": 2}


async def test_what_a_straggler_leads_to_is_let_go_when_the_workflow_has_succeeded(world, say):
    """A group inside a chord that collects fails with its first death; nothing follows its others."""
    inner = group([say.call("a", deaths=1), chain(say.call("b", far=True), say.call("c"))])
    flow = await world.start(chord([inner], say.call("d"), error="collect"))
    (name, token, job), straggler = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))
    late = await world.end_of(*straggler)
    await world.settle()
    [(name, token, job)] = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))
    await world.settle()
    assert await world.state(flow.id) == "succeeded"
    await world.finish(straggler[0], late)
    await world.drain()
    assert dict(world.ran) == {"a": 1, "b": 1, "d": 1}
    assert await world.part(flow.id, "held") is None


async def test_nodes_that_end_while_others_are_told_are_told_at_once(world, say):
    """An end that is written while a worker tells of those before it is not left for its next look."""
    await world.start(group([say.call("a"), say.call("b")]))
    (name, token, first), (_, _, second) = await world.claim()
    await world.finish(name, await world.end_of(name, token, first))
    nodes, queue = world.nodes, world.keys["default"].queue
    send = nodes._advancing.scripts.advance

    async def meanwhile(*told, **options):
        nodes._advancing.scripts.advance = send
        await world.finish(name, await world.end_of(name, token, second))
        nodes.note_ended(queue)
        return await send(*told, **options)

    nodes._advancing.scripts.advance = meanwhile
    nodes.note_ended(queue)
    await nodes.settle()
    assert await world.unsettled() == 0
