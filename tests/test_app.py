"""A Runner entered and left in every order, and a worker inside somebody else's loop."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from redis.asyncio import Redis

from runner import (
    Context,
    JobState,
    Runner,
    RunnerError,
    ServerUnreachable,
    Settings,
    SettingsError,
    UnsafeServer,
    task,
)
from runner.client import Client
from runner.client.making import make_client
from runner.local_server import LocalServer, attach
from runner.settings.model import RedisGroup, WorkerGroup
from runner.tasks import Task


@task
async def add(ctx: Context, a: int) -> int:
    return a + 1


def runner_at(url: str, *tasks: Task[..., Any], folder: Path | None = None, **worker: Any) -> Runner:
    redis = RedisGroup(url=url, **({} if folder is None else {"folder": folder}))
    return Runner(Settings(redis=redis, tasks=(), worker=WorkerGroup(**worker)), tasks=tasks or (add,))


def impatient(url: str, settings: Settings) -> Client:
    """Make a client that gives a server that is away no time."""
    client = make_client(url, settings)
    client._patience_s = 0.1
    return client


def is_held(folder: Path) -> bool:
    """Say whether some process, this one included, holds the embedded server of a folder."""
    import fcntl

    with (folder / "users.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


# -- entering and leaving ----------------------------------------------------------------------------


async def test_a_runner_outside_of_its_block_says_what_to_do(redis_url: str) -> None:
    """Nothing is connected before or after: the error says where to use it."""
    runner = runner_at(redis_url)
    for _ in range(2):
        with pytest.raises(RunnerError, match="inside 'async with runner:'"):
            await runner.enqueue(add, 1)
        async with runner:
            await runner.enqueue(add, 1)


async def test_entering_again_shares_the_connection(redis_url: str) -> None:
    """Inner blocks, and blocks of other coroutines at that moment, share one client until the last leaves."""
    runner = runner_at(redis_url)
    entered, leave = asyncio.Barrier(11), asyncio.Event()
    clients: set[int] = set()

    async def use() -> None:
        async with runner:
            clients.add(id(runner.client))
            await entered.wait()
            await leave.wait()

    users = [asyncio.create_task(use()) for _ in range(10)]
    async with runner:
        await entered.wait()
    assert (await runner.enqueue(add, 1)).disposition == "created"
    leave.set()
    await asyncio.gather(*users)
    assert len(clients) == 1
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client


def test_a_runner_serves_one_loop_after_another(redis_url: str) -> None:
    """The same Runner is used in several ``asyncio.run``, as in tests and scripts."""
    runner = runner_at(redis_url)

    async def use() -> str:
        async def enter() -> str:
            async with runner:
                return (await runner.enqueue(add, 1)).disposition

        return ",".join(await asyncio.gather(*(enter() for _ in range(5))))

    for _ in range(3):
        assert asyncio.run(use()) == ",".join(["created"] * 5)


async def test_entering_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server comes up and its first answer does not: it is let go, and entering works later."""
    runner = runner_at("embedded", folder=tmp_path / "r")

    async def refuse(_client: Any) -> None:
        raise ServerUnreachable("no answer")

    with monkeypatch.context() as broken:
        broken.setattr("runner.client.Client.ping", refuse)
        with pytest.raises(ServerUnreachable, match="no answer"):
            await runner.__aenter__()
    assert not is_held(tmp_path / "r")
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client
    async with runner:
        assert (await runner.enqueue(add, 1)).disposition == "created"
        assert is_held(tmp_path / "r")
    assert not is_held(tmp_path / "r")


async def test_cancelled_while_the_server_starts_it_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cancellation while a thread attaches to the server waits for it, so that its hold is not lost."""
    runner = runner_at("embedded", folder=tmp_path / "r")
    attaching, go_on = threading.Event(), threading.Event()

    def attach_slowly(*args: Any, **options: Any) -> LocalServer:
        attaching.set()
        go_on.wait()
        return attach(*args, **options)

    monkeypatch.setattr("runner.local_server.attach", attach_slowly)
    entering = asyncio.create_task(runner.__aenter__())
    await asyncio.to_thread(attaching.wait)
    for _ in range(2):
        entering.cancel()
        await asyncio.sleep(0)
    assert not entering.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not is_held(tmp_path / "r")


async def test_cancelled_while_leaving_it_is_closed_all_the_same(tmp_path: Path) -> None:
    """A cancellation in ``__aexit__`` comes out of it after everything is closed."""
    runner = runner_at("embedded", folder=tmp_path / "r")
    await runner.__aenter__()
    leaving = asyncio.create_task(runner.__aexit__(None, None, None))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert not is_held(tmp_path / "r")


async def test_one_that_cannot_enter_does_not_take_the_others_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two enter at once and the first is cancelled: the second connects for itself."""
    runner = runner_at("embedded", folder=tmp_path / "r")
    first, second = asyncio.create_task(runner.__aenter__()), asyncio.create_task(runner.__aenter__())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert (await runner.enqueue(add, 1)).disposition == "created"
    await runner.__aexit__(None, None, None)
    assert not is_held(tmp_path / "r")


