"""A real server for tests: a Valkey of its own, to be killed, paused and started again."""

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path

from ..errors import ServerError
from ..local_place import server_binary

START_S = 20

# The server must not outlive pytest, even one killed with -9. The pipe on stdin closes when pytest is gone,
# and the guard behind it then kills the server; a line on the pipe sends the guard home. `exec` makes the
# process that pytest started and the server one and the same, so signals go where they should.
GUARDED = 'exec 3<&0; (read -r _ <&3 || kill -9 $$) & exec "$@" </dev/null 3<&-'


class Server:
    """A Valkey on a unix socket in a folder, to be killed and started again on the same data."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.log = folder / "valkey.log"
        self.url = f"unix://{self.socket}?db=0"
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Start it on the data in its folder, and come back when it answers."""
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            ["/bin/sh", "-c", GUARDED, "sh", *self.command()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill9()
                self._fail()
            time.sleep(0.005)

    def command(self) -> list[str]:
        """Give the program and its arguments; another may stand before it that becomes it, such as env(1)."""
        return [str(server_binary()), *self.arguments()]

    def arguments(self) -> list[str]:
        """Give what the program is told."""
        settings = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        settings += ["--logfile", str(self.log), "--maxmemory-policy", "noeviction"]
        return [*settings, *self.options]

    def stop(self) -> None:
        """End it in order: it writes down what it holds."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a crash would; works on a paused one too. Nothing happens if it is not running."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Hold it with SIGSTOP: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> "subprocess.Popen[bytes]":
        if self.process is None:
            msg = "the test server is not running"
            raise ServerError(msg)
        return self.process

    def _fail(self) -> None:
        log = self.log.read_text()[-2000:] if self.log.exists() else ""
        msg = f"the test server did not start:\n{log}"
        raise ServerError(msg)

    def _end(self, with_signal: signal.Signals) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(with_signal)
        process.wait(timeout=START_S)
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # the guard may be gone already
                process.stdin.write(b"\n")
                process.stdin.close()

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_S)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False
