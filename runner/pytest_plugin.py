"""Fixtures for pytest, there wherever arq-runner is installed; nothing is started before one is asked for.

| fixture | gives |
| --- | --- |
| `runner_server_url` | url of a server that lives for the test session |
| `runner_redis_url` | url of an empty database on it, of this test alone |
| `runner_kit` | makes a ``runner.testing.Kit`` on that: ``async with runner_kit(my_runner) as kit:`` |

``ARQ_RUNNER_TEST_URL`` names a server of yours instead; the database it names is emptied before each test.
"""

import itertools
import os
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .app import Runner
    from .tasks import Task
    from .testing import Kit

GIVEN = "ARQ_RUNNER_TEST_URL"
DATABASES = 1024


@pytest.fixture(scope="session")
def runner_server_url() -> Generator[str]:
    """A server of this session, without anything on disk that outlives it."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    from .testing.server import Server

    # Not pytest's own temporary folder: its path may be longer than the 103 bytes of a socket's name.
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        server = Server(Path(folder), "--appendonly", "no", "--databases", str(DATABASES))
        server.start()
        try:
            yield server.url
        finally:
            server.kill9()


@pytest.fixture(scope="session")
def _runner_databases() -> Iterator[int]:
    return itertools.cycle(range(1, DATABASES))


@pytest.fixture
def runner_redis_url(runner_server_url: str, _runner_databases: Iterator[int]) -> str:
    """An empty database."""
    from redis import Redis

    url = runner_server_url
    if GIVEN not in os.environ:
        url = url.replace("db=0", f"db={next(_runner_databases)}")
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def runner_kit(runner_redis_url: str) -> "Callable[..., Kit]":
    """``runner_kit(runner)``, or ``runner_kit(tasks=[…])`` for a runner with default settings."""
    from .testing.kit import kit_of

    def make(runner: "Runner | None" = None, *, tasks: "Iterable[Task[..., Any]]" = ()) -> "Kit":
        return kit_of(runner, tasks, runner_redis_url)

    return make