# -- a worker inside ---------------------------------------------------------------------------------


async def test_an_embedded_worker_finishes_before_its_block_ends(redis_url: str, wait_until: Any) -> None:
    """Leaving lets running jobs end within the grace; what was not begun stays on the server."""
    began, ran = list[int](), list[int]()

    @task
    async def work(ctx: Context, number: int) -> int:
        began.append(number)
        await wait_until(lambda: not worker.is_claiming, "the block is left")
        ran.append(number)
        return number

    runner = runner_at(redis_url, work, max_jobs=2)
    async with runner:
        async with runner.worker() as worker:
            jobs = [await runner.enqueue(work, number) for number in range(20)]
            await wait_until(lambda: len(began) == 2, "all slots are taken")
        done = [await job.status() for job in jobs]
        assert (set(began), len(ran)) == (set(ran), 2)
        assert done.count(JobState.SUCCEEDED) == 2
        assert done.count(JobState.READY) == 18
        assert {(await job.info()).attempts for job in jobs} == {0, 1}


async def test_what_does_not_end_within_the_grace_is_given_back(redis_url: str) -> None:
    """A job that outlasts the grace is cancelled and ready again, with no attempt spent."""
    running = asyncio.Event()

    @task
    async def work(ctx: Context) -> None:
        running.set()
        await asyncio.Event().wait()

    runner = runner_at(redis_url, work, grace=0.05)
    async with runner:
        async with runner.worker():
            job = await runner.enqueue(work)
            await running.wait()
        info = await job.info()
    assert (info.state, info.attempts) == (JobState.READY, 0)


async def test_a_cancelled_host_ends_the_grace_and_loses_nothing(redis_url: str) -> None:
    """The host is cancelled, and again during the grace: the job is given back before the loop goes on."""
    running, serving = asyncio.Event(), asyncio.Event()

    @task
    async def work(ctx: Context) -> None:
        running.set()
        await asyncio.Event().wait()

    runner = runner_at(redis_url, work, grace=3600)

    async def host() -> None:
        async with runner.worker():
            serving.set()
            await asyncio.Event().wait()

    hosting = asyncio.create_task(host())
    await serving.wait()
    async with runner:
        job = await runner.enqueue(work)
        await running.wait()
        hosting.cancel()
        while hosting.cancelling() < 2:
            await asyncio.sleep(0.01)
            hosting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hosting
        info = await job.info()
    assert (info.state, info.attempts) == (JobState.READY, 0)


async def test_an_embedded_worker_leaves_signals_and_logging_to_the_host(redis_url: str) -> None:
    """Signal handlers, log levels, handlers and propagation are the same before, during and after."""

    def handlers() -> list[Any]:
        return [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)]

    def logs() -> list[Any]:
        loggers = [logging.getLogger(name) for name in ("", "runner", "arq", "arq.worker")]
        return [(each.level, list(each.handlers), each.propagate, each.disabled) for each in loggers]

    before = handlers(), logs()
    runner = runner_at(redis_url)
    async with runner.worker():
        assert (handlers(), logs()) == before
        assert await (await runner.enqueue(add, 1)).result(30) == 2
    assert (handlers(), logs()) == before


