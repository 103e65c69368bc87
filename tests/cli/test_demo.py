"""The demo: a whole run in processes of its own, the balance by itself, and the receiver by itself."""

import asyncio
import base64
import dataclasses
import datetime
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from runner import JobInfo, JobState
from runner.cli import main
from runner.demo import payments, scenario
from runner.demo.balance import balance_of
from runner.demo.faults import RARE, Fault, fault_of, is_reset_unread, lost_hosts
from runner.demo.ledger import Ledger, Line, read_ledger
from runner.demo.receiver import Receiver, is_signed
from runner.demo.scenario import Plot, play
from runner.demo.show import Silent, balance_text

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(monkeypatch) -> Iterator[Path]:
    """Where a test's demos make their folders: a short path, so that the server's socket fits."""
    with tempfile.TemporaryDirectory(prefix="demo-", ignore_cleanup_errors=True) as made:
        monkeypatch.setenv("TMPDIR", made)
        monkeypatch.setattr("tempfile.tempdir", made)
        yield Path(made)


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "demo", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def running(folder) -> Iterator["subprocess.Popen[str]"]:
    """A demo that stays up, with its balance drawn."""
    demo = start(folder, "--webhooks", "5", "--payments", "3", "--faults", "0", "--no-kill", "--stay")
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("still up"):
            break
    yield demo
    if demo.poll() is None:
        demo.kill()
    demo.communicate()


def processes_in(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder or run in it."""
    listed = subprocess.run(["ps", "-Aww", "-o", "stat=,args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if str(folder) in line and not line.startswith("Z")]


def wait_until_nothing_runs_in(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_in(folder) == []


# -- a whole run ----


def test_it_balances_although_its_worker_is_killed(folder):
    """Every fault happens; every webhook is delivered or dead, and duplicates carry their webhook-id."""
    seed, share, webhooks = "2", 0.5, 60
    hosts = lost_hosts(int(seed), share, webhooks)
    met = {fault_of(int(seed), share, number, 1) for number in range(webhooks) if number not in hosts}
    demo = start(folder, "--webhooks", str(webhooks), "--faults", str(share), "--seed", seed, "--json")
    out, err = demo.communicate()
    told = json.loads(out)
    assert demo.returncode == 0, err
    assert told["balanced"]
    assert told["kills"] == 1
    assert told["enqueued"] == webhooks == told["delivered"] + told["dead"]
    assert told["lost"] == 0
    assert told["duplicates"] == told["duplicates_recognisable"]
    assert told["wrong_signatures"] == 0
    assert met == {None, *Fault}, "this seed does not show everything"
    assert {*told["answers"]} == {"200", "410", *Fault}
    assert any("not sent" in reason for reason in told["dead_reasons"]), "one host is down"
    paid = {"enqueued": 100, "succeeded": 100, "charged": 100, "charged_twice": 0, "mismatches": []}
    assert told["payments"] == paid
    assert list(folder.iterdir()) == [], "a run leaves nothing behind"
    assert processes_in(folder) == []


async def test_a_payment_of_which_we_say_something_else_than_the_gateway_is_not_even(folder, monkeypatch):
    """The balance of payments can be wrong too: here the gateway knows of a charge that we do not."""
    balance = payments.Till.balance

    async def balance_with_a_stranger(self):
        ledger = self._sandbox.ledger
        line = json.loads(ledger.read_text().splitlines()[0])
        with ledger.open("a") as file:
            file.write(json.dumps(line | {"id": "pi_x", "metadata": {}}) + "\n")
        return await balance(self)

    monkeypatch.setattr(payments.Till, "balance", balance_with_a_stranger)
    played = await play(Plot(webhooks=3, share=0, kill=False, payments=4), Silent(), lambda _: None)
    assert played.balance.is_even
    assert not played.is_even
    assert (played.paid.succeeded, len(played.paid.twice), len(played.paid.mismatches)) == (4, 1, 1)
    assert played.paid.twice[0] in played.paid.text


def test_a_line_that_vanishes_from_the_ledger_is_a_lost_webhook(folder, monkeypatch, capsys):
    """The balance can be wrong, with exit code 1: what the receiver knows nothing of is not delivered."""

    def read_without_one(path: Path) -> list[Line]:
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[1:]))
        return read_ledger(path)

    monkeypatch.setattr(scenario, "read_ledger", read_without_one)
    command = "runner demo --webhooks 8 --payments 0 --faults 0 --no-kill"
    monkeypatch.setattr(sys, "argv", command.split())
    before = signal.getsignal(signal.SIGTERM)  # the command lays it, and this process lives on
    with pytest.raises(SystemExit) as ended:
        main()
    signal.signal(signal.SIGTERM, before)
    told = capsys.readouterr().out
    assert ended.value.code == 1
    assert "IT DOES NOT BALANCE: 8 enqueued, 7 delivered + 0 dead" in told
    assert re.search(r"^  lost +1  \S+$", told, re.MULTILINE), "it is named"
    assert [path.name for path in folder.glob("runner-demo-*/ledger.jsonl")] == ["ledger.jsonl"], "evidence"


def test_stay_keeps_all_up_until_it_is_told_to_end(running, folder):
    """`--stay` draws the balance and goes on; its exit code is the balance's, and nothing stays behind."""
    assert any("valkey-server" in line for line in processes_in(folder))
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err) == (0, "")
    assert processes_in(folder) == []
    assert list(folder.iterdir()) == []


