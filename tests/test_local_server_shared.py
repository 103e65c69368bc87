"""Several processes of one project: they share one embedded server, which outlives any of them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_sync

import runner
from runner import local_server
from runner.local_server import attach

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(runner.__path__[0]).parent)}

# A process of the project: waits for a line, attaches, says where; waits for a line, detaches, says so.
USER = """
import signal
import sys
from pathlib import Path
from runner import local_server
from runner.local_server import attach
signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored so far when the tests run in a shell's background
print("imported", flush=True)
sys.stdin.readline()
server = attach(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.readline()
server.detach()
print("detached", flush=True)
"""


class User:
    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        self.hears("imported")

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def hears(self, expected: str) -> None:
        said = self.says()
        assert said == expected, f"the other process said {said!r} where {expected!r} was due"

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def attaches(self) -> str:
        self.go_on()
        return self.says()

    def detaches(self) -> None:
        self.go_on()
        self.hears("detached")

    def end(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        os.killpg(self.process.pid, with_signal)
        self.process.wait()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ".runner"
    yield folder
    if answers(folder):  # its last user was killed: adopt it and be the last one out
        attach(folder).detach()
    assert not answers(folder)


@pytest.fixture
def another_user(project: Path) -> Iterator[Callable[[], User]]:
    with contextlib.ExitStack() as ends:

        def start() -> User:
            user = User(project)
            ends.callback(close, user)
            return user

        yield start


def close(user: User) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(user.process.pid, signal.SIGKILL)
    with user.process:
        pass


def ask(url: str, *command: str) -> object:
    with redis_sync.Redis.from_url(url) as client:
        return client.execute_command(*command)


def pid_of(url: str) -> int:
    server = ask(url, "INFO", "server")
    assert isinstance(server, dict)
    return int(server["process_id"])


def answers(folder: Path) -> bool:
    try:
        return ask(f"unix://{folder / 'valkey.sock'}?db=0", "PING") is True
    except redis_sync.ConnectionError:
        return False


def starts(folder: Path) -> int:
    return (folder / "valkey.log").read_text().count("just started")


def test_ctrl_c_does_not_reach_the_server(project: Path, another_user: Callable[[], User]) -> None:
    """A terminal sends SIGINT to the whole group of the starter: the server is in a session of its own."""
    user = another_user()
    url = user.attaches()
    pid = pid_of(url)
    user.end(signal.SIGINT)
    assert os.getsid(pid) not in (os.getsid(0), user.process.pid)
    assert pid_of(url) == pid


def test_a_second_process_adopts_the_server_and_only_the_last_one_out_stops_it(
    project: Path, another_user: Callable[[], User]
) -> None:
    """The starter may leave first: the server stays for the one that is still there."""
    starter, second = another_user(), another_user()
    url = starter.attaches()
    pid = pid_of(url)
    assert second.attaches() == url
    starter.detaches()
    assert pid_of(url) == pid
    second.detaches()
    assert not answers(project)
    assert starts(project) == 1


def test_four_processes_at_the_same_instant_start_one_server(
    project: Path, another_user: Callable[[], User]
) -> None:
    """Whoever comes first starts it, the other three adopt it."""
    users = [another_user() for _ in range(4)]
    for user in users:
        user.go_on()
    assert {user.says() for user in users} == {f"unix://{project / 'valkey.sock'}?db=0"}
    assert starts(project) == 1
    for user in users:
        user.go_on()
    for user in users:
        user.hears("detached")
    assert not answers(project)


def test_processes_that_come_and_go_all_the_time_always_find_a_server(
    project: Path, another_user: Callable[[], User]
) -> None:
    """Attaching while the last one out is stopping the server waits for the end of it and starts the next."""
    for number in range(3):
        user = another_user()
        url = user.attaches()
        ask(url, "RPUSH", "seen", str(number))
        user.go_on()  # it detaches, while we attach
        with attach(project) as server:
            assert ask(server.url, "LLEN", "seen") == number + 1
            user.hears("detached")
    assert not answers(project)


def test_a_server_whose_starter_was_killed_is_adopted_with_its_data(
    project: Path, another_user: Callable[[], User]
) -> None:
    """kill -9 of the starter leaves an orphan; the next process adopts it and, being last, stops it."""
    starter = another_user()
    url = starter.attaches()
    pid = pid_of(url)
    ask(url, "SET", "order", "o-17")
    starter.end(signal.SIGKILL)
    with attach(project) as server:
        assert pid_of(server.url) == pid
        assert ask(server.url, "GET", "order") == b"o-17"
    assert not answers(project)


def test_a_killed_user_does_not_count_as_one(project: Path, another_user: Callable[[], User]) -> None:
    """The last one alive stops the server, also when another died without leaving."""
    with attach(project):
        user = another_user()
        user.attaches()
        user.end(signal.SIGKILL)
        assert answers(project)
    assert not answers(project)


def test_who_cleans_up_waits_for_the_last_one_also_a_killed_one(
    project: Path, another_user: Callable[[], User]
) -> None:
    """It stops a server that nobody could stop, and none that somebody holds."""
    user = another_user()
    url = user.attaches()
    cleaning = threading.Thread(target=local_server.stop_when_unused, args=(project,), daemon=True)
    cleaning.start()
    assert pid_of(url), "it is held"
    assert cleaning.is_alive()
    user.end(signal.SIGKILL)
    cleaning.join(20)
    assert not cleaning.is_alive()
    assert not answers(project)


def test_a_server_that_is_just_starting_is_stopped_too(
    project: Path, another_user: Callable[[], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its starter was killed before it answered: who it is is not known at first, and is asked again."""
    user = another_user()
    user.attaches()
    user.end(signal.SIGKILL)
    found = iter([0, 0])
    ask_kernel = local_server._pid
    monkeypatch.setattr(local_server, "_pid", lambda place: next(found, None) or ask_kernel(place))
    local_server.stop_when_unused(project)
    assert not answers(project)