async def test_a_worker_that_cannot_start_says_so_where_it_is_entered(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server, an evicting one, no tasks, no such queue: the block is not entered, nothing stays open."""
    nowhere = runner_at("redis://127.0.0.1:1/0")
    monkeypatch.setattr("runner.app.make_client", impatient)
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:1"):
        async with nowhere.worker():
            pytest.fail("entered")
    runner = runner_at(redis_url)
    with pytest.raises(SettingsError, match=r"worker\.queues has no 'defualt'; did you mean default\?"):
        async with runner.worker(queues=["defualt"]):
            pytest.fail("entered")
    empty = Runner(runner.settings)
    with pytest.raises(SettingsError, match="tasks: there is none to run"):
        async with empty.worker():
            pytest.fail("entered")
    async with Redis.from_url(redis_url) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(UnsafeServer, match="maxmemory-policy is 'allkeys-lru'"):
                async with runner.worker():
                    pytest.fail("entered")
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client


async def test_a_worker_that_stops_by_itself_is_heard_of(
    redis_url: str, caplog: pytest.LogCaptureFixture, wait_until: Any
) -> None:
    """Its error is logged when it happens and raised where the block ends."""

    async def break_down() -> None:
        raise RuntimeError("the engine broke")

    async def host() -> None:
        async with runner_at(redis_url).worker() as worker:
            worker.heart_beat = break_down
            worker._serving.next_beat = 0.0
            worker._wake.set()
            await wait_until(lambda: "the embedded worker has stopped" in caplog.text, "it is logged")

    with pytest.raises(RuntimeError, match="the engine broke"):
        await host()
    assert "the embedded worker has stopped: RuntimeError: the engine broke" in caplog.text


async def test_a_worker_serves_only_the_queues_asked_for(redis_url: str) -> None:
    """``queues=`` narrows what settings list: other queues' jobs wait for other workers."""
    runner = runner_at(redis_url)
    async with runner.worker(queues=["bulk"]):
        mine = await runner.enqueue(add.using(queue="bulk"), 1)
        other = await runner.enqueue(add, 1)
        assert await mine.result(30) == 2
        assert await other.status() == JobState.READY


# -- web apps ----------------------------------------------------------------------------------------


async def lifespan(app: Any) -> tuple[list[dict[str, Any]], Any]:
    """Drive an ASGI app's lifespan as a server does: startup, then shutdown when asked for."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: list[dict[str, Any]] = []
    running = asyncio.create_task(app({"type": "lifespan"}, incoming.get, _appender(sent)))
    incoming.put_nowait({"type": "lifespan.startup"})
    while not sent:
        await asyncio.sleep(0)

    async def shut_down() -> None:
        incoming.put_nowait({"type": "lifespan.shutdown"})
        await running

    return sent, shut_down


def _appender(sent: list[dict[str, Any]]) -> Callable[[dict[str, Any]], Any]:
    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    return send


def asgi(context: Callable[[Any], Any]) -> Callable[..., Any]:
    """An app that does with a lifespan context what Starlette does."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        async with context(app):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return app


@pytest.mark.parametrize("with_worker", [False, True])
async def test_a_lifespan_connects_for_the_life_of_an_app(redis_url: str, with_worker: bool) -> None:
    """``lifespan`` is a client, ``lifespan_with(worker=True)`` a client and a worker."""
    runner = runner_at(redis_url)
    sent, shut_down = await lifespan(
        asgi(runner.lifespan_with(worker=True) if with_worker else runner.lifespan)
    )
    job = await runner.enqueue(add, 1)
    if with_worker:
        assert await job.result(30) == 2
    await shut_down()
    assert [message["type"] for message in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client


async def test_cleanup_ctx_connects_for_the_life_of_an_aiohttp_app(redis_url: str) -> None:
    """An aiohttp app enqueues from a request; after its cleanup nothing is connected."""
    runner = runner_at(redis_url)

    async def order(_request: web.Request) -> web.Response:
        return web.Response(text=(await runner.enqueue(add, 1)).id)

    app = web.Application()
    app.router.add_get("/", order)
    app.cleanup_ctx.append(runner.cleanup_ctx)
    server = web.AppRunner(app)
    await server.setup()
    site = web.TCPSite(server, "127.0.0.1", 0)
    await site.start()
    host, port = server.addresses[0][:2]
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    async with Redis.from_url(redis_url) as redis:
        assert await redis.zscore("arq:queue", answer.rsplit("\r\n", 1)[-1]) is not None
    await server.cleanup()
    with pytest.raises(RunnerError, match="not connected"):
        assert runner.client


# -- tasks by settings -------------------------------------------------------------------------------


def test_modules_that_cannot_be_imported_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is not there, and one whose own code fails: a line that says what, and where in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop_tasks.py").write_text("import no_such_library_at_all\n")
    with pytest.raises(SettingsError, match="tasks: there is no module 'shop_taks'"):
        assert Runner(Settings(tasks=("shop_taks",))).registry
    where = (
        r"'shop_tasks' cannot be imported: ModuleNotFoundError: .*no_such_library_at_all.*shop_tasks.py:1\)"
    )
    with pytest.raises(SettingsError, match=where):
        assert Runner(Settings(tasks=("shop_tasks",))).registry


async def test_a_lifespan_takes_any_app(redis_url: str) -> None:
    """What the framework passes as its app is not looked at."""
    runner = runner_at(redis_url)
    async with runner.lifespan(object()):
        assert runner.client