def test_a_demo_that_is_killed_leaves_no_process_behind(running, folder):
    """The receiver sees its starter gone, ends the workers, and stops the server when nobody holds it."""
    running.kill()
    running.wait()
    wait_until_nothing_runs_in(folder)


KILLED = """
import asyncio, os, signal, sys
from runner.demo.scenario import Plot, play
from runner.demo.show import Silent

class Killed(Silent):
    def note(self, text):
        if text.startswith(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(play(Plot(webhooks=5, share=0, payments=1), Killed(), print))
"""


@pytest.mark.parametrize("step", ["receiver", "server", "worker", "client"])
def test_a_demo_that_is_killed_while_it_starts_leaves_no_process_behind(folder, step):
    """Whatever it has started by then: a worker that cannot yet stop the server, or no worker at all."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    killed = subprocess.run([sys.executable, "-c", KILLED, step], cwd=folder, env=env, check=False)
    assert killed.returncode == -signal.SIGKILL
    wait_until_nothing_runs_in(folder)


def test_ctrl_c_in_the_middle_ends_everything_and_exits_130(folder):
    """Nobody has to clean up after a demo that was too long."""
    demo = start(folder, "--webhooks", "2000")
    assert demo.stdout is not None
    for line in demo.stdout:
        if line.startswith("client"):
            break
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=30)
    assert (demo.returncode, err) == (130, "")
    assert processes_in(folder) == []
    assert list(folder.iterdir()) == []


# -- the balance ----


def line(number: int, webhook_id: str, **changes) -> Line:
    return dataclasses.replace(Line(number, webhook_id, "1", "200", is_taken=True, is_signed=True), **changes)


def info(job_id: str, state: JobState, message: str = "") -> tuple[str, JobInfo]:
    return job_id, JobInfo(job_id, "default", state, error={"message": message} if message else {})


DELIVERED = info("a", JobState.SUCCEEDED)
DEAD = info("b", JobState.DEAD, "answered 410")


def test_delivered_and_dead_together_are_all():
    """Even: each webhook is delivered by both accounts, or dead with a reason."""
    balance = balance_of("ab", dict([DELIVERED, DEAD]), [line(1, "a")])
    assert balance.is_even
    assert (balance.delivered, balance.dead, balance.lost) == (1, {"answered 410": 1}, ())
    assert balance_text(balance, 1).endswith("it balances: 2 enqueued, 1 delivered + 1 dead")


@pytest.mark.parametrize(
    ("infos", "ledger", "lost"),
    [
        ([DELIVERED, DEAD], [], ("a",)),
        ([DELIVERED, DEAD], [line(1, "a", is_taken=False)], ("a",)),
        ([DELIVERED], [line(1, "a")], ("b",)),
        ([DELIVERED, info("b", JobState.UNKNOWN)], [line(1, "a")], ("b",)),
        ([DELIVERED, info("b", JobState.RUNNING)], [line(1, "a"), line(2, "b")], ("b",)),
    ],
)
def test_what_one_side_does_not_know_is_lost(infos, ledger, lost):
    """Our word alone is not enough, nor is the receiver's; what has not ended or is unknown is lost."""
    balance = balance_of("ab", dict(infos), ledger)
    assert balance.lost == lost
    assert not balance.is_even


