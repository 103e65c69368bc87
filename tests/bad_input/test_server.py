"""Servers that cannot be used: unreachable, locked, too old, evicting; each is said in one line."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from runner import Runner, RunnerError, ServerError, ServerUnreachable, Settings, UnsafeServer
from runner.client import Client
from runner.client.making import make_client
from runner.server_check import ServerCheck
from runner.settings.model import RedisGroup

NOBODY = "redis://127.0.0.1:1/0"


def runner_at(url: str) -> Runner:
    return Runner(Settings(redis=RedisGroup(url=url), tasks=()))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def make(url: str, settings: Settings) -> Client:
        client = make_client(url, settings)
        client._patience_s = 0.2
        return client

    monkeypatch.setattr("runner.app.make_client", make)
    return


@pytest.mark.usefixtures("impatient")
async def test_an_unreachable_server() -> None:
    """The address, how long it was tried, and what to look at; a password in the address is not shown."""
    with pytest.raises(ServerUnreachable) as away:
        await runner_at("redis://user:hush@127.0.0.1:1/0").__aenter__()
    text = str(away.value)
    assert "\n" not in text
    assert text.startswith("no answer from the server at redis://***@127.0.0.1:1/0 for 0.2 s (")
    assert text.endswith("; is it running, is redis.url right?")
    assert "hush" not in text


@pytest.mark.usefixtures("impatient")
async def test_a_host_that_does_not_exist() -> None:
    """A name without an address is unreachable like any other."""
    with pytest.raises(
        ServerUnreachable, match=r"no answer from the server at redis://no-such-host\.invalid:6379/0"
    ):
        await runner_at("redis://no-such-host.invalid:6379/0").__aenter__()


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_says_nothing() -> None:
    """Something listens and never answers: the time limit ends it."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        settings = Settings(redis=RedisGroup(url=f"redis://{host}:{port}/0", timeout=0.1), tasks=())
        with pytest.raises(ServerUnreachable, match=f"no answer from the server at redis://{host}:{port}/0"):
            await Runner(settings).__aenter__()


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_speaks_something_else() -> None:
    """A web server on the port is no Redis: said, not waited for without end."""

    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        with pytest.raises(ServerError, match=f"the server at redis://{host}:{port}/0"):
            await runner_at(f"redis://{host}:{port}/0").__aenter__()


async def test_a_wrong_password(restartable_server: Any) -> None:
    """Refused credentials are not retried; the cure is named and the password is not."""
    async with Redis.from_url(restartable_server.url) as redis:
        await redis.config_set("requirepass", "right")
        for given in ("", ":wrong@"):
            url = restartable_server.url.replace("unix://", f"unix://{given}")
            with pytest.raises(ServerError) as refused:
                await runner_at(url).__aenter__()
            text = str(refused.value)
            assert not isinstance(refused.value, ServerUnreachable)
            assert "\n" not in text
            assert text.startswith("the server at unix://")
            assert " refuses: " in text
            assert text.endswith("; check user and password in redis.url")
            assert "wrong@" not in text


@asynccontextmanager
async def ageing(redis_url: str, version: bytes) -> AsyncIterator[str]:
    """Stand before a server and say in its INFO that it is of another version."""
    socket = redis_url.removeprefix("unix://").partition("?")[0]

    async def stand_between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, before = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pump(reader, before), pump(behind, writer, version))

    async with await asyncio.start_server(stand_between, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        yield f"redis://{host}:{port}/{redis_url.rpartition('=')[2]}"


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, version: bytes = b"") -> None:
    while data := await source.read(65_536):
        if version:
            data = data.replace(b"redis_version:7.2.4", b"redis_version:" + version)
        sink.write(data)
        await sink.drain()
    sink.close()


async def test_a_server_that_is_too_old(redis_url: str, sample: Any) -> None:
    """Before 7.0 scripts have no flags: a worker does not start on it, whatever is allowed otherwise."""
    async with ageing(redis_url, b"6.2.9") as url:
        redis = RedisGroup(url=url, allow_unsafe_server=True)
        runner = Runner(Settings(redis=redis, tasks=()), tasks=[sample.ship])
        with pytest.raises(UnsafeServer) as refused:
            async with runner.worker():
                pytest.fail("served")
    assert str(refused.value) == (
        "the server says it is version 6.2.9; at least 7.0 is needed (Redis or Valkey)"
    )


class Stub:
    """Answers what the check asks."""

    def __init__(self, version: str, policy: str | Exception) -> None:
        self.version = version
        self.policy = policy

    async def info(self, _section: str) -> dict[str, str]:
        return {"redis_version": self.version}

    async def config_get(self, _name: str) -> dict[str, str]:
        if isinstance(self.policy, Exception):
            raise self.policy
        return {"maxmemory-policy": self.policy}


