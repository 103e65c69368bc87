"""The embedded server: one Valkey for all processes of a project on this machine.

    with local_server.attach(Path(".runner")) as server:
        Redis.from_url(server.url)

The first process starts it, the others adopt it, the last one out stops it. Nobody is in charge: who may do
what follows from three files in the folder, locked with flock(2): locks that the kernel gives back however a
process ends.

| file | locked by | means |
| --- | --- | --- |
| `turn.lock` | one process, for moments | it decides: start, adopt or stop |
| `users.lock` | every attached process, shared | the server is in use; who gets it exclusively was the last |
| `server.lock` | the server itself, which inherits it | the server lives |

So a starter killed with -9 leaves a server that the next process adopts with its data, a server killed with
-9 is started again on its append-only file, and no process id is ever trusted to mean "still alive".
"""

import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO, Literal, Self

from .errors import ServerError
from .local_place import CURE, Place, place_of, private, server_binary

ANSWER_S = 1.0
START_S = 10.0
STOP_S = 10.0
TURN_S = 2 * (START_S + STOP_S)
POLL_S = 0.005
LOG_TAIL_LINES = 15

log = logging.getLogger(__name__)

AppendFsync = Literal["everysec", "always"]


class LocalServer:
    """One process's hold on the embedded server; ends with `detach` or the end of a `with`."""

    def __init__(self, place: Place, hold: IO[bytes]) -> None:
        self.url = f"unix://{place.socket}?db=0"
        self._place = place
        self._hold = hold

    def detach(self) -> None:
        """Let go; the last process out stops the server and waits until it is down (at most 10 s).

        May be called again without effect. A server that does not stop in time is left running with a
        warning, since killing it could cost its last second of writes; the next process adopts it.
        """
        if self._hold.closed:
            return
        try:
            with _turn(self._place):
                self._hold.close()  # not unlocked: a forked child shares this lock and is still a user
                _stop_unused(self._place)
        except FileNotFoundError:
            log.warning("%s is gone: a server that ran in it has to be ended by hand", self._place.folder)
        finally:
            self._hold.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()


def attach(folder: Path, *, appendfsync: AppendFsync = "everysec") -> LocalServer:
    """Start the project's server, or adopt the one that runs; come back when it answers.

    Blocks for about 50 ms when it starts one, longer when there is much data to load; from a coroutine, call
    it with `asyncio.to_thread`.

    Args:
        folder: private to the project and to one user; made, with mode 700, when missing. Data, log and locks
            live in it.
        appendfsync: "everysec" survives the death of any process and may lose the last second when the
            machine fails, "always" survives that too. A running server is raised to "always", never lowered.

    Raises:
        MissingExtra: the package with the server's program is not installed.
        ServerError: there is no such program for this platform; the folder is not ours; the server does not
            come up (the end of its log is in the message).
    """
    program = server_binary()
    place = place_of(folder)
    with _turn(place):
        hold = _lock(place.folder / "users.lock", shared=True)
    if hold is None:  # only ever locked exclusively inside a turn
        msg = f"{place.folder / 'users.lock'} is locked by another program: end that, or {CURE}"
        raise ServerError(msg)
    server = LocalServer(place, hold)
    try:
        _bring_up(place, program, appendfsync)
    except BaseException:
        server.detach()
        raise
    return server


def stop_when_unused(folder: Path) -> None:
    """Wait until no process holds the project's server, and stop it, for one who cleans up after others.

    Who is killed with -9 cannot be the last one out, and still holds the server for a moment.
    """
    place = place_of(folder)
    while True:
        with _turn(place):
            if _stop_unused(place):
                return
        time.sleep(POLL_S)


def _lock(path: Path, *, shared: bool = False) -> IO[bytes] | None:
    """Give the open file that holds the lock, or None while a lock of somebody else stands against it."""
    import fcntl  # not on Windows, where this module is still imported

    file = path.open("ab")
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        if isinstance(error, BlockingIOError):
            return None
        raise
    return file


@contextlib.contextmanager
def _turn(place: Place) -> Generator[None]:
    """Be the only process of the project that starts or stops the server."""
    path = place.folder / "turn.lock"
    deadline = time.monotonic() + TURN_S
    while (turn := _lock(path)) is None:
        if time.monotonic() > deadline:
            msg = f"another process has held {path} for {TURN_S:.0f} s: end it and try again"
            raise ServerError(msg)
        time.sleep(POLL_S)
    with turn:
        yield


