"""Sagas: all done, all undone, or parked with the truth about each step; whatever dies in between."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MethodType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner import Context, InvalidArguments, InvalidJob, InvalidTask, task
from runner.outcome import Cancelled, Dead, Succeeded
from runner.registry import Registry
from runner.wire.dead_scripts import DeadScripts, new_op
from runner.workflow.plan import chain
from runner.workflow.saga import saga, step


@task
async def do(ctx: Context, label: str) -> str: ...
@task(queue="bulk")
async def undo(ctx: Context, result: str | None, label: str) -> None: ...
@task
async def alarm(ctx: Context, failure: dict[str, Any]) -> None: ...


@dataclass
class Ledger:
    """What happened in the world. `script`: how attempts of `do x` and `undo x` end; then they succeed."""

    script: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    events: list[str] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    happened: set[str] = field(default_factory=set)

    def run(self, attempt: Any) -> Any:
        if attempt.task == "alarm":
            self.told.append(attempt.args[0])
            return Succeeded(None)
        label = attempt.args[-1]
        name = f"{attempt.task} {label}"
        how = self.script[name].pop(0) if self.script[name] else "ok"
        self.events.append(f"{name}: {how}")
        if attempt.task == "undo":
            self.given[label] = attempt.args[0]
        if how in ("ok", "half", "unsure"):  # a half-happened one dies after its effect
            (self.happened.discard if attempt.task == "undo" else self.happened.add)(label)
        if how == "ok":
            return Succeeded(f"did {label}")
        reason = {"unsure": "undecided", "dead": "gave_up", "half": "max_tries"}[how]
        return Dead(reason, ValueError(f"{name} {how}"))


Make = Callable[..., Any]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def enact(world: Any, ledger: Ledger) -> Any:
    """Let the world run the jobs of sagas."""
    world.workflows._registry = Registry([do, undo, alarm])
    world._run = MethodType(lambda self, attempt: ledger.run(attempt), world)
    return world


def of(*labels: str, **options: Any) -> Any:
    return saga(*(step(do.call(label), undo, **options) for label in labels))


async def standing(flow: Any) -> list[tuple[str, str]]:
    return [(each.state, each.undo) for each in await flow.steps()]


async def ended(world: Any, flow: Any) -> str:
    await world.drain()
    return (await flow.info()).state


async def test_a_saga_that_goes_well_gives_what_its_last_step_returned(world: Any, ledger: Ledger) -> None:
    """Steps run in order, each with its own arguments; nothing is undone."""
    enact(world, ledger)
    flow = await world.start(of("a", "b", "c"))
    assert await ended(world, flow) == "succeeded"
    assert await world.result(flow.id) == "did c"
    assert ledger.events == ["do a: ok", "do b: ok", "do c: ok"]
    assert await standing(flow) == [("done", "waiting")] * 3


@pytest.mark.parametrize("undo_failed", [True, False])
async def test_a_step_that_fails_has_what_came_before_undone(
    world: Any, ledger: Ledger, undo_failed: bool
) -> None:
    """The last one first; each undo gets the step's result and arguments. Its own runs unless told not to."""
    enact(world, ledger)
    ledger.script["do c"] = ["dead"]
    flow = await world.start(of("a", "b", "c", undo_failed=undo_failed), on_error=alarm)
    assert await ended(world, flow) == "undone"
    own = ["undo c: ok"] if undo_failed else []
    assert ledger.events[3:] == [*own, "undo b: ok", "undo a: ok"]
    assert ledger.given == {"a": "did a", "b": "did b"} | ({"c": None} if undo_failed else {})
    assert [told["error"]["message"] for told in ledger.told] == ["do c dead"]
    assert await standing(flow) == [
        ("done", "done"),
        ("done", "done"),
        ("failed", "done" if undo_failed else "waiting"),
    ]
    assert (await flow.info()).failed_node == "2"
    assert "do c dead" in json.dumps(await world.result(flow.id))
    assert not await flow.retry()
    assert not await flow.cancel()


