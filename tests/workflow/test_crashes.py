"""Any workflow, any deaths, crashes anywhere: it ends, what is due happens once, results are in order."""

import asyncio
import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from runner.parts import Chain, Group, Part, Step
from runner.workflow.plan import chain, chord, group

Build = Callable[[Callable[..., Step[Any, Any]], list[int]], Part[Any, Any]]
"""Makes a part, given what makes calls and a counter that labels them."""


def leaves(deaths: int, fixed: bool, far: bool) -> Build:
    def build(call: Callable[..., Step[Any, Any]], counter: list[int]) -> Part[Any, Any]:
        counter[0] += 1
        return call(f"n{counter[0]}", deaths=deaths, fixed=fixed, far=far)

    return build


def nested(kind: str, members: list[Build]) -> Build:
    def build(call: Callable[..., Step[Any, Any]], counter: list[int]) -> Part[Any, Any]:
        parts = [member(call, counter) for member in members]
        if kind == "chain" and parts:
            return chain(*parts)
        if kind == "collect":
            return chord(parts, leaves(0, False, False)(call, counter), error="collect")
        return group(parts)

    return build


leaf = st.builds(leaves, st.sampled_from([0, 0, 0, 1]), st.booleans(), st.booleans())
plans = st.recursive(
    leaf,
    lambda inner: st.builds(
        nested, st.sampled_from(["chain", "group", "collect"]), st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)


class Died(Exception):
    pass


def expected(part: Part[Any, Any], valued: Callable[..., Any], *before: Any, collected: bool = False) -> Any:
    """What a part gives in the end: one that dies is retried, but for those whose errors are collected."""
    match part:
        case Step(args=(label,), kwargs=kwargs, is_fixed=is_fixed):
            if collected and kwargs.get("deaths"):
                raise Died(label)
            return valued(label, *(() if is_fixed else before))
        case Chain(parts):
            for each in parts:
                before = (expected(each, valued, *before, collected=collected),)
            return before[0]
        case Group(parts, error):
            if error == "fail":
                return [expected(each, valued, *before, collected=collected) for each in parts]
            return [outcome(each, valued, *before) for each in parts]
        case _:
            raise AssertionError(part)


def outcome(part: Part[Any, Any], valued: Callable[..., Any], *before: Any) -> dict[str, Any]:
    try:
        return {"ok": True, "value": expected(part, valued, *before, collected=True)}
    except Died as died:
        return {"ok": False, "type": "ValueError", "message": str(died)}


def told_apart(value: Any) -> str:
    """A value without saying which of several that died was first: that is chance."""
    return re.sub(r'(message\\*": \\*")n\d+', r"\1*", json.dumps(value))


def may_fail(part: Part[Any, Any], *, collected: bool = False) -> bool:
    match part:
        case Step(kwargs=kwargs):
            return not collected and bool(kwargs.get("deaths"))
        case Chain(parts):
            return any(may_fail(each, collected=collected) for each in parts)
        case Group(parts, error):
            return any(may_fail(each, collected=collected or error == "collect") for each in parts)
        case _:
            raise AssertionError(part)


async def crashing(world: Any, say: Any, random: Random, act: Callable[[], Any]) -> None:
    """Do something in a process that may die before or after any command it sends."""
    world.crash_after = random.choice([None, random.randint(1, 25)])
    try:
        await act()
    except say.Crash:
        world.let_notes_be_seen()
    finally:
        world.crash_after = None


async def make_late(world: Any, random: Random, claimed: set[str]) -> None:
    """Do what a process does that was told to make a node's job long ago, and does so only now."""
    nodes = [job_id for job_id in sorted(claimed) if job_id.startswith("w:")]
    if nodes and random.random() < 0.1:
        node = random.choice(nodes).removeprefix("w:")
        by_queue: dict[str, list[Any]] = {}
        await world.advancing._add("w", node, by_queue)
        await world.advancing._enqueue(by_queue)


async def run_some(world: Any, random: Random, unwritten: list[Any], claimed: set[str]) -> None:
    """Claim and run a few jobs; a worker may die of one, once. Write some ends, and some of them twice."""
    jobs = await world.claim(limit=random.randint(1, 3))
    if not jobs:
        world.now_ms += 1000  # what was asked to wait a moment
    for name, token, job in jobs:
        if job.job_id not in claimed and random.random() < 0.1:
            await world.end_of(name, token, job)
            await world.let_lease_end(name, job.job_id)
        else:
            unwritten.append((name, await world.end_of(name, token, job)))
        claimed.add(job.job_id)
    if unwritten and len(claimed) < 1000 and random.random() < 0.1:
        claimed.update(f"pause {n}" for n in range(1000))  # once: workers that were paused lose their leases
        for name, end in unwritten:
            await world.let_lease_end(name, end.job_id)
    random.shuffle(unwritten)
    for _ in range(random.randint(0, len(unwritten))):
        name, end = unwritten.pop()
        await world.finish(name, end)
        if random.random() < 0.2:
            await world.finish(name, end)


async def live(world: Any, say: Any, random: Random, part: Part[Any, Any], policy: str) -> None:
    """Run a workflow among crashes until it has ended, retrying it whenever it has failed."""

    async def start() -> None:
        await world.start(part, id="w", on_failure=policy, on_error=say.alarm)

    while not await world.redis.exists(world.advancing.scripts.key("w", "state")):
        await crashing(world, say, random, start)
    unwritten: list[Any] = []
    claimed: set[str] = set()
    for _ in range(400):
        await make_late(world, random, claimed)
        await run_some(world, random, unwritten, claimed)
        await crashing(world, say, random, world.settle)
        queued = sum([await world.redis.zcard(keys.queue) for keys in world.keys.values()])
        if unwritten or queued or await world.unsettled() or await world.part("w", "todo"):
            continue
        if await world.state("w") == "succeeded":
            return
        await crashing(world, say, random, world.workflows.workflow("w").retry)
    raise AssertionError("it does not come to an end")


@settings(
    max_examples=40,
)
@given(
    build=plans,
    seed=st.integers(0, 2**32),
    policy=st.sampled_from(["cancel", "finish"]),
    layout=st.sampled_from(["classic", "tagged"]),
)
def test_everything_due_happens_once_whatever_dies_when(
    redis_url, world_on, say, build, seed, policy, layout
):
    """Random nested plans, deaths, crashes between any two steps, duplicates, late processes, retries.

    Each node that is due succeeds once; the value is what it would be without any trouble; on_error came once
    for each round that failed; and nothing is left behind.
    """

    async def live_once() -> None:
        redis = Redis.from_url(redis_url)
        await redis.flushdb()
        world = world_on(redis, layout)
        try:
            part = build(say.call, [0])
            await live(world, say, Random(seed), part, policy)
            assert told_apart(await world.result("w")) == told_apart(expected(part, say.valued))
            ended = {each: n for each, n in world.succeeded.items() if n}
            assert set(ended.values()) <= {1}, "a node succeeded twice"
            told = {each for each in ended if each.startswith("w:e")}
            info = await world.workflows.workflow("w").info()
            assert info.succeeded == len(ended) - len(told)
            assert told == {f"w:e{number}" for number in range(1, info.round)}
            assert (info.round > 1) == may_fail(part)
            assert not await world.part("w", "held")
        finally:
            await world.link.close()
            await redis.aclose()

    asyncio.run(live_once())
