"""``runner schedules``, on a real server: what it prints, what it refuses, how it ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]

SETTINGS = """
tasks = ["jobs.maintenance"]
[schedules.sweep]
task = "sweep_retention"
cron = "0 8 * * MON"
tz = "Europe/Berlin"
"""


@pytest.fixture
def run(cli: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call ``runner schedules …`` with one table in settings.toml."""
    monkeypatch.delenv("RUNNER_TASKS")
    Path("settings.toml").write_text(SETTINGS)
    return lambda *arguments: cli("schedules", *arguments)


def test_list_says_each_rule_in_words(run: Run) -> None:
    """For people a line, for machines an object each."""
    code, out, err = run("list")
    assert (code, err) == (0, "")
    head, row = out.splitlines()
    assert head.split() == ["schedule", "task", "rule", "next", "made", "skipped", "missed"]
    assert row.startswith("sweep     sweep_retention  At 08:00 on Monday (Europe/Berlin)  20")
    [plain] = json.loads(run("list", "--json")[1])
    assert (plain["name"], plain["rule"], plain["declared"], plain["paused"]) == (
        "sweep",
        "0 8 * * MON Europe/Berlin",
        True,
        False,
    )


def test_a_schedule_is_added_paused_run_and_removed(run: Run) -> None:
    """The life of one made on the command line; the last command does not find it any more."""
    assert run("add", "x", "--task", "sweep_retention", "--every", "1h")[1] == "added\n"
    assert run("add", "x", "--task", "sweep_retention", "--every", "2h")[1] == "changed\n"
    assert run("pause", "x")[1] == "paused\n"
    assert json.loads(run("show", "x", "--json")[1])["paused"] is True
    assert run("resume", "x")[1] == "resumed\n"
    assert run("run", "x")[1].startswith("cron:x:by-hand-")
    assert len(run("next", "x", "3")[1].split()) == 3
    assert run("remove", "x")[1] == "removed\n"
    code, out, err = run("show", "x")
    assert (code, out) == (4, "")
    assert "there is no schedule 'x'" in err


def test_backfill_can_be_tried_without_effect(run: Run) -> None:
    """--dry-run prints the same ticks as the real one."""
    window = ("--from", "2026-01-01T00:00Z", "--until", "2026-02-01T00:00Z", "--json")
    tried = json.loads(run("backfill", "sweep", *window, "--dry-run")[1])
    assert tried == [f"2026-01-{day:02}T07:00:00+00:00" for day in (5, 12, 19, 26)]
    assert json.loads(run("backfill", "sweep", *window)[1]) == tried
    assert json.loads(run("backfill", "sweep", *window)[1]) == []


def test_what_is_wrong_is_told_at_once_with_exit_code_2(run: Run) -> None:
    """Expression, zone and arguments of one call; an instant without zone."""
    code, _, err = run("add", "x", "--task", "sweep_retention", "--cron", "61 * * * *", "--args", "[1, 2, 3]")
    assert code == 2
    assert "field 1 (minute) is 0-59, not '61'" in err
    assert "argument" in err
    assert "Traceback" not in err
    code, _, err = run("backfill", "sweep", "--from", "2026-01-01", "--until", "2026-02-01T00:00Z")
    assert (code, "no instant with a zone" in err) == (2, True)


def test_wrong_settings_are_one_report(run: Run) -> None:
    """Every table's problems, each with its name."""
    settings = 'tasks = ["jobs.maintenance"]\n'
    settings += '[schedules.a]\ntask = "sweep_retentoin"\nevery = "5m"\n'
    settings += '[schedules.b]\ntask = "sweep_retention"\ncron = "0 0 31 2 *"\ntz = "UTC"\n'
    settings += '[schedules.c]\ntask = "sweep_retention"\nevery = 0\n'
    Path("settings.toml").write_text(settings)
    code, _, err = run("list")
    assert code == 2
    assert "schedules.a.task: no task is named 'sweep_retentoin'; did you mean sweep_retention?" in err
    assert "schedules.b: schedule 'b': cron '0 0 31 2 *' never ticks" in err
    assert "schedules.c: schedule 'c': every(0.0): an interval is longer than zero" in err
    Path("settings.toml").write_text('[schedules.a]\ntask = "x"\nevry = "5m"\n')
    assert "settings.toml:3 -> schedules.a.evry" in run("list")[2]
