import base64
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.errors import SettingsError
from runner.settings import RedisGroup, Settings, load, load_settings
from runner.settings.model import GROUPS, KEYS
from runner.settings.toml_lines import key_lines
from runner.settings.units import parse_duration, parse_size, spell_duration, spell_size

COMMITTED = Path(__file__).parent.parent / "settings.toml"
KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()
NEW_KEY = "whsec_" + base64.b64encode(b"n" * 32).decode()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str | None = None, **environ: str) -> list[str]:
    """Give the lines of the error that a settings.toml and variables lead to."""
    if text is not None:
        Path("settings.toml").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(environ=environ)
    assert caught.value.__context__ is None, "pydantic's own error would show values in the traceback"
    return str(caught.value).splitlines()


def test_no_file_and_no_variable_give_the_defaults():
    """Every setting has a default: an empty folder is enough to start."""
    assert load_settings(environ={}) == Settings()


def test_the_committed_file_says_what_the_defaults_are():
    """Deleting settings.toml changes nothing but the schedules: those are data, not defaults."""
    committed = load_settings(COMMITTED, environ={})
    assert committed.model_copy(update={"schedules": {}}) == Settings()
    assert committed.schedules.keys() >= {"sweep_retention", "reconcile_payments", "resolve_unknown_payments"}


def test_every_setting_stands_in_the_committed_file_with_its_description_as_comment():
    """The file is the reference of what can be set; comment and schema cannot drift apart."""
    text = COMMITTED.read_text(encoding="utf-8")
    lines, written = text.splitlines(), key_lines(text)
    settings_lines = lines[: written["schedules",]]
    for key in KEYS:
        *group, name = key.split(".")
        field = (GROUPS[group[0]] if group else Settings).model_fields[name]
        line = lines[written[tuple(key.split("."))] - 1]
        assert field.description, key
        assert line.partition(" # ")[2] == field.description, line
    assert len([line for line in settings_lines if re.match(r"\w+ = ", line)]) == len(KEYS) - 4


