"""One real Valkey for the whole test session, one database of it for each test.

| fixture | gives |
| --- | --- |
| `server_url` | url of the session's server, database 0 (unused by tests) |
| `redis_url` | url of an empty database that belongs to this test alone |
| `redis` | a `redis.asyncio.Redis` on it, bytes in and out |
| `arq_pool` | arq's own client on it, with arq's own serializer |
| `restartable_server` | a server of the test's own, with AOF, to be killed, paused and started again |
| `authorities` | what clients trust by default, read once: it takes 20 ms of CPU |
| `forks` | the module that starts scripts in processes of their own, without importing all anew |
| `wait_until` | `await wait_until(condition, "what is awaited")`: polls, and fails with the description |
| `outlast` | `await outlast(1)`: until a lease of a second would have ended, by the server's clock |

What a database does not separate: published messages, `CLIENT TRACKING` pushes, loaded scripts, `CONFIG`.
Tests run one after the other, so that only matters to what a test leaves running.
"""

import ast
import asyncio
import functools
import gc
import importlib
import inspect
import signal
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from arq.connections import ArqRedis
from hypothesis import HealthCheck, settings
from redis.asyncio import ConnectionPool, Redis

from runner.testing.server import Server

DATABASES = 8192
"""More than there are tests: none is used twice, and none needs to be emptied."""
LONG = (
    "cli/test_demo.py",
    "fleet/test_supervisor.py",
    "jobs/payment/test_crash_table.py",
    "engine/test_kill.py",
    "servers/test_cluster_moves.py",
    "servers/test_sentinel.py",
    "dashboard/test_browser.py",
)
"""Files that wait long, for leases and processes: begun first, so that the end waits for none of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    order = {str(here / name): place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))


# An example may take long on a slow machine. What else Hypothesis has chosen (in CI: its examples) stays.
unhurried = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("ours", settings.default, deadline=None, suppress_health_check=unhurried)
settings.load_profile("ours")


def pytest_sessionstart() -> None:
    # A shell that starts the suite in the background lets it ignore Ctrl-C, and so would all that it starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _without_collecting(parse: Callable[..., ast.AST]) -> Callable[..., ast.AST]:
    """Let no garbage be collected while this parses.

    What collects may tell of a task's lost exception, whose traceback is parsed to underline its place: one
    parse within the other, where CPython 3.11 raises "AST constructor recursion depth mismatch", gh-106905.
    """

    @functools.wraps(parse)
    def parsed(*args: Any, **options: Any) -> ast.AST:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return parse(*args, **options)
        finally:
            if was_enabled:
                gc.enable()

    return parsed


ast.parse = _without_collecting(ast.parse)


# What is imported for the session stays: no collection of garbage need walk over it, neither now nor later.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


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
    return iter(range(1, DATABASES))


@pytest.fixture
def redis_url(server: Server, database_numbers: Iterator[int]) -> str:
    return f"unix://{server.socket}?db={next(database_numbers)}"


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


@pytest.fixture(scope="session")
def authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()


@pytest.fixture(scope="session")
def forks() -> ModuleType:
    # By this name the forked processes find it too: they get the path of the one that asks for them.
    sys.path.append(str(Path(__file__).parent))
    return importlib.import_module("forks")


Condition = Callable[[], object | Awaitable[object]]


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[object]]:
    async def poll(condition: Condition, description: str, timeout_s: float = 30) -> object:
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


@pytest.fixture
def outlast(redis: Redis, wait_until: Callable[..., Awaitable[object]]) -> Callable[[float], Awaitable[None]]:
    async def wait(lease_s: float) -> None:
        async def now_s() -> float:
            seconds, micros = await redis.time()
            return seconds + micros / 1e6

        ends_s = await now_s() + lease_s

        async def is_over() -> bool:
            return await now_s() > ends_s

        await wait_until(is_over, f"{lease_s} s pass at the server", lease_s + 30)

    return wait


@pytest.fixture(autouse=True)
def _tidy():
    """Let what a test leaves behind be finalized now, and not in the middle of a later test's parsing.

    A finalizer that logs a traceback parses source; Python 3.11 before 3.11.5 then fails the parsing it
    interrupted with "AST constructor recursion depth mismatch" (CPython gh-106905).
    """
    yield
    gc.collect(1)
