import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer

from runner import errors
from runner.cli import COMMANDS, Command, main
from runner.settings.model import KEYS

ROOT = Path(__file__).parent.parent.parent
KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Call ``runner`` in an empty folder; give exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("RUNNER_", "GITHUB_", "KUBERNETES_"))]:
        monkeypatch.delenv(name)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter at the root of the repository."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)


def test_show_prints_every_setting_with_its_value_and_source(run, monkeypatch):
    """Whoever asks why a setting is what it is finds the file and line, the variable, or `default`."""
    Path("settings.toml").write_text('[worker]\nlease = "90s"\n[webhooks.secrets]\nacme = "' + KEY + '"\n')
    monkeypatch.setenv("RUNNER_REDIS__URL", "redis://me:hunter2@db:6379/0")
    monkeypatch.setenv("RUNNER_LIMITS__PAYLOAD", "1048576")
    code, out, err = run("config", "show")
    rows = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert ["worker.lease", "90s", "settings.toml:2"] in rows
    assert ["limits.payload", "1MiB", "RUNNER_LIMITS__PAYLOAD"] in rows
    assert ["redis.url", '"redis://***@db:6379/0"', "RUNNER_REDIS__URL"] in rows
    assert ["webhooks.secrets.acme", "********", "settings.toml:4"] in rows
    assert ["worker.keep_result", "1h", "default"] in rows
    assert {row[0] for row in rows} == {*KEYS, "webhooks.secrets.acme"} - {"webhooks.secrets"}


def test_show_json_is_data_alone_in_seconds_and_bytes_without_secrets(run, monkeypatch):
    """A machine reads stdout; nothing in it is secret."""
    monkeypatch.setenv("RUNNER_REDIS__URL", "redis://me:hunter2@db:6379/0?password=hunter2")
    monkeypatch.setenv("RUNNER_WEBHOOKS__SECRETS__ACME", KEY)
    code, out, _ = run("config", "show", "--json")
    shown = json.loads(out)
    assert code == 0
    assert shown["worker.lease"] == {"value": 15.0, "source": "default"}
    assert shown["limits.payload"] == {"value": 524288, "source": "default"}
    assert shown["webhooks.secrets.acme"]["value"] == "********"
    assert "hunter2" not in out
    assert KEY not in out


def test_show_says_when_there_is_no_file(run):
    """Standing in the wrong folder is noticed; data on stdout stays clean."""
    code, out, err = run("config", "show")
    assert code == 0
    assert "defaults apply" in err
    assert "defaults apply" not in out


def test_schema_describes_every_setting(run):
    """An editor can complete and check settings.toml."""
    code, out, _ = run("config", "schema")
    schema = json.loads(out)
    groups = {
        name: schema["$defs"][part["$ref"].rpartition("/")[2]]["properties"]
        for name, part in schema["properties"].items()
        if "$ref" in part
    }
    described = {name for name in schema["properties"] if name not in groups}
    described |= {f"{group}.{name}" for group, fields in groups.items() for name in fields}
    assert code == 0
    assert described == set(KEYS)
    assert all("description" in field for fields in groups.values() for field in fields.values())


def test_wrong_settings_are_told_without_a_traceback_and_exit_2(run, monkeypatch):
    """A wrong setting is the user's to repair, not ours to dump."""
    monkeypatch.setenv("RUNNER_REDIS_ULR", "x")
    code, out, err = run("config", "show")
    assert (code, out) == (2, "")
    assert err.startswith("RUNNER_REDIS_ULR -> ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (errors.SettingsError("words"), 2),
        (errors.InvalidTask("words"), 2),
        (errors.MissingExtra("words", "fast"), 2),
        (errors.ServerUnreachable("words"), 3),
        (errors.UnsafeServer("words"), 1),
        (errors.RunnerError("words"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_of_ours_becomes_its_text_and_its_exit_code(run, monkeypatch, error, exit_code):
    """Scripts tell usage, an unreachable server and Ctrl-C apart."""
    app = typer.Typer()

    @app.command()
    def fail() -> None:
        raise error

    module = ModuleType("failing")
    module.app = app  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "failing", module)
    monkeypatch.setitem(COMMANDS, "fail", Command("failing", "app", "fails"))
    code, out, err = run("fail")
    assert (code, out) == (exit_code, "")
    assert err.strip() == str(error)


def test_a_mistyped_command_gets_a_suggestion_and_exit_2(run):
    """Usage errors speak of what exists."""
    code, _, err = run("confg")
    assert code == 2
    assert "config" in err


def test_help_lists_every_command_and_imports_none():
    """`runner --help` is instant: it must not pay for arq, redis, httpx or pydantic."""
    code = (
        "import sys; sys.argv = ['runner', '--help']\n"
        "from runner.cli import COMMANDS, main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'arq', 'redis', 'httpx', 'aiohttp', 'pydantic', 'msgspec'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
        "assert not {c.module for c in COMMANDS.values()} & {*sys.modules}"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_can_be_called(run, name):
    """A row names a module that exists and an attribute that is a typer app."""
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"runner {name}" in out


def test_without_typer_one_sentence_says_what_to_install():
    """The command line is an extra; the script `runner` exists without it."""
    done = python("import sys; sys.modules['typer'] = None\nfrom runner.cli import main\nmain()")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the command line needs the extra 'cli': pip install 'arq-runner[cli]'\n"


def test_python_dash_m_runner_is_the_command():
    """It works from a checkout where nothing is installed."""
    command = [sys.executable, "-m", "runner", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("arq-runner ")