def test_duplicates_are_counted_by_what_the_body_says():
    """A duplicate under a new webhook-id is one that no receiver could tell: the balance is wrong."""
    known = balance_of("a", dict([DELIVERED]), [line(1, "a"), line(1, "a"), line(1, "a", is_taken=False)])
    assert (known.duplicates, known.recognisable, known.is_even) == (1, 1, True)
    hidden = balance_of("ac", dict([DELIVERED, info("c", JobState.SUCCEEDED)]), [line(1, "a"), line(1, "c")])
    assert (hidden.duplicates, hidden.recognisable, hidden.is_even) == (1, 0, False)


def test_a_stranger_in_the_ledger_or_a_wrong_signature_is_no_balance():
    """Nothing may arrive that was not enqueued, and nothing unsigned."""
    assert balance_of("a", dict([DELIVERED]), [line(1, "a"), line(2, "x")]).strangers == ("x",)
    assert not balance_of("a", dict([DELIVERED]), [line(1, "a"), line(2, "x")]).is_even
    assert not balance_of(
        "a", dict([DELIVERED]), [line(1, "a"), line(1, "a", is_taken=False, is_signed=False)]
    ).is_even


def test_a_dead_one_that_arrived_is_said_and_is_no_loss():
    """At least once: an answer may get lost on the last attempt."""
    balance = balance_of("ab", dict([DELIVERED, DEAD]), [line(1, "a"), line(2, "b")])
    assert (balance.dead_but_taken, balance.is_even) == (1, True)
    assert "its answer was lost" in balance_text(balance, 0)


# -- the receiver ----

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def test_the_receiver_checks_signatures_as_the_reference_does():
    """What the reference library of Standard Webhooks signs is right; any change of it is wrong."""
    now = datetime.datetime.now(datetime.UTC)
    signature = Webhook(SECRET).sign("msg_1", now, '{"number": 1}')
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1,bm90IGl0 {signature}",
    }
    body = b'{"number": 1}'
    assert is_signed(SECRET, headers, body)
    assert not is_signed(SECRET, headers, body + b" ")
    assert not is_signed(SECRET, {**headers, "webhook-id": "msg_2"}, body)
    assert not is_signed(SECRET, {**headers, "webhook-signature": ""}, body)
    assert not is_signed("whsec_" + base64.b64encode(b"x" * 32).decode(), headers, body)


def test_an_old_signature_is_wrong_however_well_signed():
    """A replayed request is refused after five minutes."""
    key = b"k" * 32
    signed = base64.b64encode(hmac.new(key, b"msg_1.1000.{}", hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1000", "webhook-signature": f"v1,{signed}"}
    assert not is_signed(SECRET, headers, b"{}")


def test_faults_come_as_often_as_asked_and_the_same_for_the_same_seed():
    """`--faults 0.2` is 20 % of 503 and 2 % of each other fault; 0 is none at all."""
    drawn = [fault_of(1, 0.2, number, 1) for number in range(5000)]
    assert drawn == [fault_of(1, 0.2, number, 1) for number in range(5000)]
    assert drawn != [fault_of(2, 0.2, number, 1) for number in range(5000)]
    assert 0.18 < drawn.count(Fault.UNAVAILABLE) / 5000 < 0.22
    assert all(0.01 < drawn.count(fault) / 5000 < 0.03 for fault in RARE)
    assert 0.01 < sum(is_reset_unread(1, 0.2, n) for n in range(5000)) / 5000 < 0.03
    assert {fault_of(1, 0, number, 1) for number in range(1000)} == {None}
    assert lost_hosts(1, 0, 300) == {}
    assert {fault_of(1, 1, number, 1) for number in range(1000)} == {Fault.UNAVAILABLE}


@pytest.mark.parametrize(("webhooks", "share", "each"), [(300, 0.2, 6), (1, 1, 0), (2, 1, 0), (10, 1, 1)])
def test_both_lost_hosts_get_their_share(webhooks, share, each):
    """One host is down and one answers 410: each gets a tenth of the share of 503."""
    hosts = list(lost_hosts(1, share, webhooks).values())
    assert (hosts.count("down"), hosts.count("gone")) == (each, each)


async def test_a_connection_may_be_reset_before_anything_is_read(tmp_path):
    """The sender cannot know whether it arrived; the ledger knows that it did not."""
    seed = next(seed for seed in range(10_000) if is_reset_unread(seed, 0.2, 1))
    ledger = tmp_path / "ledger.jsonl"
    receiver = Receiver(Ledger(ledger), share=0.2, seed=seed, secret=SECRET)
    async with await asyncio.start_server(receiver.receive, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    assert read_ledger(ledger) == []
