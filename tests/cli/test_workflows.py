"""``runner workflows``, on a real server: what it prints, what it does, how it ends."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.maintenance import sweep_retention
from runner import Runner, chain, group

Run = Callable[..., tuple[int, str, str]]


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


def test_a_workflow_that_is_not_there_is_exit_code_4(run: Run) -> None:
    """For scripts: not found is told apart from failed."""
    code, out, err = run("show", "nothing")
    assert (code, out) == (4, "")
    assert "there is no workflow 'nothing'" in err
