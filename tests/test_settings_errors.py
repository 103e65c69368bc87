import base64
import tomllib
from pathlib import Path

import pytest

from runner.errors import SettingsError
from runner.settings import Settings, load_settings
from runner.settings.toml_lines import key_lines

KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()


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


def test_a_file_that_is_named_must_exist():
    """A mistyped path must not quietly mean the defaults."""
    assert problems(RUNNER_SETTINGS="no/such.toml") == [
        'RUNNER_SETTINGS -> settings file -> "no/such.toml" -> expected a file that exists'
    ]
    assert problems(RUNNER_SECRETS_DIR="nowhere") == [
        'RUNNER_SECRETS_DIR -> secrets_dir -> "nowhere" -> expected a folder that can be read'
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("max_waiting = 0", "queues.bulk.max_waiting -> 0 -> expected a whole number of at least 1"),
        (
            'when_full = "explode"',
            "queues.bulk.when_full -> \"explode\" -> expected 'reject', 'drop_oldest' or 'wait'",
        ),
        ("max_wait = 5", "queues.bulk.max_wait -> 5 -> expected no option of that name"),
        (
            'when_full = "wait"',
            'queues.bulk -> { when_full = "wait" } -> expected max_waiting beside when_full and wait: '
            "without it the queue is never full",
        ),
    ],
)
def test_a_wrong_limit_of_a_queue_is_one_line(text, line):
    """Place, key, value and what was expected; a limit that would never hold is refused too."""
    at = 1 if line.startswith("queues.bulk ->") else 2
    assert problems(f"[queues.bulk]\n{text}\n") == [f"settings.toml:{at} -> {line}"]


def test_a_wrong_rate_limit_is_told_with_its_own_line():
    """Each in its table, however many there are; a rate in the table of sizes is told where it belongs."""
    tables = ('rate = "1/s"', 'rate = "0/s"', 'rate = "5/s"\nburst = 0')
    rate, burst = problems("".join(f"[rate_limits.{n}]\n{t}\n" for n, t in zip("abc", tables, strict=True)))
    assert rate.startswith('settings.toml:4 -> rate_limits.b.rate -> "0/s" -> expected a rate is above zero')
    assert burst.startswith("settings.toml:7 -> rate_limits.c.burst -> 0 -> expected burst= is 1 or more")
    (hint,) = problems('[limits.stripe]\nrate = "1/s"\n')
    assert hint.endswith("A rate limit is a table [rate_limits.stripe]")


def test_every_problem_of_every_place_is_told_at_once(tmp_path):
    """One run shows all there is to repair, each in one line with place, key, value and expectation."""
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "RUNNER_LOGS__FORMAT").write_text("xml")
    text = 'secrets_dir = "s"\n\n[worker]\nlease = "0.5s"  # too short\nstrict = 3\n'
    assert problems(text, RUNNER_WORKER__MAX_JOBS="none", RUNNER_WEBHOOKS__ALLOW="10.0.0.1/8") == [
        'RUNNER_WORKER__MAX_JOBS -> worker.max_jobs -> "none" -> expected a whole number',
        'settings.toml:4 -> worker.lease -> "0.5s" -> expected a lease of at least 1s: '
        "renewal needs time for three tries",
        "settings.toml:5 -> worker.strict -> 3 -> expected true or false",
        "s/RUNNER_LOGS__FORMAT -> logs.format -> \"xml\" -> expected 'text' or 'json'",
        'RUNNER_WEBHOOKS__ALLOW -> webhooks.allow[0] -> "10.0.0.1/8" -> expected networks in CIDR form, '
        "no bits set below the mask: 127.0.0.0/8, ::1/128, 10.1.2.3",
    ]


@pytest.mark.parametrize(
    ("text", "place", "suggestion"),
    [
        ("[worker]\nmax_job = 5\n", "settings.toml:2 -> worker.max_job -> 5", "worker.max_jobs"),
        ("[redsi]\nurl = 'embedded'\n", "settings.toml:1 -> redsi", "redis"),
        ("redis.ulr = 'embedded'\n", "settings.toml:1 -> redis.ulr", "redis.url"),
        ("max_jobs = 5\n", "settings.toml:1 -> max_jobs -> 5", "worker.max_jobs"),
    ],
)
def test_an_unknown_key_in_the_file_gets_its_line_and_a_suggestion(text, place, suggestion):
    """A typo is an error, not a setting that silently does nothing."""
    (line,) = problems(text)
    assert line.startswith(place)
    assert line.endswith(f"did you mean {suggestion}?")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("RUNNER_REDIS_ULR", "RUNNER_REDIS__URL"),
        ("RUNNER_REDIS_URL", "RUNNER_REDIS__URL"),
        ("RUNNER_SETTING", "RUNNER_SETTINGS"),
        ("RUNNER_URL", "RUNNER_REDIS__URL"),
    ],
)
def test_an_unknown_variable_gets_a_suggestion(name, suggestion):
    """RUNNER_REDIS_URL with one underscore is the typo everybody makes once."""
    assert problems(**{name: "x"}) == [
        f'{name} -> {name[7:].lower()} -> "x" -> expected the name of a setting; did you mean {suggestion}?'
    ]


def test_a_group_or_a_part_of_a_table_is_told_how_it_is_set():
    """Half a table of queues would silently drop the other half."""
    assert problems(RUNNER_REDIS="x", RUNNER_WORKER__QUEUES__BULK="2", RUNNER_WEBHOOKS__SECRETS="{}") == [
        'RUNNER_REDIS -> redis -> "x" -> expected settings below it, such as RUNNER_REDIS__URL',
        "RUNNER_WEBHOOKS__SECRETS -> webhooks.secrets -> ******** -> "
        "expected one RUNNER_WEBHOOKS__SECRETS__NAME for each",
        'RUNNER_WORKER__QUEUES__BULK -> worker.queues.bulk -> "2" -> '
        "expected the whole of worker.queues in one value",
    ]


