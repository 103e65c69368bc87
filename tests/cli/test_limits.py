"""``runner limits``, on a real server: what it prints, and how it ends."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from runner.cli import main

TASKS = """
from runner import Breaker, Concurrency, RateLimit, task

@task(rate_limit=RateLimit("host:{url}", "10/s", burst=20))
async def fetch(ctx, url: str): ...

@task(concurrency=Concurrency("push:{url}", 4), breaker=Breaker("ill:{url}", retry_budget=0.2))
async def push(ctx, url: str): ...
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> Run:
    """Call ``runner limits …`` in a folder with one task and one table; give exit code, stdout and stderr."""
    (tmp_path / "limits_cli_tasks.py").write_text(TASKS)
    (tmp_path / "settings.toml").write_text('[rate_limits.stripe]\nrate = "100/s"\nburst = 200\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)
    monkeypatch.setenv("RUNNER_TASKS", "limits_cli_tasks")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", "limits", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_a_limit_is_set_shown_listed_and_removed(run: Run) -> None:
    """Run time goes before settings and tasks; removed, these say the rate again."""
    assert run("list")[1].splitlines() == [
        "limit       allows                                     said by   running",
        "host:{url}  10/s, burst 20                             task",
        "stripe      100/s, burst 200                           settings",
        "push:{url}  4 at once                                  task      0",
        "ill:{url}   breaker, opens after 5 in a row, for 30 s  task",
    ]
    assert run("set", "stripe", "50/s") == (0, "stripe  50/s, burst 50  (run time)\n", "")
    assert run("set", "host:a", "1/30s", "--burst", "2")[1] == "host:a  1/30s, burst 2  (run time)\n"
    assert run("show", "stripe")[1].endswith("50 tokens left; line: 0.000 s\n")
    shown = json.loads(run("show", "host:a", "--json")[1])
    assert shown == {
        "name": "host:a", "rate": "1/30s", "burst": 2, "source": "run time", "tokens": 2, "line_s": 0.0,
        "rate_now": "1/30s",
    }  # fmt: skip
    with Redis.from_url(
        os.environ["RUNNER_REDIS__URL"]
    ) as redis:  # as an adaptive limit that was cut just now
        seconds, us = redis.time()
        redis.set("runner:adaptive:stripe", f"20 1000000 {seconds * 1_000_000 + us} 3600000000")
    assert "\n20/s now: the other side asked for less" in run("show", "stripe")[1]
    assert [json.loads(line).get("name", "") for line in run("list", "--json")[1].splitlines()] == [
        "host:a",
        "host:{url}",
        "stripe",
        "push:{url}",
        "",
    ]
    assert run("remove", "stripe") == (0, "stripe removed\n", "")
    assert run("show", "stripe")[1].startswith("stripe  100/s, burst 200  (settings)\n")


@pytest.mark.parametrize("rate", ["0/s", "abc", "-1/s", "5", "1/0s"])
def test_what_is_no_rate_is_refused(run: Run, rate: str) -> None:
    """As usage: exit code 2, and the form of a rate."""
    code, out, err = run("set", "stripe", "--", rate)
    assert (code, out) == (2, "")
    assert "100/s" in err.replace("\n", " ")


def test_what_is_not_there_is_said(run: Run) -> None:
    """Exit code 4 for a limit that nobody knows, and for one that was not set."""
    assert run("show", "nobody")[0] == 4
    assert run("remove", "stripe") == (4, "", "nothing was set for 'stripe' at run time\n")


def test_a_wrong_table_is_a_line(run: Run) -> None:
    """Of settings.toml, as every other setting that is wrong."""
    Path("settings.toml").write_text('[rate_limits.stripe]\nrate = "fast"\n')
    code, _, err = run("list")
    assert code == 2
    assert "rate_limits" in err
    assert "not 'fast'" in err


def test_a_gate_is_paused_listed_shown_and_opened_by_hand(run: Run) -> None:
    """In every queue of the settings; what waits says why; a gate that holds nobody up is not listed."""
    code, out, err = run("pause", "host:a", "5m", "--why", "they deploy")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[3] for line in lines] == ["bulk", "critical", "default"]
    assert all(
        re.search(r"^host:a  gate of \w+ paused for [23]\d\d\.\d s, 1 at once then: they", x) for x in lines
    )
    assert run("list")[1].count("host:a  gate of ") == 3
    shown = [json.loads(line) for line in run("show", "host:a", "--json")[1].splitlines()]
    assert {(each["gate"], each["state"], each["why"]) for each in shown} == {
        ("host:a", "paused", "they deploy")
    }
    assert "recovering, 1 at once: resumed by hand" in run("resume", "host:a")[1]
    assert "host:a  gate of default closed" in run("reset", "host:a")[1]
    assert "gate" not in run("list")[1]