@pytest.mark.parametrize(
    "version", ["7.0.0", "7.2.4", "8.1.0", "9.1.0", "10.0.0", "255.255.255", "unknown", ""]
)
async def test_versions_that_pass(version: str) -> None:
    """7.0 and later; a version that cannot be read is not held against the server."""
    assert await ServerCheck(allow_unsafe=False)(Stub(version, "noeviction")) is None


@pytest.mark.parametrize("version", ["6.2.14", "5.0.3", "2.8"])
async def test_versions_that_do_not(version: str) -> None:
    """Everything before 7.0 is refused by its name."""
    with pytest.raises(UnsafeServer, match=f"version {version}; at least 7.0 is needed"):
        await ServerCheck(allow_unsafe=True)(Stub(version, "noeviction"))


async def test_a_server_that_hides_its_configuration() -> None:
    """A managed server that forbids CONFIG is used all the same."""
    hiding = Stub("7.4.0", NoPermissionError("this user has no permissions"))
    assert await ServerCheck(allow_unsafe=False)(hiding) is None


async def test_an_evicting_server(restartable_server: Any, sample: Any) -> None:
    """Each policy but noeviction is refused with the cure; ``allow_unsafe_server`` lets it pass."""
    async with Redis.from_url(restartable_server.url) as redis:
        for policy in ("allkeys-lru", "volatile-ttl", "allkeys-random"):
            await redis.config_set("maxmemory-policy", policy)
            runner = Runner(
                Settings(redis=RedisGroup(url=restartable_server.url), tasks=()), tasks=[sample.ship]
            )
            with pytest.raises(UnsafeServer) as refused:
                async with runner.worker():
                    pytest.fail("served")
            assert str(refused.value) == (
                f"the server's maxmemory-policy is '{policy}': it may delete waiting jobs. "
                "Set it to noeviction, or redis.allow_unsafe_server = true to run all the same"
            )
        unsafe = RedisGroup(url=restartable_server.url, allow_unsafe_server=True)
        runner = Runner(Settings(redis=unsafe, tasks=()), tasks=[sample.ship])
        async with runner.worker():
            assert await (await runner.enqueue(sample.ship, "o-1")).result(30) == "1 of o-1"


class Ended(NamedTuple):
    returncode: int
    stderr: str


Start = Callable[..., Awaitable[Ended]]


@pytest.fixture
def start(tmp_path: Path, forks: Any) -> Start:
    """Run ``arq runner.WorkerSettings`` from an empty folder until it ends."""

    async def run(**variables: str) -> Ended:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
        environment = {**kept, "RUNNER_TASKS": "jobs.webhook", **variables}
        log, words = tmp_path / "log", ("arq", "runner.WorkerSettings")
        process = forks.start(*words, log=log, folder=tmp_path, environment=environment)
        await asyncio.to_thread(process.join, 50)
        return Ended(process.exitcode, log.read_text())

    return run


async def test_the_worker_command_without_a_server(start: Start) -> None:
    """It tries for some seconds, then ends with exit code 3 and one line with the address; no traceback."""
    ended = await start(RUNNER_REDIS__URL=NOBODY)
    assert ended.returncode == 3
    assert ended.stderr.splitlines()[-1].startswith("no server at 127.0.0.1:1 (")
    assert "Traceback" not in ended.stderr


async def test_the_worker_command_on_an_evicting_server(start: Start, restartable_server: Any) -> None:
    """Refused at start with exit code 3 and the cure, before any job is claimed."""
    async with Redis.from_url(restartable_server.url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        ended = await start(RUNNER_REDIS__URL=restartable_server.url)
    assert ended.returncode == 3
    assert "maxmemory-policy is 'allkeys-lru'" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


async def test_the_worker_command_without_a_place_for_its_server(tmp_path: Path, start: Start) -> None:
    """The embedded server cannot start: exit code 3 and one sentence, as for any server that is not there."""
    (tmp_path / "occupied").write_text("a file")
    ended = await start(RUNNER_REDIS__FOLDER=str(tmp_path / "occupied"))
    assert ended.returncode == 3
    assert "occupied" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_worker_command_with_a_wrong_setting(start: Start) -> None:
    """A setting, a module or a queue that is wrong ends it with exit code 2 and a line for each."""
    ended = await start(RUNNER_WORKER__MAX_JOBS="many", RUNNER_REDIS__URL=NOBODY)
    assert ended.returncode == 2
    assert "RUNNER_WORKER__MAX_JOBS" in ended.stderr
    assert "Traceback" not in ended.stderr
    ended = await start(RUNNER_TASKS="no_such_module", RUNNER_REDIS__URL=NOBODY)
    assert ended.returncode == 2
    assert "tasks: there is no module 'no_such_module'" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_a_runner_that_could_not_connect_is_not_half_open() -> None:
    """After each of these refusals the runner says that it is not connected, and can be entered again."""
    runner = runner_at("redis://127.0.0.1:1/0")
    for turns in (1, 5, 50):
        entering = asyncio.create_task(runner.__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client
