"""``runner workflows``, on a real server: what it prints, what it does, how it ends."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.maintenance import sweep_retention
from runner import Context, Runner, Settings, chain, group, saga, step, task
from runner.settings.model import RedisGroup
from runner.wire.workflows import Act

Run = Callable[..., tuple[int, str, str]]


@task
async def reserve(ctx: Context, order: str) -> str: ...  # pyright: ignore[reportReturnType]
@task
async def release(ctx: Context, reserved: str | None, order: str) -> None: ...


@pytest.fixture
def run(cli: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call ``runner workflows …``; the workflow ``w`` has been started, and nobody runs it."""
    monkeypatch.delenv("RUNNER_TASKS")
    Path("settings.toml").write_text('tasks = ["jobs.maintenance"]\n')

    async def start() -> None:
        async with Runner.from_settings() as runner:
            await runner.start(
                chain(sweep_retention.call(), group([sweep_retention.call().fixed()] * 2)), id="w"
            )

    asyncio.run(start())
    return lambda *arguments: cli("workflows", *arguments)


def test_a_workflow_is_listed_drawn_cancelled_and_retried(run: Run) -> None:
    """The tree says the state of each node; what is cancelled is listed as failed, until it is retried."""
    assert run("list")[1] == "w  running  0 of 3 done\n"
    drawn = run("show", "w")[1].splitlines()
    assert drawn[0] == "w  running  0 of 3 done"
    assert drawn[1:] == [
        "  chain",
        "    0  sweep_retention  scheduled",
        "    group",
        "      2  sweep_retention  waiting",
        "      3  sweep_retention  waiting",
    ]
    assert run("list", "--failed", "--json")[1] == "[]\n"
    assert run("cancel", "w")[1] == "cancelled\n"
    assert run("cancel", "w")[1] == "it had ended already\n"
    [listed] = json.loads(run("list", "--failed", "--json")[1])
    assert (listed["id"], listed["state"]) == ("w", "cancelled")
    assert run("retry", "w")[1] == "it goes on\n"
    assert [each["state"] for each in json.loads(run("show", "w", "--json")[1])["tree"]][1:] == [
        "waiting"
    ] * 2


def test_a_saga_is_shown_by_its_steps(run: Run, redis_url: str) -> None:
    """Each step with its undo; one that needs attention says where to look, and is listed as failed."""

    async def park() -> None:
        async with Runner(Settings(redis=RedisGroup(url=redis_url), tasks=())) as runner:
            buying = saga(step(reserve.call("o-1"), undo=release), step(reserve.call("o-2")))
            flow = await runner.start(buying, id="s")
            failed = b'{"$error":{"type":"Undecided","message":"who knows"}}'
            ends = [
                Act("end", "0", "done 1", ">1|>2|=needs_attention|>2", b'"r"'),
                Act("end", "1", "undecided 1", "=succeeded|>2|=needs_attention|>2", failed),
            ]
            await runner.workflows.advancing.act(flow.id, ends)

    asyncio.run(park())
    assert run("show", "s")[1].splitlines() == [
        "s  needs_attention  1 of 3 done, 1 failed or cancelled, first node 1",
        "  0  reserve  done  (undo 2: waiting)",
        "  1  reserve  undecided",
        "see 'runner jobs show s:1'; then 'runner workflows retry s' tries it again",
    ]
    shown = json.loads(run("show", "s", "--json")[1])
    assert [(each["task"], each["state"], each["undo"]) for each in shown["steps"]] == [
        ("reserve", "done", "waiting"),
        ("reserve", "undecided", "none"),
    ]
    assert [each["id"] for each in json.loads(run("list", "--failed", "--json")[1])] == ["s"]
    assert run("retry", "s")[1] == "it goes on\n"
    assert run("cancel", "s")[1] == "cancelled: what has happened is undone\n"


@pytest.mark.parametrize("verb", ["show", "retry", "cancel"])
def test_a_workflow_that_is_not_there_is_exit_code_4(run: Run, verb: str) -> None:
    """For scripts: not found is told apart from failed."""
    code, out, err = run(verb, "nothing")
    assert (code, out) == (4, "")
    assert "there is no workflow 'nothing'" in err