async def test_a_step_without_an_undo_is_passed_over(world: Any, ledger: Ledger) -> None:
    """Also at the beginning: then there is nothing left to undo."""
    enact(world, ledger)
    ledger.script["do d"] = ["dead"]
    steps = [step(do.call("a")), step(do.call("b"), undo), step(do.call("c")), step(do.call("d"))]
    flow = await world.start(saga(*steps))
    assert await ended(world, flow) == "undone"
    assert ledger.events[4:] == ["undo b: ok"]
    assert ledger.happened == {"a", "c"}
    lone = await world.start(saga(step(do.call("d"))))
    ledger.script["do d"] = ["dead"]
    assert await ended(world, lone) == "undone"


async def test_an_undo_that_dies_parks_the_saga_until_it_is_retried(world: Any, ledger: Ledger) -> None:
    """It says which is undone and which not, is kept for ever, and a retry goes on with that undo alone."""
    enact(world, ledger)
    ledger.script |= {"do c": ["dead"], "undo b": ["dead"]}
    flow = await world.start(of("a", "b", "c"), on_error=alarm)
    assert await ended(world, flow) == "needs_attention"
    assert await standing(flow) == [("done", "waiting"), ("done", "failed"), ("failed", "done")]
    assert len(ledger.told) == 1
    assert await world.redis.ttl(world.advancing.scripts.key(flow.id, "state")) == -1
    assert await flow.retry()
    assert await ended(world, flow) == "undone"
    assert ledger.events[3:] == ["undo c: ok", "undo b: dead", "undo b: ok", "undo a: ok"]
    assert await world.redis.exists(world.keys["default"].dead_letter(f"{flow.id}:2")), "what failed is kept"


@pytest.mark.parametrize("then", ["ok", "dead"])
async def test_a_step_that_is_undecided_leads_neither_on_nor_back(
    world: Any, ledger: Ledger, then: str
) -> None:
    """Until somebody knows: its retry finds out, and then the saga goes on or back."""
    enact(world, ledger)
    ledger.script["do b"] = ["unsure", then]
    flow = await world.start(of("a", "b", "c"))
    assert await ended(world, flow) == "needs_attention"
    assert ledger.events == ["do a: ok", "do b: unsure"]
    assert await standing(flow) == [("done", "waiting"), ("undecided", "waiting"), ("waiting", "waiting")]
    assert await flow.retry()
    assert await ended(world, flow) == ("succeeded" if then == "ok" else "undone")
    assert ledger.happened == ({"a", "b", "c"} if then == "ok" else set())


async def test_a_cancelled_saga_lets_the_step_under_way_end_and_undoes(world: Any, ledger: Ledger) -> None:
    """Nothing is cut off half-way: the step's job runs to its end, and then everything goes back."""
    enact(world, ledger)
    flow = await world.start(of("a", "b", "c"))
    [(name, token, job)] = await world.claim()
    end = await world.end_of(name, token, job)
    assert await flow.cancel()
    await world.finish(name, end)
    assert await ended(world, flow) == "undone"
    assert ledger.events == ["do a: ok", "undo a: ok"]
    assert (
        json.loads(await world.redis.get(world.advancing.scripts.key(flow.id, "result")))["o"] == "cancelled"
    )


async def test_a_step_whose_job_is_cancelled_by_hand_has_failed(world: Any, ledger: Ledger) -> None:
    """For one that would wait for long, as for an approval: its own undo runs too."""
    enact(world, ledger)
    flow = await world.start(of("a", "b"))
    [(name, token, job)] = await world.claim()
    await world.finish(name, await world.end_of(name, token, job))
    await world.settle()
    [(name, token, job)] = await world.claim()
    await world.finish(name, await world.end_of(name, token, job, Cancelled()))
    assert await ended(world, flow) == "undone"
    assert ledger.events == ["do a: ok", "undo b: ok", "undo a: ok"]


