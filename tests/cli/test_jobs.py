"""``runner enqueue|status|top|workers|jobs|queues``, on a real server: what is printed, asked and done."""

import json
import re
from collections.abc import Callable

import pytest
from redis import Redis

from runner.wire.keys import WORKERS, keys_of, worker

Cli = Callable[..., tuple[int, str, str]]


def still(text: str) -> str:
    """Without what changes from run to run: moments, spans, whole random ids."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "<moment>", text)
    return re.sub(r"\b\d+(ms|s)\b", "<span>", re.sub(r"\d+ bytes", "<bytes>", text))


def test_status_is_one_screen(cli: Cli, sync: Redis) -> None:
    """Each queue, and the workers together."""
    for key in ("a", "b"):
        assert cli("enqueue", "pay", "o-1", "5", "--key", key)[:2] == (0, f"{key}\n")
    cli("enqueue", "mail", "ann", "--delay", "1h")
    assert cli("queues", "pause", "bulk") == (0, "bulk paused\n", "")
    said = {"queues": {"default": 3}, "max_jobs": 10, "running": 4, "completed": 7000}
    sync.set(worker("w"), json.dumps(said))
    sync.zadd(WORKERS, {"w": 1})
    code, out, err = cli("status")
    assert (code, err) == (0, "")
    head, critical, default, bulk, workers = still(out).splitlines()
    assert head == "queue     ready  scheduled  running  dead  oldest ready"
    assert critical == "critical  0      0          0        0     -"
    assert default == "default   2      0          0        0     <span>"
    assert bulk.startswith("bulk      0      1          0        0     - (paused <moment> by ")
    assert workers == "workers 1, busy 4 of 10; since they started completed 7,000, failed 0, retried 0"
    plain = json.loads(cli("status", "--json")[1])
    assert [(queue["queue"], queue["ready"], queue["is_paused"]) for queue in plain["queues"]] == [
        ("critical", 0, False), ("default", 2, False), ("bulk", 0, True),
    ]  # fmt: skip
    assert plain["totals"]["slots"] == 10
    [line] = cli("workers", "--jsonl")[1].splitlines()
    assert json.loads(line)["name"] == "w"
    assert cli("top")[1].startswith(out.splitlines()[0])


def test_enqueue_checks_as_an_app_would(cli: Cli) -> None:
    """Types, names and tasks; a wrong call makes no job and is exit code 2."""
    for wrong, complaint in [
        (("pay", "o-1", "five"), "argument 'cents': expected int"),
        (("pay", "o-1"), "missing a required argument: 'cents'"),
        (
            ("pya", "o-1", "5"),
            "no task is named 'pya' in the modules of tasks in settings; did you mean pay?",
        ),
        (("pay", "cents=5", "o-1"), "stands after an argument by name"),
        (("pay", "[1", "5"), "an argument takes JSON"),
        (("pay", "o-1", "5", "--delay", "soon"), "--delay"),
        (("pay", "o-1", "5", "--until", "soon"), "--until"),
    ]:
        code, out, err = cli("enqueue", *wrong)
        assert (code, out) == (2, ""), wrong
        assert complaint in " ".join(err.split())
    assert cli("enqueue", "pay", "order=o-1", "cents=5", "--key", "k")[:2] == (0, "k\n")
    code, out, err = cli("enqueue", "pay", "o-1", "5", "--key", "k", "--json")
    assert (code, json.loads(out)["disposition"]) == (0, "duplicate")
    assert "already" in err


def test_enqueue_can_wait_for_the_result(cli: Cli) -> None:
    """What the task returned, an end of another kind as exit code 1."""
    code, _, err = cli("enqueue", "pay", "o-1", "5", "--key", "k", "--wait", "10ms")
    assert (code, "has not ended within" in err) == (1, True)
    assert cli("jobs", "cancel", "k")[:2] == (0, "k cancelled\n")
    code, out, err = cli("enqueue", "pay", "o-1", "5", "--key", "k", "--wait", "5s")
    assert (code, out) == (1, "k\n")
    assert "job k was cancelled" in err


def test_jobs_are_listed_for_people_and_for_programs(cli: Cli) -> None:
    """A table, an object, or an object a line; a cursor to go on with is said on stderr."""
    for n in range(3):
        cli("enqueue", "pay", f"o-{n}", "5", "--key", f"k{n}")
    cli("enqueue", "mail", "ann", "--delay", "1h", "--key", "m")
    code, out, err = cli("jobs", "list")
    assert (code, err) == (0, "")
    assert still(out).splitlines() == [
        "id  queue    state      task  attempts  when                      note",
        *(f"k{n}  default  ready      pay   0         due <moment>" for n in range(3)),
        "m   bulk     scheduled  mail  0         due <moment>",
    ]
    page = json.loads(cli("jobs", "list", "--json", "--limit", "2")[1])
    assert [job["id"] for job in page["jobs"]] == ["k0", "k1"]
    rest = cli("jobs", "list", "--jsonl", "--cursor", page["cursor"])[1].splitlines()
    assert [json.loads(line)["id"] for line in rest] == ["k2", "m"]
    assert cli("jobs", "list", "--state", "scheduled", "--task", "m*", "--text", "ANN")[1].count("\n") == 2
    code, out, err = cli("jobs", "list", "--queue", "critical")
    assert (code, out, "no such jobs" in err) == (0, "", True)


def test_one_job_is_shown_in_full(cli: Cli, sync: Redis) -> None:
    """What strangers wrote into it cannot steer the terminal."""
    cli("enqueue", "mail", '"\\u001b[31mann"', "subject=hi", "--delay", "1h", "--key", "m")
    code, out, _ = cli("jobs", "show", "m")
    assert code == 0
    assert still(out).splitlines() == [
        "id        m",
        "queue     bulk",
        "state     scheduled",
        "why       it is due later",
        "task      mail",
        'args      ["\\u001b[31mann"]',
        'kwargs    {"subject": "hi"}',
        "payload   <bytes>",
        "enqueued  <moment>",
        "due       <moment>",
        "attempts  0",
    ]
    sync.set(keys_of("bulk").job("m"), b"\x80\x04\xff")
    out = cli("jobs", "show", "m")[1]
    assert "(not readable)" in out
    assert "pickle" in out


def test_a_waiting_job_is_changed_hastened_and_cancelled(cli: Cli) -> None:
    """Each says what it did; what cannot be done any more is refused with exit code 5."""
    cli("enqueue", "pay", "o-1", "5", "--key", "k", "--delay", "1h")
    assert cli("jobs", "edit", "k", "--edit", "cents=6") == (0, "k changed\n", "")
    assert json.loads(cli("jobs", "show", "k", "--json")[1])["args"] == ["o-1", 6]
    assert cli("jobs", "edit", "k", "--edit", "cents=x")[0] == 2
    assert cli("jobs", "edit", "k")[0] == 2
    assert cli("jobs", "retry", "k") == (0, "k is due now; it was scheduled\n", "")
    assert cli("jobs", "cancel", "k") == (0, "k cancelled\n", "")
    code, out, err = cli("jobs", "cancel", "k", "never")
    assert (code, out) == (5, "")
    assert err.splitlines()[0] == "job 'k' has ended already: it is cancelled"
    assert "no job 'never'" in err
    assert cli("jobs", "edit", "k", "--edit", "cents=6")[0] == 5
    assert cli("jobs", "retry", "never")[0] == 4


def test_many_are_cancelled_only_when_it_is_meant(cli: Cli, keyboard: Callable[[str], None]) -> None:
    """Counted first, asked for, and never more than --limit."""
    for n in range(5):
        cli("enqueue", "pay", f"o-{n}", "5")
    assert cli("jobs", "cancel", "--queue", "default")[0] == 2
    assert cli("jobs", "cancel", "--queue", "default", "--task", "nope", "--yes")[1] == "nothing to cancel\n"
    code, _, err = cli("jobs", "cancel", "--queue", "default", "--task", "pay", "--limit", "3", "--yes")
    assert (code, err) == (5, "5 would be touched, more than --limit 3; nothing was done\n")
    assert cli("jobs", "cancel", "--queue", "default", "--text", "o-4", "--yes")[1] == "1 cancelled\n"
    assert cli("queues", "purge", "default", "--dry-run")[1] == "4 would be cancelled\n"
    code, out, err = cli("queues", "purge", "default")
    assert (code, out, "Say --yes" in err) == (5, "", True)
    keyboard("y")
    assert cli("queues", "purge", "default")[0] == 5
    keyboard("4")
    assert cli("queues", "purge", "default")[:2] == (0, "4 cancelled\n")


def test_queues_are_paused_resumed_and_drained(cli: Cli) -> None:
    """By name; a drain says how far it is, and gives up when told to."""
    assert cli("queues", "pause", "default", "bulk")[1] == "default paused\nbulk paused\n"
    assert cli("queues", "pause", "default")[1] == "default was paused already\n"
    cli("enqueue", "pay", "o", "5", "--key", "k")
    code, out, err = cli("queues", "drain", "default", "--timeout", "10ms")
    assert (code, out) == (1, "")
    assert "1 ready, 0 running, 0 scheduled; it is paused, so nothing starts" in err
    assert cli("queues", "resume", "default")[1] == "default resumed\n"
    assert cli("queues", "resume", "default")[1] == "default was not paused\n"
    cli("jobs", "cancel", "k")
    assert cli("queues", "drain", "default")[:2] == (0, "default is empty\n")
    code, _, err = cli("queues", "pause", "nope")
    assert (code, err) == (
        4,
        "there is no queue 'nope' in worker.queues; there are critical, default, bulk\n",
    )
    assert [queue["queue"] for queue in json.loads(cli("queues", "list", "--json")[1])][1] == "default"


@pytest.mark.parametrize("command", [["status"], ["jobs", "list"], ["queues", "list"], ["workers"], ["top"]])
def test_no_server_is_one_line_and_exit_3(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """It says where it looked; within the patience of a client, which a test does not have."""
    monkeypatch.setenv("RUNNER_REDIS__URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("runner.client.patience.FIRST_DELAY_S", 10)
    code, out, err = cli(*command)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert "127.0.0.1:1" in err
