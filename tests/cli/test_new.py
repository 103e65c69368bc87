"""``runner new``, and what every command does with a pipe, a narrow terminal and somebody who watches."""

import asyncio
import errno
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner import Runner
from runner.cli.top import Rates, _picture
from runner.inspector import Overview, WorkerStanding
from runner.inspector.presence import totals_of

Cli = Callable[..., tuple[int, str, str]]


def test_a_new_project_runs(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is: its task is found and run, its schedule declared; it is small, and made only once."""
    code, out, err = cli("new", "hello")
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "cd hello"
    assert len(Path("hello/tasks.py").read_text().splitlines()) <= 15
    assert cli("new", "hello") == (5, "", "hello is there already; nothing was done\n")
    assert cli("new", "..")[0] == 2
    monkeypatch.chdir("hello")
    monkeypatch.delenv("RUNNER_TASKS")
    monkeypatch.syspath_prepend(".")
    monkeypatch.delitem(sys.modules, "tasks", raising=False)

    async def live() -> str:
        runner = Runner.from_settings()
        async with runner.worker():
            [greet] = runner.registry
            assert [schedule.task for schedule in runner.declared_schedules] == ["greet"]
            return await (await runner.enqueue(greet, "Ann")).result(timeout=30)

    assert asyncio.run(live()) == "Hello Ann, this is attempt 1"
    monkeypatch.delitem(sys.modules, "tasks")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("jo", "jobs"),
        ("jobs ca", "cancel"),
        ("enqueue p", "pay"),
        ("queues pause d", "default"),
        ("jobs list --queue b", "bulk"),
    ],
)
def test_a_shell_completes(cli: Cli, monkeypatch: pytest.MonkeyPatch, typed: str, completed: str) -> None:
    """Commands, and names of tasks and queues by the settings of the folder."""
    words = ["runner", *typed.split()]
    monkeypatch.setenv("_RUNNER_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    assert cli()[1].split() == [completed]


class _Gone(io.StringIO):
    """Somebody who has closed the pipe, as head does."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("command", [["status"], ["jobs", "list", "--json"], ["config", "show"]])
def test_a_closed_pipe_ends_a_command_without_a_word(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """``runner … | head`` shows no traceback."""
    monkeypatch.setattr(sys, "stdout", _Gone())
    code, _, err = cli(*command)
    assert code == 1
    assert "Traceback" not in err


def test_a_narrow_terminal_gets_blocks_and_no_colour(
    cli: Cli, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In 40 columns rows are blocks, cut by nobody; NO_COLOR is heard."""
    cli("enqueue", "pay", "o-1", "5", "--key", "k")
    terminal(40)
    for command in (["status"], ["jobs", "list"], ["workers"], ["jobs", "show", "k"]):
        code, out, _ = cli(*command)
        assert code == 0
        assert "┃" not in out
    monkeypatch.setenv("NO_COLOR", "1")
    terminal(200)
    out = cli("jobs", "list")[1]
    assert "┃" in out
    assert "\x1b[3" not in out


def test_top_says_jobs_a_second_of_what_workers_say() -> None:
    """Between two records of a worker, however often somebody looks; a restarted one starts anew."""

    def look(completed: int, seen_at_ms: int, started_at_ms: int = 1) -> Overview:
        told = {"completed": completed, "seen_at_ms": seen_at_ms, "started_at_ms": started_at_ms}
        workers = [WorkerStanding(name="w", is_alive=True, **told)]  # type: ignore[arg-type]
        return Overview(at_ms=5, queues=[], workers=workers, totals=totals_of(workers))

    rates = Rates()
    assert rates.note(look(100, 1_000)) is None
    assert rates.note(look(100, 1_000)) is None
    assert rates.note(look(400, 11_000)) == 30.0
    assert rates.note(look(400, 11_000)) == 30.0
    assert rates.note(look(5, 12_000, started_at_ms=2)) is None
    assert _picture(look(5, 12_000), 30.0).renderables[0].plain.startswith("1970-01-01 00:00:00Z  workers 1")