def test_the_environment_wins_over_the_secrets_folder_and_that_over_the_file(tmp_path):
    """file < secrets folder < environment, for each setting by itself."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "RUNNER_WORKER__MAX_JOBS").write_text("2\n")
    (tmp_path / "s" / "RUNNER_WORKER__MAX_TRIES").write_text("2")
    Path("settings.toml").write_text('secrets_dir = "s"\n[worker]\nmax_jobs = 1\nmax_tries = 1\nlease = 1\n')
    loaded = load(environ={"RUNNER_WORKER__MAX_JOBS": "3"})
    worker = loaded.settings.worker
    assert (worker.max_jobs, worker.max_tries, worker.lease) == (3, 2, 1.0)
    assert loaded.source("worker.max_jobs") == "RUNNER_WORKER__MAX_JOBS"
    assert loaded.source("worker.max_tries") == "s/RUNNER_WORKER__MAX_TRIES"
    assert loaded.source("worker.lease") == "settings.toml:5"
    assert loaded.source("worker.grace") == "default"


def test_lists_and_tables_in_variables_are_comma_separated_text_or_json():
    """A shell line needs no brackets or quotes; what JSON can say works too."""
    plain = {"RUNNER_WEBHOOKS__ALLOW": "127.0.0.0/8, ::1/128", "RUNNER_WORKER__QUEUES": "fast=9, slow=1"}
    as_json = {
        "RUNNER_WEBHOOKS__ALLOW": '["127.0.0.0/8", "::1"]',
        "RUNNER_WORKER__QUEUES": '{"fast": 9, "slow": 1}',
    }
    assert load_settings(environ=plain) == load_settings(environ=as_json)
    settings = load_settings(environ=plain)
    assert settings.webhooks.allow == ("127.0.0.0/8", "::1/128")
    assert settings.worker.queues == {"fast": 9, "slow": 1}
    assert load_settings(environ={"RUNNER_TASKS": ""}).tasks == ()


def test_signing_keys_come_by_name_from_all_three_places(tmp_path):
    """A name is an entry of its own: the folder adds to the file, the environment to both."""
    (tmp_path / "webhooks.secrets.Beta").write_text(f"{NEW_KEY}\n{KEY}\n")
    (tmp_path / "unrelated.conf").write_text("not ours")
    Path("settings.toml").write_text(f'[webhooks.secrets]\nalpha = ["{KEY}"]\n')
    environ = {"RUNNER_SECRETS_DIR": str(tmp_path), "RUNNER_WEBHOOKS__SECRETS__GAMMA": f"{KEY},{NEW_KEY}"}
    secrets = load_settings(environ=environ).webhooks.secrets
    seen = {name: [key.get_secret_value() for key in keys] for name, keys in secrets.items()}
    assert seen == {"alpha": [KEY], "Beta": [NEW_KEY, KEY], "gamma": [KEY, NEW_KEY]}


def test_the_constructor_reads_nothing_but_its_arguments(monkeypatch):
    """Settings() in a test or an application is not changed by the machine it runs on."""
    monkeypatch.setenv("RUNNER_WORKER__MAX_JOBS", "7")
    monkeypatch.setenv("WORKER", '{"max_jobs": 9}')
    Path("settings.toml").write_text("[worker]\nmax_jobs = 8\n")
    assert Settings().worker.max_jobs == 100
    assert Settings(redis=RedisGroup(url="redis://db:6379/1")).redis.url == "redis://db:6379/1"
    assert load_settings().worker.max_jobs == 7


def test_settings_are_frozen():
    """What a worker runs with is what it has read."""
    with pytest.raises(ValidationError):
        Settings().worker.max_jobs = 1


@pytest.mark.parametrize(
    "key",
    ["", "plain", KEY.removeprefix("whsec_"), "whsec_" + "!" * 32,
     *("whsec_" + base64.b64encode(b"k" * size).decode() for size in (23, 65))],
)  # fmt: skip
def test_a_signing_key_of_the_wrong_form_is_named_but_not_shown(key):
    """A weak or mistyped key is refused at start, not at the first delivery."""
    (line,) = problems(RUNNER_WEBHOOKS__SECRETS__ACME=key)
    assert line.startswith("RUNNER_WEBHOOKS__SECRETS__ACME -> webhooks.secrets.acme -> ")
    assert key == "" or key not in line
    assert "expected" in line


def test_the_default_secret_must_be_one_of_the_secrets():
    """A typo here would send unsigned webhooks."""
    environ = {"RUNNER_WEBHOOKS__SECRETS__ACME": KEY, "RUNNER_WEBHOOKS__DEFAULT_SECRET": "acne"}
    assert problems(**environ) == [
        'RUNNER_WEBHOOKS__DEFAULT_SECRET -> webhooks.default_secret -> "acne" -> '
        "expected the name of a secret below webhooks.secrets; did you mean acme?"
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("worker.max_jobs", "0"),
        ("worker.max_jobs", "true"),
        ("worker.max_jobs", "1.5"),
        ("worker.lease", "true"),
        ("worker.lease", "'999ms'"),
        ("worker.lease", "inf"),
        ("worker.poll", "0"),
        ("worker.grace", "-1"),
        ("worker.grace", "'5 parsecs'"),
        ("worker.queues", "{}"),
        ("worker.queues", "{ a = 0 }"),
        ("worker.queues", "{ 'a b' = 1 }"),
        ("limits.payload", "'12 apples'"),
        ("limits.payload", "0"),
        ("limits.result", "1.5"),
        ("redis.url", "'localhost:6379'"),
        ("redis.url", "'redis://'"),
        ("redis.url", "'redis://host:99999'"),
        ("redis.url", "'redis://host/zero'"),
        ("redis.url", "'unix://'"),
        ("redis.url", "'redis+sentinel://host'"),
        ("redis.url", "'redis+sentinel://host:1,/main'"),
        ("redis.url", "'redis+sentinel://host/main/zero'"),
        ("redis.cluster", "true"),
        ("redis.key_layout", "'modern'"),
        ("redis.appendfsync", "'no'"),
        ("logs.level", "'LOUD'"),
        ("webhooks.allow", "['everything']"),
        ("tasks", "['jobs/webhook.py']"),
        ("middleware", "['.relative']"),
    ],
)
def test_a_value_that_cannot_work_is_refused(setting, value):
    """Better no start than a start with nonsense; the line names what was expected."""
    (line,) = problems(f"{setting} = {value}\n")
    assert line.startswith(f"settings.toml:1 -> {setting}")
    assert len(line.partition("-> expected ")[2]) > 3


@pytest.mark.parametrize(
    "url",
    ["embedded", "redis://localhost", "redis://:pw@[::1]:6379/0", "rediss://u:p@db.example:6380/1?timeout=3",
     "unix:///run/valkey.sock", "unix://u:p@/run/valkey.sock?db=2", "redis+sentinel://a:1,b/main",
     "rediss+sentinel://u:p@a,[::1]:2/main/3?timeout=3"],
)  # fmt: skip
def test_every_form_of_address_is_taken(url):
    """What redis-py's from_url understands."""
    assert load_settings(environ={"RUNNER_REDIS__URL": url}).redis.url == url


def test_a_cluster_implies_its_layout_and_needs_nodes():
    """One setting is enough; several hosts without it are a mistake, and the line says which."""
    nodes = "[redis]\nurl = 'redis://a,b:7000'\n"
    Path("settings.toml").write_text(nodes + "cluster = true\nkey_layout = 'classic'\n")
    assert load_settings(environ={}).redis.key_layout == "tagged"
    (line,) = problems(nodes)
    assert "redis.cluster" in line
    assert "redis.url has several hosts" in line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("250ms", 0.25), ("2m", 120), ("1h30m", 5400), ("7d", 604_800), ("1h 30m", 5400),
     ("1.5s", 1.5), ("5", 5), (5, 5), (0.25, 0.25), ("0s", 0)],
)  # fmt: skip
def test_durations_are_text_with_units_or_seconds(text, seconds):
    """Held as float seconds, whatever they were written in."""
    assert parse_duration(text) == seconds
    assert isinstance(parse_duration(text), float)


@given(st.integers(0, 10**12))
def test_a_duration_or_size_that_is_spelled_is_read_back_the_same(count):
    """What `config show` prints can be pasted into settings.toml."""
    assert parse_duration(spell_duration(count / 1000)) == count / 1000
    assert parse_size(spell_size(count + 1)) == count + 1


def test_sizes_are_text_with_units_or_bytes():
    """KiB counts by 1024, KB by 1000."""
    assert [parse_size(s) for s in ("512KiB", "1MB", "1 mib", "10", 10, "0.5KiB")] == [
        524_288, 1_000_000, 1_048_576, 10, 10, 512,
    ]  # fmt: skip
