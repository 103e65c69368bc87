"""``runner dead``, on a real server: what it prints, what it asks, how it ends."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from runner.cli import main
from runner.wire import codec
from runner.wire.keys import keys_of

ROOT = Path(__file__).parents[2]
KEYS = keys_of("default")
DIED_MS = 1_700_000_000_000
TASKS = """
from runner import task

@task
async def pay(ctx, order: str, amount: int): ...
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], redis_url: str
) -> Run:
    """Call ``runner dead …`` in a folder with one task; give exit code, stdout and stderr."""
    (tmp_path / "dead_cli_tasks.py").write_text(TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)
    monkeypatch.setenv("RUNNER_TASKS", "dead_cli_tasks")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["runner", "dead", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def bury(
    redis: Redis, job_id: str, *args: Any, reason: str = "max_tries", payload: bytes | None = None
) -> bytes:
    """Put a letter there as bury.lua does; each a second after the last."""
    given = codec.encode_job("pay", args, {}, DIED_MS, codec.Meta()) if payload is None else payload
    at_ms = DIED_MS + 1000 * redis.zcard(KEYS.dead)
    error = {
        "type": "httpx.ConnectError",
        "message": f"no way for {job_id}",
        "traceback": "Traceback …\nline",
    }
    note = {
        "n": 3,
        "task": "pay",
        "start": at_ms - 10,
        "end": at_ms,
        "worker": "w1",
        "reason": "x",
        "error": error,
    }
    fields = {"queue": KEYS.queue, "reason": reason, "attempts": 3, "at": at_ms, "note": json.dumps(note)}
    redis.hset(KEYS.dead_letter(job_id), mapping={**fields, "payload": given})
    redis.zadd(KEYS.dead, {job_id: at_ms})
    return given


def dead_ids(redis: Redis) -> list[str]:
    return [m.decode() for m in redis.zrange(KEYS.dead, 0, -1)]


def test_a_list_is_a_table_for_people(run: Run, sync: Redis) -> None:
    """Newest first; how the queue stands goes to stderr."""
    bury(sync, "a", "o-1", 5)
    bury(sync, "b", "o-2", 6, reason="gave_up")
    code, out, err = run("list")
    lines = out.splitlines()
    assert code == 0
    assert [line.split()[:1] for line in lines] == [["died"], ["2023-11-14"], ["2023-11-14"]]
    row = "2023-11-14 22:13:21Z b default pay gave_up 3 ConnectError: no way for b"
    assert lines[1].split() == row.split()
    assert "default: 2 dead" in err


def test_a_list_is_json_for_programs(run: Run, sync: Redis) -> None:
    """One object, or one a line; the cursor goes on where the page ended."""
    for job_id in "abc":
        bury(sync, job_id, "o", 1)
    code, out, _ = run("list", "--json", "--limit", "2")
    page = json.loads(out)
    assert (code, [letter["id"] for letter in page["letters"]]) == (0, ["c", "b"])
    _, out, err = run("list", "--jsonl", "--cursor", page["cursor"])
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["a"]
    assert err == ""


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (["--task", "p*"], ["b", "a"]),
        (["--reason", "gave_up"], ["b"]),
        (["--error", "ConnectError", "--text", "FOR A"], ["a"]),
        (["--host", "*.example.com"], ["b"]),
        (["--until", "2023-11-14T22:13:20Z"], ["a"]),
        (["--since", "1h"], []),
        (["--queue", "bulk"], []),
    ],
    ids=str,
)
def test_options_filter(run: Run, sync: Redis, options: list[str], ids: list[str]) -> None:
    """By all that a letter says."""
    bury(sync, "a", "o-1", 5)
    bury(sync, "b", "https://hooks.example.com/1", 6, reason="gave_up")
    _, out, _ = run("list", "--jsonl", *options)
    assert [json.loads(line)["id"] for line in out.splitlines()] == ids


def test_show_says_all(run: Run, sync: Redis) -> None:
    """Attempts, arguments and traceback; a payload that cannot be read is there byte for byte in JSON."""
    bury(sync, "a", "o-1\x1b[31m", 5)
    bury(sync, "p", payload=b"\x80\x04\xff")
    code, out, _ = run("show", "a")
    assert code == 0
    for part in ("max_tries", "2023-11-14 22:13:20Z", "attempt 3", "no way for a", "Traceback …", '["o-1'):
        assert part in out
    assert "\x1b" not in out
    _, out, _ = run("show", "p", "--json")
    assert base64.b64decode(json.loads(out)["payload_base64"]) == b"\x80\x04\xff"


