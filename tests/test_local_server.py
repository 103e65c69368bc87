"""The embedded server, as one process sees it: started, stopped, killed, hanging, loading, broken."""

import fcntl
import os
import signal
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis as redis_sync

from runner import local_server
from runner.errors import ServerError
from runner.local_server import attach


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ".runner"
    yield folder
    if answers(folder):  # its last user was killed: adopt it and be the last one out
        attach(folder).detach()
    assert not answers(folder)


def ask(url: str, *command: str) -> object:
    with redis_sync.Redis.from_url(url) as client:
        return client.execute_command(*command)


def setting(url: str, name: str) -> str:
    with redis_sync.Redis.from_url(url) as client:
        return client.config_get(name)[name]


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


def test_attach_starts_a_server_that_answers_and_the_last_one_out_stops_it_with_sigterm(
    project: Path,
) -> None:
    """One process alone: start, use, stop in order; the next evening the data is still there."""
    with attach(project) as server:
        assert ask(server.url, "SET", "order", "o-17") is True
    assert not answers(project)
    assert "SIGTERM" in (project / "valkey.log").read_text()
    server.detach()  # a second time: nothing happens
    with attach(project) as server:
        assert ask(server.url, "GET", "order") == b"o-17"


def test_the_server_loses_nothing_by_its_settings_and_listens_to_nobody_else(project: Path) -> None:
    """Append-only file on, no eviction, no TCP port, folder and socket closed to other users."""
    with attach(project) as server:
        assert setting(server.url, "appendonly") == "yes"
        assert setting(server.url, "appendfsync") == "everysec"
        assert setting(server.url, "maxmemory-policy") == "noeviction"
        assert setting(server.url, "port") == "0"
        assert stat.S_IMODE(project.stat().st_mode) == 0o700
        assert stat.S_IMODE((project / "valkey.sock").stat().st_mode) == 0o700


def test_always_is_given_to_who_asks_for_it_also_on_a_running_server(project: Path) -> None:
    """Durability is raised for a second process that needs more, and not lowered by a third."""
    with attach(project) as server, attach(project, appendfsync="always"), attach(project):
        assert setting(server.url, "appendfsync") == "always"


def test_a_killed_server_is_started_again_on_its_data(project: Path) -> None:
    """kill -9 of the server loses nothing that was acknowledged; the first one's url goes on to work."""
    with attach(project) as first:
        pid = pid_of(first.url)
        ask(first.url, "SET", "order", "o-17")
        os.kill(pid, signal.SIGKILL)
        with attach(project):
            assert pid_of(first.url) != pid
            assert ask(first.url, "GET", "order") == b"o-17"


def test_a_server_that_hangs_is_named_with_its_process_id(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds its lock and does not answer: no second one is started on its files."""
    with attach(project) as server, monkeypatch.context() as patch:
        pid = pid_of(server.url)
        patch.setattr(local_server, "START_S", 0.2)
        patch.setattr(local_server, "ANSWER_S", 0.1)
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ServerError, match=f"runs and does not answer: end process {pid} "):
                attach(project)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert starts(project) == 1


def test_a_server_that_does_not_stop_in_time_is_left_alive_with_a_warning(
    project: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is never killed: that could cost its last writes."""
    with monkeypatch.context() as patch:
        patch.setattr(local_server, "STOP_S", 0.1)
        server = attach(project)
        pid = pid_of(server.url)
        os.kill(pid, signal.SIGSTOP)
        try:
            server.detach()
            assert f"(process {pid}) does not stop" in caplog.text
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_folder_removed_under_a_running_server_does_not_break_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`git clean` while the app runs: leaving says what is left to do instead of failing."""
    server = attach(tmp_path / ".runner")
    pid = pid_of(server.url)
    (tmp_path / ".runner").rename(tmp_path / "elsewhere")
    server.detach()
    assert "is gone: a server that ran in it has to be ended by hand" in caplog.text
    os.kill(pid, signal.SIGTERM)


def test_a_server_that_does_not_come_up_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    """Real data that the real server refuses: its own words are in the error."""
    folder = tmp_path / ".runner"
    with attach(folder):
        pass
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("not a manifest\n")
    with pytest.raises(ServerError, match=r"(?s)did not start, the end of .*valkey\.log says:\n.*manifest"):
        attach(folder)
    assert not answers(folder)


def test_a_server_that_loads_its_data_is_waited_for_however_long_it_takes(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only silence has a limit, counted from the last word: here each answer takes six of its ten seconds."""
    project.mkdir(mode=0o700)
    answers_left = [*[b"-LOADING the dataset\r\n"] * 3, b"", b"+PONG\r\n"]
    clock = SimpleNamespace(now=0, monotonic=lambda: clock.now, sleep=lambda _: None)
    monkeypatch.setattr(local_server, "time", clock)
    with (
        (project / "server.lock").open("ab") as lives,
        (project / "users.lock").open("ab") as another_user,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        fcntl.flock(lives, fcntl.LOCK_EX)
        fcntl.flock(another_user, fcntl.LOCK_SH)
        listener.bind(str(project / "valkey.sock"))
        listener.listen()

        def answer() -> None:
            while answers_left:
                with listener.accept()[0] as connection:
                    connection.recv(64)
                    clock.now += 6
                    connection.sendall(answers_left.pop(0))

        loading = threading.Thread(target=answer, daemon=True)
        loading.start()
        attach(project).detach()
        loading.join()
    assert answers_left == []
    (project / "valkey.sock").unlink()
