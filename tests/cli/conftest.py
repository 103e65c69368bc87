"""The command line, called in this process.

| fixture | gives |
| --- | --- |
| `cli` | `cli("status", "--json")` in an empty folder on an empty database: exit code, stdout, stderr |
| `sync` | a `redis.Redis` on that database |
| `keyboard` | `keyboard("2")`: somebody sits there and types that |
| `terminal` | `terminal(40)`: stdout is a terminal of so many columns |
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from runner.cli import main

Cli = Callable[..., tuple[int, str, str]]

TASKS = """
from runner import task

@task
async def pay(ctx, order: str, cents: int) -> int:
    return cents

@task(queue="bulk")
async def mail(ctx, to: str, *, subject: str = "") -> None: ...
"""


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> Cli:
    (tmp_path / "cli_tasks.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)
    monkeypatch.setenv("RUNNER_TASKS", "cli_tasks")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


class _Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda typed: monkeypatch.setattr(sys, "stdin", _Keyboard(typed + "\n"))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def show(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return show


@pytest.fixture
def sync(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        yield client