async def test_a_failed_step_that_is_replayed_by_hand_does_not_run(world: Any, ledger: Ledger) -> None:
    """Its saga has turned back: an effect now, or later, would have nobody to undo it."""
    enact(world, ledger)
    ledger.script |= {"do b": ["dead"], "undo a": ["dead"]}
    flow = await world.start(of("a", "b"))
    dead = DeadScripts(world.redis.execute_command)

    async def replay() -> None:
        letter = [(f"{flow.id}:1", b"")]
        await dead.replay(world.keys["default"], letter, by="me", op=new_op(), now_ms=world.now_ms)

    assert await ended(world, flow) == "needs_attention"
    await replay()
    assert await ended(world, flow) == "needs_attention"
    assert await flow.retry()
    assert await ended(world, flow) == "undone"
    await replay()
    assert await ended(world, flow) == "undone"
    assert [event for event in ledger.events if event.startswith("do b")] == ["do b: dead"]


async def test_an_undo_that_is_replayed_by_hand_lets_the_saga_go_on(world: Any, ledger: Ledger) -> None:
    """As a retry does."""
    enact(world, ledger)
    ledger.script |= {"do b": ["dead"], "undo a": ["dead"]}
    flow = await world.start(of("a", "b"))
    assert await ended(world, flow) == "needs_attention"
    letter = [(f"{flow.id}:2", b"")]
    dead = DeadScripts(world.redis.execute_command)
    assert await dead.replay(world.keys["bulk"], letter, by="me", op=new_op(), now_ms=world.now_ms) == [1]
    assert await ended(world, flow) == "undone"
    assert ledger.happened == set()


@dataclass(frozen=True)
class Plan:
    """A saga by chance: per step how its attempts end, and those of its undo."""

    does: list[list[str]]
    undoes: list[list[str]]
    moves: list[tuple[str, int]]
    cancels_at: int


plans = st.builds(
    Plan,
    st.lists(st.lists(st.sampled_from(["ok", "dead", "half", "unsure"]), max_size=2), min_size=1, max_size=4),
    st.lists(st.lists(st.sampled_from(["ok", "dead", "half"]), max_size=2), min_size=4, max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["settle", "work", "lose", "twice", "remake"]), st.integers(1, 12)),
        max_size=14,
    ),
    st.integers(0, 20),
)


class Trouble:
    """Moves a saga with crashes, lost workers, ends that are sent twice and jobs that are made twice."""

    def __init__(self, world: Any, flow: Any, crash: type[Exception]) -> None:
        self.world, self.flow, self.crash = world, flow, crash
        self.lost: Counter[str] = Counter()

    async def move(self, what: str, after: int) -> None:
        if what == "settle":
            self.world.crash_after = after
            try:
                await self.world.settle()
            except self.crash:
                await self.world.let_leases_end()
            self.world.crash_after = None
            return
        await self.world.settle()
        if what == "remake":
            await self.remake(after)
        for name, token, job in await self.world.claim(limit=1):
            if what == "lose" and not self.lost[job.job_id]:
                self.lost[job.job_id] += 1
                await self.world.let_leases_end()
                continue
            end = await self.world.end_of(name, token, job)
            for _ in range(2 if what == "twice" else 1):
                await self.world.finish(name, end)

    async def remake(self, number: int) -> None:
        """Make a job of a node that may have ended long ago, as a slow process would."""
        advancing, steps = self.world.advancing, await self.flow.steps()
        node = str(number % len(steps))
        entry = (await advancing._call(self.flow.id, node)).entry(self.flow.id, 0)
        if (await self.flow.info()).state == "running" and steps[int(node)].state != "waiting":
            await advancing._enqueue({"default": [entry]})


