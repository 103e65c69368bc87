"""The composition root: a Runner knows settings and tasks, and makes client and worker out of them."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from . import local_server
from .client import Bulk, Client, Job
from .client.bulk import Calls
from .client.making import make_client
from .embedded_worker import embedded_worker
from .engine.worker import Worker
from .errors import RunnerError
from .mounting import Mounting
from .registry import Registry
from .schedules.collect import collect
from .schedules.schedule import Schedule
from .settings import Settings, load_settings
from .task_modules import task_module
from .tasks import Task
from .uncancelled import in_thread, to_the_end
from .worker_parameters import worker_parameters

if TYPE_CHECKING:
    from aiohttp import web

P = ParamSpec("P")
R = TypeVar("R")

Lifespan = Callable[[Any], contextlib.AbstractAsyncContextManager[None]]
CleanupCtx = Callable[["web.Application"], AsyncGenerator[None]]


class Runner(Mounting):
    """Enqueues jobs, and runs workers for them.

        runner = Runner.from_settings()          # reads settings.toml, no other I/O
        async with runner:                       # client
            job = await runner.enqueue(send_invoice, "o-17")
            await job.result(timeout=5)

    Args:
        settings: None for the defaults.
        tasks: known beside those of the modules that ``settings.tasks`` names.
        schedules: beside those of the modules and of settings.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        tasks: Iterable[Task[..., Any]] = (),
        schedules: Iterable[Schedule] = (),
    ) -> None:
        self.settings = settings or Settings()
        self._given = tuple(tasks)
        self._given_schedules = tuple(schedules)
        self._registry: Registry | None = None
        self._modules: list[ModuleType] = []
        self._declared: list[Schedule] | None = None
        self._client: Client | None = None
        self._server: local_server.LocalServer | None = None
        self._users = 0
        self._turn = asyncio.Lock()

    @classmethod
    def from_settings(cls, path: Path | None = None, *, tasks: Iterable[Task[..., Any]] = ()) -> Self:
        """Make a Runner from settings.toml, secrets and environment.

        Raises:
            SettingsError: one line for each thing that is wrong.
        """
        return cls(load_settings(path), tasks=tasks)

    # -- client -----------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Connect; entering again inside shares the connection.

        Raises:
            ServerUnreachable: there is no server at ``redis.url``.
            ServerError: it refuses, or the embedded one does not start.
        """
        if self._users == 0 and not self._turn.locked():
            self._turn = asyncio.Lock()  # one that was waited for belongs to the loop of then
        self._users += 1
        try:
            async with self._turn:
                if self._client is None:
                    self._client = await self._connect()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _connect(self) -> Client:
        url = await in_thread(self.server_url)
        client = make_client(url, self.settings)
        try:
            await client.ping()
        except BaseException:
            await to_the_end(client.close())
            raise
        return client

    async def _leave(self) -> None:
        self._users -= 1
        if self._users == 0:
            await to_the_end(self._disconnect())

    async def _disconnect(self) -> None:
        async with self._turn:
            if self._users:  # somebody came in meanwhile
                return
            await self._close_outboxes()
            client, self._client = self._client, None
            self.health.stop()
            try:
                if client is not None:
                    await client.close()
            finally:
                await in_thread(self.detach)

    @property
    def client(self) -> Client:
        """The connected client.

        Raises:
            RunnerError: not inside ``async with runner``.
        """
        if self._client is None:
            msg = (
                "the runner is not connected: use it inside 'async with runner:' or as your app's lifespan "
                "(the lifespan of a mounted app does not run)"
            )
            raise RunnerError(msg)
        return self._client

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Make a job of a call; see ``Client.enqueue``."""
        return await self.client.enqueue(task, *args, **kwargs)

    async def enqueue_many(
        self,
        calls: Calls,
        *,
        bulk_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Bulk:
        """Make jobs of many calls; see ``Client.enqueue_many``."""
        return await self.client.enqueue_many(calls, bulk_id=bulk_id, on_progress=on_progress)

    def job(self, job_id: str, *, queue: str = "default", task: Task[..., R] | None = None) -> Job[R]:
        """Make a handle on a job from its id."""
        return self.client.job(job_id, queue=queue, task=task)

    async def signal(
        self, job_id: str, name: str, data: Any = None, *, queue: str = "default", key: str | None = None
    ) -> None:
        """Hand data to a job that waits for it, or will; see ``Job.signal``."""
        await self.job(job_id, queue=queue).signal(name, data, key=key)

    # -- tasks ------------------------------------------------------------------------------------------

    @property
    def registry(self) -> Registry:
        """The given tasks and those of the modules in ``settings.tasks``, imported at first use.

        Raises:
            InvalidTask: two tasks of one name.
            SettingsError: a module cannot be imported.
        """
        if self._registry is None:
            registry = Registry(self._given)
            self._modules = [task_module(name) for name in self.settings.tasks]
            for module in self._modules:
                registry.add_module(module)
            self._registry = registry
        return self._registry

    @property
    def declared_schedules(self) -> list[Schedule]:
        """The given schedules, those of the task modules (``schedules = […]``) and those of settings.

        Raises:
            SettingsError: a line for each thing that is wrong with any of them.
        """
        if self._declared is None:
            registry = self.registry
            self._declared = collect(registry, self._modules, self.settings.schedules, self._given_schedules)
        return self._declared

    # -- inside an app ----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def worker(self, *, queues: Sequence[str] = ()) -> AsyncGenerator[Worker]:
        """Run a worker inside this event loop; at the end it finishes its jobs within the grace.

        Signals and logging stay the host's. A cancellation during the grace ends it; what still runs is given
        back all the same.

        Args:
            queues: only these of the queues in settings; empty for all.

        Raises:
            RunnerError: it cannot start: no server, one that may lose jobs, no tasks, an unknown queue.
        """
        async with self:
            parameters = worker_parameters(self, self.server_url(), queues=queues)
            async with embedded_worker(parameters, grace_s=self.settings.worker.grace) as worker:
                yield worker

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: Any) -> AsyncGenerator[None]:
        """Connect for the life of an app: ``FastAPI(lifespan=runner.lifespan)``, Starlette likewise.

        An app that has a lifespan already enters the runner in it: ``async with runner:``.
        """
        async with self:
            yield

    def lifespan_with(self, *, worker: bool = False, queues: Sequence[str] = ()) -> Lifespan:
        """Give a lifespan as above, with a worker inside the app if asked for, of these queues."""

        @contextlib.asynccontextmanager
        async def lifespan(_app: Any) -> AsyncGenerator[None]:
            async with self.worker(queues=queues) if worker else self:
                yield

        return lifespan

    async def depends(self) -> "Runner":
        """Give this runner, connected: ``Annotated[Runner, Depends(runner.depends)]`` in FastAPI.

        Raises:
            RunnerError: it is not connected: the lifespan is missing, or belongs to an app that is mounted.
        """
        _ = self.client
        return self

    @functools.cached_property
    def app_key(self) -> "web.AppKey[Runner]":
        """Under which an aiohttp app has this runner: ``request.app[runner.app_key]``."""
        from aiohttp import web

        return web.AppKey("runner", Runner)

    async def cleanup_ctx(self, app: "web.Application") -> AsyncGenerator[None]:
        """Connect for the life of an aiohttp app: ``app.cleanup_ctx.append(runner.cleanup_ctx)``."""
        async with self:
            app[self.app_key] = self
            yield

    def cleanup_ctx_with(self, *, worker: bool = False, queues: Sequence[str] = ()) -> CleanupCtx:
        """Give a cleanup context as above, with a worker inside the app if asked for, of these queues."""

        async def cleanup_ctx(app: "web.Application") -> AsyncGenerator[None]:
            async with self.lifespan_with(worker=worker, queues=queues)(app):
                app[self.app_key] = self
                yield

        return cleanup_ctx

    # -- server -----------------------------------------------------------------------------------------

    def server_url(self) -> str:
        """Give the server's address; with ``redis.url = "embedded"`` start or adopt the local one first."""
        redis = self.settings.redis
        if redis.url != "embedded":
            return redis.url
        if self._server is None:
            is_durable = self.settings.durable_for(self.settings.worker.queues)
            appendfsync = "always" if is_durable else redis.appendfsync
            self._server = local_server.attach(redis.folder, appendfsync=appendfsync)
        return self._server.url

    def detach(self) -> None:
        """Let go of the embedded server, if this process holds it."""
        server, self._server = self._server, None
        if server is not None:
            server.detach()
