import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = """
tasks = ["jobs.maintenance"]
[schedules.sweep]
task = "sweep_retention"
cron = "0 8 * * MON"
tz = "Europe/Berlin"
"""


@pytest.fixture
def run(tmp_path, redis_url):
    (tmp_path / "settings.toml").write_text(SETTINGS)

    def call(*arguments, settings=None):
        if settings is not None:
            (tmp_path / "settings.toml").write_text(settings)
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "RUNNER_REDIS__URL": redis_url}
        return subprocess.run(
            [sys.executable, "-m", "runner", "schedules", *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return call


def test_list_says_each_rule_in_words(run):
    """For people a line, for machines an object each."""
    told = run("list")
    assert told.returncode == 0, told.stderr
    assert "sweep  sweep_retention  At 08:00 on Monday (Europe/Berlin)  next 20" in told.stdout
    [plain] = json.loads(run("list", "--json").stdout)
    assert (plain["name"], plain["rule"], plain["declared"], plain["paused"]) == (
        "sweep",
        "0 8 * * MON Europe/Berlin",
        True,
        False,
    )


def test_a_schedule_is_added_paused_run_and_removed(run):
    """The life of one made on the command line; the last command does not find it any more."""
    assert run("add", "x", "--task", "sweep_retention", "--every", "1h").stdout == "added\n"
    assert run("add", "x", "--task", "sweep_retention", "--every", "2h").stdout == "changed\n"
    assert run("pause", "x").stdout == "paused\n"
    assert json.loads(run("show", "x", "--json").stdout)["paused"] is True
    assert run("resume", "x").stdout == "resumed\n"
    assert run("run", "x").stdout.startswith("cron:x:by-hand-")
    assert len(run("next", "x", "3").stdout.split()) == 3
    assert run("remove", "x").stdout == "removed\n"
    gone = run("show", "x")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "there is no schedule 'x'" in gone.stderr


def test_backfill_can_be_tried_without_effect(run):
    """--dry-run prints the same ticks as the real one."""
    window = ("--from", "2026-01-01T00:00Z", "--until", "2026-02-01T00:00Z", "--json")
    tried = json.loads(run("backfill", "sweep", *window, "--dry-run").stdout)
    assert tried == [f"2026-01-{day:02}T07:00:00+00:00" for day in (5, 12, 19, 26)]
    assert json.loads(run("backfill", "sweep", *window).stdout) == tried
    assert json.loads(run("backfill", "sweep", *window).stdout) == []


def test_what_is_wrong_is_told_at_once_with_exit_code_2(run):
    """Expression, zone and arguments of one call; an instant without zone."""
    wrong = run("add", "x", "--task", "sweep_retention", "--cron", "61 * * * *", "--args", "[1, 2, 3]")
    assert wrong.returncode == 2
    assert "field 1 (minute) is 0-59, not '61'" in wrong.stderr
    assert "argument" in wrong.stderr
    assert "Traceback" not in wrong.stderr
    naive = run("backfill", "sweep", "--from", "2026-01-01", "--until", "2026-02-01T00:00Z")
    assert (naive.returncode, "no instant with a zone" in naive.stderr) == (2, True)


def test_wrong_settings_are_one_report(run):
    """Every table's problems, each with its name."""
    settings = 'tasks = ["jobs.maintenance"]\n'
    settings += '[schedules.a]\ntask = "sweep_retentoin"\nevery = "5m"\n'
    settings += '[schedules.b]\ntask = "sweep_retention"\ncron = "0 0 31 2 *"\ntz = "UTC"\n'
    settings += '[schedules.c]\ntask = "sweep_retention"\nevery = 0\n'
    told = run("list", settings=settings)
    assert told.returncode == 2
    assert (
        "schedules.a.task: no task is named 'sweep_retentoin'; did you mean sweep_retention?" in told.stderr
    )
    assert "schedules.b: schedule 'b': cron '0 0 31 2 *' never ticks" in told.stderr
    assert "schedules.c: schedule 'c': every(0.0): an interval is longer than zero" in told.stderr
    typo = run("list", settings='[schedules.a]\ntask = "x"\nevry = "5m"\n')
    assert "settings.toml:3 -> schedules.a.evry" in typo.stderr