@settings(max_examples=50)
@given(plan=plans)
async def test_every_end_of_a_saga_is_all_done_all_undone_or_the_truth(
    redis: Any, world_on: Any, say: Any, plan: Plan
) -> None:
    """Random failures, crashes, duplicates, a cancellation: no step after an undo, undos in reverse."""
    await redis.flushdb()
    ledger = Ledger()
    world = enact(world_on(redis, "classic"), ledger)
    labels = [str(number) for number in range(len(plan.does))]
    for label, does, undoes in zip(labels, plan.does, plan.undoes, strict=False):
        ledger.script |= {f"do {label}": list(does), f"undo {label}": list(undoes)}
    try:
        flow = await world.start(of(*labels))
        trouble = Trouble(world, flow, say.Crash)
        for number, (what, after) in enumerate(plan.moves):
            if number == plan.cancels_at:
                await flow.cancel()
            await trouble.move(what, after)
        await world.let_leases_end()
        state, rounds = await ended(world, flow), 0
        while state == "needs_attention":
            tell_no_lies(ledger, await flow.steps())
            rounds += 1
            assert rounds < 20, "retries lead nowhere"
            assert await flow.retry()
            state = await ended(world, flow)
        steps = await flow.steps()
    finally:
        await world.link.close()
    tell_no_lies(ledger, steps)
    assert state in ("succeeded", "undone")
    assert ledger.happened == (set(labels) if state == "succeeded" else set())
    ran = [event.split(":")[0] for event in ledger.events]
    turns = next((number for number, name in enumerate(ran) if name.startswith("undo")), len(ran))
    assert not any(name.startswith("do") for name in ran[turns:])
    assert turns in (0, len(ran)) or not ledger.events[turns - 1].endswith("unsure"), (
        "it went back on a guess"
    )
    undone = [int(name.split()[1]) for name in ran[turns:]]
    assert undone == sorted(undone, reverse=True)


def tell_no_lies(ledger: Ledger, steps: list[Any]) -> None:
    """What is said of each step is what its jobs did."""
    for number, each in enumerate(steps):
        did = [event for event in ledger.events if event.startswith(f"do {number}:")]
        back = [event for event in ledger.events if event.startswith(f"undo {number}:")]
        assert (each.state == "done") == (f"do {number}: ok" in did)
        assert (each.undo == "done") == (f"undo {number}: ok" in back)
        if each.state == "undecided":
            assert did[-1] == f"do {number}: unsure"
        if each.undo == "failed":
            assert back[-1] != f"undo {number}: ok"


@task
async def strange(ctx: Context, result: int | None, label: str) -> None: ...
@task
async def sure(ctx: Context, result: str, label: str) -> None: ...
@task
async def prepared(ctx: Context, result: str | None, label: str, more: int) -> None: ...


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: saga(), InvalidJob, "at least one step"),
        (lambda: saga(do.call("a")), InvalidJob, "part 1 of the saga is .*made by step"),  # type: ignore[arg-type]
        (lambda: step(do), InvalidJob, "a step of a saga is a call"),  # type: ignore[arg-type]
        (lambda: step(do.call("a"), undo=len), InvalidJob, "takes a task"),  # type: ignore[arg-type]
        (lambda: chain(of("a"), do.call()), InvalidJob, "a workflow of its own"),
        (lambda: saga(step(do.call("a"), strange)), InvalidArguments, "step 'do' gives .*'strange'.*takes"),
        (
            lambda: saga(step(do.call("a"), prepared)),
            InvalidArguments,
            "'more'.*an undo gets its step's result",
        ),
        (lambda: saga(step(do.call(1), undo)), InvalidArguments, "argument 'label'"),  # type: ignore[arg-type]
        (lambda: saga(step(do.using(key="k").call("a"), undo)), InvalidJob, "leave key= out"),
        (lambda: saga(step(do.call("a"), alarm)), InvalidArguments, "'alarm'"),
        (
            lambda: saga(step(do.call("a"), sure)),
            InvalidArguments,
            "'sure' gets None as 'result' when step 'do'",
        ),
    ],
)
async def test_a_saga_that_cannot_be_is_refused(
    world: Any, ledger: Ledger, make: Any, error: type[Exception], message: str
) -> None:
    """Where it is put together or started, before anything is written; both tasks are named."""
    enact(world, ledger)
    world.workflows._registry = Registry([do, undo, alarm, strange, prepared, sure])
    with pytest.raises(error, match=message):
        await world.start(make())
    assert await world.redis.keys("*") == []


async def test_the_undo_of_a_saga_has_to_be_registered(world: Any, ledger: Ledger) -> None:
    """Found out at the start, not when everything goes wrong."""
    enact(world, ledger)
    world.workflows._registry = Registry([do])
    with pytest.raises(InvalidTask, match="task 'undo' is not registered"):
        await world.start(of("a"))