def test_a_pause_without_a_time_is_refused(run: Run) -> None:
    """As usage: exit code 2, and the form of a time."""
    code, _, err = run("pause", "host:a", "soon")
    assert code == 2
    assert "'30d'" in err


def test_a_concurrency_limit_is_shown_set_listed_and_removed(run: Run) -> None:
    """It is told apart from rates; run time goes before the task, and can be for one of its names alone."""
    assert run("concurrency", "push:{url}") == (0, "push:{url}  4 at once  (task), 0 now\n", "")
    assert run("concurrency", "push:{url}", "8") == (0, "push:{url}  8 at once  (run time), 0 now\n", "")
    assert run("concurrency", "push:a", "0")[1] == "push:a  0 at once  (run time), 0 now\n"
    listed = [json.loads(line) for line in run("list", "--json")[1].splitlines()]
    assert [(each["name"], each["concurrency"]) for each in listed if "concurrency" in each] == [
        ("push:a", 0),
        ("push:{url}", 8),
    ]
    assert run("concurrency", "push:a", "--remove") == (0, "push:a removed\n", "")
    code, _, err = run("concurrency", "nothing")
    assert (code, "there is no concurrency limit 'nothing'" in err) == (4, True)
    assert run("concurrency", "push:{url}", "--", "-1")[0] == 2


def test_numbers_of_a_breaker_are_shown_set_and_taken_back(run: Run) -> None:
    """Each says who says it; what is none of them, or no number, is refused with what there is."""
    code, out, err = run("breaker", "ill:{url}", "open_after=8", "open_for=2m")
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[2:]}
    assert (code, err) == (0, "")
    assert rows["open_after"] == ["8", "run", "time"]
    assert (rows["open_for"], rows["open_cap"]) == (["120", "run", "time"], ["600", "task"])
    assert (rows["share"], rows["retry_budget"]) == (["0.5", "task"], ["0.2", "task"])
    shown = json.loads(run("breaker", "ill:{url}", "--json")[1])
    assert (shown["open_after"], shown["ramp"], shown["set"]) == (8, 10, ["open_after", "open_for"])
    for wrong, words in (
        ("opens=5", "one of open_after, volume"),
        ("probes=few", "probes= is a whole number"),
    ):
        code, _, err = run("breaker", "ill:{url}", wrong)
        assert (code, words in " ".join(err.split())) == (2, True)
    assert run("breaker", "ill:{url}", "--remove") == (0, "ill:{url} removed\n", "")
    assert run("breaker", "ill:{url}", "--remove")[0] == run("breaker", "nobody")[0] == 4


def test_a_weight_is_set_and_taken_back(run: Run) -> None:
    """Without a number the tenant has the weight of everybody else; a number that is no weight is refused."""
    assert run("weight", "acme", "3") == (0, "'acme' has weight 3\n", "")
    assert run("weight", "acme") == (0, "'acme' has weight 1\n", "")
    assert run("weight", "acme")[0] == 4
    assert run("weight", "acme", "0")[0] == 2