@pytest.mark.parametrize("command", [["show", "x"], ["replay", "x"], ["discard", "x", "--yes"]])
def test_an_id_that_is_not_dead_is_exit_4(run: Run, sync: Redis, command: list[str]) -> None:
    """Scripts tell it from other failures; the text names id and queues."""
    code, out, err = run(*command)
    assert (code, out) == (4, "")
    assert "no dead letter 'x' in the queues" in err


def test_replay_by_id_goes_on_after_one_that_fails(run: Run, sync: Redis) -> None:
    """Each id has its line; the worst of them is the exit code."""
    payload = bury(sync, "a", "o-1", 5)
    bury(sync, "b", "o-1", 5)
    sync.set(KEYS.job("b"), "alive")
    code, out, err = run("replay", "b", "a")
    assert (code, out) == (5, "a replayed\n")
    assert "a job of that id waits or runs" in err
    assert sync.get(KEYS.job("a")) == payload
    assert run("replay", "a")[:2] == (4, "")


def test_replay_with_other_arguments_checks_their_types(run: Run, sync: Redis) -> None:
    """By name or all anew; what does not fit is refused and the letter stays."""
    bury(sync, "a", "o-1", 5)
    code, _, err = run("replay", "a", "--edit", 'amount="6"')
    assert code == 2
    assert "argument 'amount': expected int" in err
    assert dead_ids(sync) == ["a"]
    assert run("replay", "a", "--edit", "amount=6")[0] == 0
    assert codec.decode_job(sync.get(KEYS.job("a")) or b"").a == ["o-1", 6]


def test_replay_by_filter_counts_and_has_to_be_meant(run: Run, sync: Redis) -> None:
    """A dry run tells how many; without a terminal it takes --yes, without a filter --all."""
    for n in range(120):
        bury(sync, f"j{n:03}", "o", n, reason="gave_up" if n % 2 else "max_tries")
    assert run("replay", "--reason", "gave_up", "--dry-run")[:2] == (0, "60 would be replayed\n")
    code, _, err = run("replay", "--reason", "gave_up")
    assert code == 5
    assert "--yes" in err
    code, _, err = run("replay", "--yes")
    assert code == 2
    assert "--all" in err
    assert len(dead_ids(sync)) == 120
    assert run("replay", "--reason", "gave_up", "--yes", "--rate", "10000/s")[:2] == (0, "60 replayed\n")
    assert len(dead_ids(sync)) == sync.zcard(KEYS.queue) == 60
    assert run("replay", "--all", "--yes", "--rate", "10000/s")[:2] == (0, "60 replayed\n")
    entries = [json.loads(line) for line in run("log")[1].splitlines()]
    assert {entry["verb"] for entry in entries} == {"replay"}
    assert sum(len(entry["ids"]) for entry in entries) == 120
    assert all("@" in entry["by"] for entry in entries)