def test_variables_that_ci_and_kubernetes_set_under_our_prefix_are_let_be():
    """GitHub Actions sets RUNNER_OS everywhere, Kubernetes RUNNER_PORT for a service called runner."""
    there = {
        "GITHUB_ACTIONS": "true",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": "/t",
        "RUNNER_TASKS": "jobs.other",
    }
    assert load_settings(environ=there).tasks == ("jobs.other",)
    pod = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "RUNNER_PORT_80_TCP": "tcp://10.0.0.2:80"}
    assert load_settings(environ=pod) == Settings()
    assert problems(**pod, RUNNER_REDIS__ULR="x")
    assert problems(RUNNER_OS="Linux")


def test_broken_toml_shows_file_line_and_a_caret_under_the_column():
    """The eye finds the place without counting."""
    assert problems("[worker]\nmax_jobs = 5\nlease = 5s\n") == [
        "settings.toml:3:10 -> not valid TOML: Expected newline or end of document after a statement",
        "    lease = 5s",
        "             ^",
    ]


def test_broken_toml_at_its_end_points_behind_the_last_line():
    """An unclosed bracket is only seen at the end of the file."""
    first, line, caret = problems("tasks = [\n  'jobs.webhook',")
    assert first.startswith("settings.toml:2:18 -> not valid TOML: ")
    assert (line, caret) == ("      'jobs.webhook',", " " * 21 + "^")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {"RUNNER_REDIS__URL": "http://me:hunter2@host"}),
        ("", {"RUNNER_REDIS__URL": "rediss://host/x?password=hunter2"}),
        ("", {"RUNNER_REDIS__URL": "redis://me:hunter2 and@more@host"}),
        ("", {"RUNNER_WEBHOOKS__SECRETS__A": "hunter2"}),
        ("", {"RUNNER_WEBHOOKS_SECRETS_A": "hunter2"}),
        ("", {"RUNNER_REDIS_PASSWORD": "hunter2"}),
        ("", {"RUNNER_STRIPE_KEY": "hunter2"}),
        ("", {"RUNNER_LOGS__LEVEL": "whsec_hunter2"}),
        ("[webhooks.secrets]\na = ['hunter2']\n", {}),
        ("[webhooks.secrets.a]\nb = 'hunter2'\n", {}),
        ("[redsi]\npassword = 'hunter2'\n", {}),
        ("[[redis]]\ntoken = 'hunter2'\n", {}),
        ("[webhooks]\nsecrets = 'hunter2'\n", {}),
        ("[webhooks.secrets]\na = 'hunter2\n", {}),
        ("[webhooks]\nsecrets = { a = 'hunter2' b }\n", {}),
        ('[webhooks.secrets]\na = """\nhunter2\n', {}),
        ("[webhooks]\nsecrets = { a = [\n  'hunter2' b\n", {}),
        ("x = ['whsec_hunter2' b\n", {}),
        ("[redis]\nurl = redis://me:hunter2@host\n", {}),
        ("[redis]\nurl = 'redis://me:hunter2@host\n", {}),
    ],
)
def test_no_secret_is_ever_shown(text, environ):
    """Error lines end up in logs: signing keys, user info and what is called like a secret are masked."""
    lines = problems(text, **environ)
    assert "hunter2" not in "\n".join(lines)
    assert "*" in "\n".join(lines)


def test_secrets_do_not_show_in_the_repr():
    """Settings are logged and land in tracebacks."""
    environ = {"RUNNER_WEBHOOKS__SECRETS__A": KEY, "RUNNER_REDIS__URL": "redis://me:hunter2@host"}
    settings = load_settings(environ=environ)
    assert "hunter2" not in repr(settings)
    assert KEY not in repr(settings)


def test_the_scanner_finds_the_line_of_every_form_of_key():
    """Strings and lists over several lines, quoted and dotted keys, comments: lines stay right."""
    text = '\n'.join((
        "# a = 1 [not.a.table]", "", "a = '''", "b = 1", "[no]", "'''", "c.d = [ # ] = [", "  '[x]',", "]",
        '"e f".\'g\' = "# \\" = ["', "[ t . u ] # = ", "v = { w = 1, x = [2] }", "[[list]]",
        "y = 1", "[[list]]", "y = 2",
    ))  # fmt: skip
    assert tomllib.loads(text)
    lines = key_lines(text)
    assert {".".join(path): line for path, line in lines.items()} == {
        "a": 3, "c": 7, "c.d": 7, "e f": 10, "e f.g": 10, "t": 11, "t.u": 11, "t.u.v": 12,
        "list": 13, "list.y": 14,
    }  # fmt: skip


def test_the_line_in_a_message_is_right_in_a_file_with_windows_line_ends_and_a_mark():
    """Editors on Windows write a byte order mark and CRLF."""
    Path("settings.toml").write_bytes(b"\xef\xbb\xbf[worker]\r\n# more\r\nmax_jobs = 0\r\n")
    assert problems() == ["settings.toml:3 -> worker.max_jobs -> 0 -> expected a whole number of at least 1"]


def test_a_queue_cannot_be_named_like_a_kind_of_key(tmp_path):
    """`runner:job:running` would be both the history of a job and what a queue named job runs."""
    file = tmp_path / "settings.toml"
    file.write_text("[worker]\nqueues = { job = 1 }\n")
    with pytest.raises(SettingsError, match="a queue name other than"):
        load_settings(file, {})