def _lives(place: Place) -> bool:
    probe = _lock(place.folder / "server.lock", shared=True)
    if probe is not None:
        probe.close()
    return probe is None


def _bring_up(place: Place, program: Path, appendfsync: AppendFsync) -> None:
    started = False
    while not _comes_up(place):
        if started:
            msg = f"the embedded server did not start, the end of {place.log} says:\n{_log_tail(place)}"
            raise ServerError(msg)
        with _turn(place):
            claim = _lock(place.folder / "server.lock")
            if claim is not None:
                with claim:
                    _start(place, program, appendfsync, claim)
                started = True
    log.info("%s the embedded server in %s", "started" if started else "adopted", place.folder)
    if not started and appendfsync == "always":
        answer = _ask(place, b"CONFIG SET appendfsync always\r\n")
        if not answer.startswith(b"+OK"):
            msg = f'the embedded server in {place.folder} refused appendfsync "always": {answer!r}'
            raise ServerError(msg)


def _comes_up(place: Place) -> bool:
    """Wait until the server answers; False when there is none, or none any more."""
    deadline = time.monotonic() + START_S
    while True:
        answer = _ask(place, b"PING\r\n")
        loading = answer.startswith(b"-LOADING")
        # A refusal is an answer too (disk full, too many clients): the caller's own client will see it.
        if answer and not loading:
            return True
        if not _lives(place):
            return False
        if loading:
            deadline = time.monotonic() + START_S
        elif time.monotonic() > deadline:
            msg = (
                f"the embedded server in {place.folder} runs and does not answer: end process "
                f"{_pid(place) or 'valkey-server'} and try again; its log ends:\n{_log_tail(place)}"
            )
            raise ServerError(msg)
        time.sleep(POLL_S)


def _start(place: Place, program: Path, appendfsync: AppendFsync, claim: IO[bytes]) -> None:
    private(place.socket.parent)  # the last one out may just have removed it
    place.pidfile.unlink(missing_ok=True)
    options = (
        f"--port 0 --unixsocketperm 700 --appendonly yes --appendfsync {appendfsync} --daemonize yes".split()
    )
    options += [
        "--unixsocket",
        str(place.socket),
        "--dir",
        str(place.folder),
        "--pidfile",
        str(place.pidfile),
    ]
    options += ["--logfile", str(place.log), "--maxmemory-policy", "noeviction", "--save", ""]
    try:
        with place.log.open("ab") as output:
            # Daemonized, it is nobody's child: no zombie stays with a starter that lives on. Its environment
            # is empty: the starter's secrets are not for a process that may outlive it.
            subprocess.run(  # noqa: S603 - our own program and words
                [program, *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"LC_ALL": "C"},
                start_new_session=True,
                pass_fds=[claim.fileno()],
                check=False,
            )
    except OSError as error:
        msg = f"the embedded server's {program} cannot be run ({error.strerror}): install it anew, or {CURE}"
        raise ServerError(msg) from error


def _stop_unused(place: Place) -> bool:
    """Stop it if nobody holds it, inside a turn; gives whether nobody did."""
    last = _lock(place.folder / "users.lock")
    if last is None:
        return False
    with last:
        _stop(place)
    return True


def _stop(place: Place) -> None:
    pid, deadline = 0, time.monotonic() + STOP_S
    while _lives(place):
        if not pid and (pid := _pid(place)):  # not known yet while it starts
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        if time.monotonic() > deadline:
            log.warning(
                "the embedded server in %s (process %s) does not stop", place.folder, pid or "unknown"
            )
            return
        time.sleep(POLL_S)
    if place.socket.parent != place.folder:
        with contextlib.suppress(OSError):
            place.socket.parent.rmdir()


def _pid(place: Place) -> int:
    """Give the living server's process id as this process sees it; 0 when it cannot be known."""
    with contextlib.suppress(OSError, ValueError):
        if sys.platform != "linux":
            return int(place.pidfile.read_text())
        # Asked of the kernel: a server started in another container has another number in its own file.
        with _connected(place) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return struct.unpack("3i", credentials)[0]
    return 0


def _ask(place: Place, command: bytes) -> bytes:
    """Give the first bytes of the server's answer; empty when there is none."""
    with contextlib.suppress(OSError), _connected(place) as connection:
        connection.sendall(command)
        return connection.recv(256)
    return b""


@contextlib.contextmanager
def _connected(place: Place) -> Generator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(place.socket))
        yield connection


def _log_tail(place: Place) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(place.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    return "(there is no log)"