@pytest.mark.parametrize(
    "wrong",
    [
        ["replay", "a", "--edit", "amount"],
        ["replay", "a", "--edit", "amount=six"],
        ["replay", "a", "--args", "{}"],
        ["replay", "--all", "--edit", "amount=6"],
        ["replay", "--all", "--rate", "fast"],
        ["replay", "--all", "--rate", "0/s"],
        ["list", "--since", "yesterday"],
        ["list", "--cursor", "nonsense"],
        ["purge"],
        ["import", "no-such-file"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_exit_2(run: Run, sync: Redis, wrong: list[str]) -> None:
    """Told in words, and nothing is done."""
    bury(sync, "a", "o-1", 5)
    code, out, err = run(*wrong)
    assert (code, out) == (2, "")
    assert err
    assert "Traceback" not in err
    assert dead_ids(sync) == ["a"]


def test_a_server_that_is_away_is_exit_3(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to be mistaken for an empty list."""
    monkeypatch.setenv("RUNNER_REDIS__URL", "unix:///nowhere/socket")
    monkeypatch.setattr("runner.client.client.patiently", _impatiently)
    code, out, err = run("list")
    assert (code, out) == (3, "")
    assert "no answer from the server" in err


async def _impatiently(call: Any, *, for_s: float, address: str) -> Any:
    from runner.client.patience import patiently

    return await patiently(call, for_s=0, address=address)


def test_export_purge_import_brings_back_every_byte(run: Run, sync: Redis, tmp_path: Path) -> None:
    """Also payloads that are no text; an import may be run again."""
    bury(sync, "a", "Straße", 5)
    bury(sync, "b", payload=b"\x80\x04\xff\n")
    before = {i: sync.hgetall(KEYS.dead_letter(i)) for i in "ab"}
    code, out, err = run("export", "dead.jsonl")
    assert (code, out) == (0, "")
    assert "2 exported" in err
    code, _, err = run("export", "dead.jsonl")
    assert code == 2
    assert "is there already" in err
    assert run("purge", "--all", "--dry-run")[1] == "2 would be deleted\n"
    assert run("purge", "--all", "--yes")[:2] == (0, "2 deleted\n")
    assert dead_ids(sync) == []
    assert run("import", "dead.jsonl")[:2] == (0, "2 imported\n")
    code, out, err = run("import", "dead.jsonl")
    assert (code, out) == (0, "0 imported\n")
    assert "2 left out" in err
    for job_id, fields in before.items():
        found = sync.hgetall(KEYS.dead_letter(job_id))
        assert {name: found[name] for name in fields} == fields
    assert run("export")[1] == (tmp_path / "dead.jsonl").read_text()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"v": 1, "id": "c"', "no JSON"),
        ("[]", "expected a JSON object, not list"),
        ('{"v": 2}', 'expected "v": 1, not 2'),
        ('{"v": 1, "id": "c"}', 'expected "fields" to be an object'),
        ('{"v": 1, "id": "c", "fields": {"at": "x"}}', 'expected "fields.at" to be a whole number'),
        ("SAME", "the id 'j000' stands in line 1 already"),
        ('{"id": "", GOOD}', 'expected "id" to be printable'),
        ('{"id": "c", GOOD, "queue": "a b"}', "to be a queue's name"),
        ('{"id": "c", GOOD, "payload": {"base64": "*"}}', '"payload" is no base64'),
        ('{"id": "c", GOOD, "payload": 7}', 'expected "payload" to be text'),
    ],
    ids=lambda value: value[:20],
)
def test_a_broken_file_is_refused_whole(
    run: Run, sync: Redis, tmp_path: Path, line: str, complaint: str
) -> None:
    """The message has file, line and what was expected; the good lines before and after are not imported."""
    for n in range(250):
        bury(sync, f"j{n:03}", "o", n)
    good = run("export")[1].splitlines()
    sync.flushdb()
    rest = '"v": 1, "queue": "q", "reason": "r", "fields": {"at": "1", "attempts": "1"}'
    line = line.replace("SAME", good[0]).replace("GOOD", rest)
    (tmp_path / "f").write_text("\n".join([*good[:-1], "", line, good[-1]]))
    code, out, err = run("import", "f")
    assert (code, out) == (1, "")
    assert err.startswith("f, line 251: ")
    assert complaint in err
    assert "nothing was imported" in err
    assert sync.keys() == []


def start(run: Run, *arguments: str, **streams: Any) -> subprocess.Popen[str]:
    """Start ``runner dead …`` as a process of its own, in the settings of the ``run`` fixture."""
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "dead", *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.getcwd()}"},
        text=True,
        **streams,
    )


def test_ctrl_c_between_two_calls_says_how_to_go_on(run: Run, sync: Redis) -> None:
    """Exit 130; nothing is lost, and what is printed replays the rest: with a cursor once one is known."""
    for n in range(20):
        bury(sync, f"j{n:02}", "o", n)
    process = start(run, "replay", "--all", "--yes", "--rate", "1/h", stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while sync.zcard(KEYS.queue) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    known = re.search(
        r"stopped: ([01]) replayed; go on with the same command(?: and --cursor '(.+)')?$", err, re.MULTILINE
    )
    assert known is not None, err
    assert (known[1] == "1") == (known[2] is not None)
    assert (len(dead_ids(sync)), sync.zcard(KEYS.queue)) == (19, 1)
    on = ["--cursor", known[2]] if known[2] else []
    assert run("replay", "--all", "--yes", *on, "--rate", "1000/s")[:2] == (0, "19 replayed\n")
    assert (dead_ids(sync), sync.zcard(KEYS.queue)) == ([], 20)


@pytest.mark.parametrize(("typed", "left", "code"), [("2", 0, 0), ("y", 2, 5), ("", 2, 5)])
def test_a_purge_wants_the_count_typed_back(
    run: Run, sync: Redis, keyboard: Callable[[str], None], typed: str, left: int, code: int
) -> None:
    """On a terminal; a yes is not enough."""
    bury(sync, "a", "o", 1)
    bury(sync, "b", "o", 2)
    keyboard(typed)
    ended, _, err = run("purge", "--all")
    assert "2 dead letters will be deleted for good. Type their number:" in err
    assert ended == code
    assert len(dead_ids(sync)) == left


def test_a_terminal_gets_tables(run: Run, sync: Redis, terminal: Callable[[int], None]) -> None:
    """And what strangers wrote cannot steer it; where a table has no room, each row is a block."""
    bury(sync, "a[red]", "o", 1, reason="max_tries")
    terminal(200)
    shown = run("list")[1]
    assert "┃" in shown
    assert "a[red]" in shown
    terminal(40)
    assert "reason    max_tries\n" in run("list")[1]
