"""Workflows that cannot be are refused before anything is written, in words that help."""

import pytest

from runner import Context, InvalidArguments, InvalidJob, InvalidTask, PayloadTooLarge, Runner, task
from runner.wire.keys import workflows_in
from runner.workflow.failure import UnknownWorkflow, WorkflowFailed
from runner.workflow.plan import chain, chord, group


@task
async def count(ctx: Context, text: str) -> int:
    return len(text)


@task
async def shout(ctx: Context, text: str, *, times: int = 1) -> str:
    return text.upper() * times


@task
async def total(ctx: Context, numbers: list[int]) -> int:
    return sum(numbers)


@task(max_tries=1)
async def much(ctx: Context, text: str) -> str:
    return "x" * 600_000


@task
async def unlisted(ctx: Context) -> None: ...


@pytest.fixture
async def runner(redis_url):
    from runner import Settings
    from runner.settings.model import RedisGroup

    settings = Settings(redis=RedisGroup(url=redis_url), tasks=())
    async with Runner(settings, tasks=[count, shout, total, much]) as connected:
        yield connected


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: chain(), InvalidJob, "at least one part"),
        (lambda: group("abc"), InvalidJob, "part 1 of the group is 'a'"),
        (
            lambda: chord([count.call("a")], total),
            InvalidJob,
            "part 1 of the chord is the task 'total'",
        ),
        (lambda: chord([], total.call(), error="ignore"), InvalidJob, "'fail' or 'collect', not 'ignore'"),
        (lambda: unlisted.call(), InvalidTask, "'unlisted' is not registered"),
        (lambda: count.call(17), InvalidArguments, "argument 'text': expected str"),
        (lambda: count.call(), InvalidArguments, "missing a required argument: 'text'"),
        (
            lambda: chain(count.call("a"), shout.call()),
            InvalidArguments,
            "'count' gives int, but task 'shout'",
        ),
        (lambda: chain(shout.call("a"), count.call("b")), InvalidArguments, "result of task 'shout'"),
        (lambda: chain(group([shout.call("a")]), total.call()), InvalidArguments, "a group of task 'shout'"),
        (lambda: count.using(key="k").call("a"), InvalidJob, "a node's id is made of its workflow's"),
        (lambda: count.call("x" * 600_000), PayloadTooLarge, "argument 'text'"),
        (lambda: nest(101), InvalidJob, "deeper than 100"),
    ],
)
async def test_what_cannot_be_is_refused_whole(runner, redis, make, error, words):
    """The error says what is wrong and where, and the server has nothing of it that counts or stays."""
    with pytest.raises(error, match=words):
        await runner.start(make(), id="w")
    left = [key for key in await redis.keys("*") if await redis.ttl(key) < 0]
    assert left == []


def nest(depth):
    part = count.call("a")
    for _ in range(depth):
        part = group([part])
    return part


async def test_an_id_that_cannot_be_one_is_refused(runner):
    """Ids of workflows follow the rules of keys."""
    with pytest.raises(InvalidJob, match="id=: a key is text"):
        await runner.start(count.call("a"), id="a\nb")


async def test_a_workflow_that_is_not_there_is_said_to_be_so(runner):
    """Handles can be made of any id; asking them says that there is nothing."""
    with pytest.raises(UnknownWorkflow, match="no workflow 'nothing'"):
        await runner.workflow("nothing").info()


async def test_a_worker_runs_workflows_to_their_results(runner):
    """A serving worker runs them; results come typed, one that is too large fails its workflow by name."""
    async with runner.worker():
        flow = await runner.start(chain(group(count.call(t) for t in ("a", "bc")), total.call()))
        assert await flow.result(timeout=10) == 3
        assert await flow.progress() == 1.0
        assert [(n.task, n.state) for n in await flow.nodes()] == [
            ("count", "succeeded"),
            ("count", "succeeded"),
            ("total", "succeeded"),
        ]
        large = await runner.start(chain(much.call("a"), count.call()))
        with pytest.raises(WorkflowFailed, match=r"node 0: .*600,\d+ bytes") as failed:
            await large.result(timeout=10)
        assert failed.value.node == "0"
        assert [info.id for info in await runner.workflows.list("failed")] == [large.id]
        assert {info.id for info in await runner.workflows.list()} == {flow.id, large.id}


async def test_a_list_tells_each_workflow_s_own_state(runner):
    """The lists of states follow a moment after a workflow's end: what is told is what its own state says."""
    failed = await runner.start(count.call("a"))
    await failed.cancel()
    execute = runner.workflows.advancing.execute
    await execute("ZREM", workflows_in("failed"), failed.id)
    await execute("ZADD", workflows_in("running"), 1, failed.id)
    running = await runner.start(count.call("a"))
    await execute("ZADD", workflows_in("failed"), 2, running.id)
    assert [info.id for info in await runner.workflows.list("failed")] == [failed.id]
    assert {info.id for info in await runner.workflows.list()} == {failed.id, running.id}
