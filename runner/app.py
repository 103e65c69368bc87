"""The composition root: a Runner knows settings and tasks, and makes the client and the worker out of them."""

import asyncio
import contextlib
import importlib
import sys
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from redis.asyncio import ConnectionPool

from . import local_server
from .client import Bulk, Client, Job
from .engine.worker import Worker
from .errors import InvalidTask, RunnerError, SettingsError
from .settings import Settings, load_settings
from .settings.masking import masked_text
from .registry import Registry
from .tasks import Call, Task
from .worker_settings import worker_parameters

P = ParamSpec("P")
R = TypeVar("R")


class Runner:
    """Enqueues jobs, and runs workers for them.

        runner = Runner.from_settings()          # reads settings.toml, no other I/O
        async with runner:                       # client
            job = await runner.enqueue(send_invoice, "o-17")
            await job.result(timeout=5)

    Args:
        settings: None for the defaults.
        tasks: known beside those of the modules that ``settings.tasks`` names.
    """

    def __init__(self, settings: Settings | None = None, *, tasks: Iterable[Task[..., Any]] = ()) -> None:
        self.settings = settings or Settings()
        self._given = tuple(tasks)
        self._registry: Registry | None = None
        self._client: Client | None = None
        self._server: local_server.LocalServer | None = None
        self._users = 0

    @classmethod
    def from_settings(cls, path: Path | None = None, *, tasks: Iterable[Task[..., Any]] = ()) -> Self:
        """Make a Runner from settings.toml, secrets and environment.

        Raises:
            SettingsError: one line for each thing that is wrong.
        """
        return cls(load_settings(path), tasks=tasks)

    # -- client -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Connect; entering again inside shares the connection."""
        self._users += 1
        if self._client is None:
            url = await asyncio.to_thread(self.server_url)
            self._client = make_client(url, self.settings)
            await self._client.ping()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if self._users == 0 and self._client is not None:
            client, self._client = self._client, None
            await client.close()
            await asyncio.to_thread(self.detach)

    @property
    def client(self) -> Client:
        """The connected client.

        Raises:
            RunnerError: not inside ``async with runner``.
        """
        if self._client is None:
            msg = "the runner is not connected: use it inside 'async with runner:' or as your app's lifespan"
            raise RunnerError(msg)
        return self._client

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Make a job of a call; see ``Client.enqueue``."""
        return await self.client.enqueue(task, *args, **kwargs)

    async def enqueue_many(
        self,
        calls: Iterable[Call[Any]] | AsyncIterable[Call[Any]],
        *,
        bulk_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Bulk:
        """Make jobs of many calls; see ``Client.enqueue_many``."""
        return await self.client.enqueue_many(calls, bulk_id=bulk_id, on_progress=on_progress)

    def job(self, job_id: str, *, queue: str = "default", task: Task[..., R] | None = None) -> Job[R]:
        """Make a handle on a job from its id."""
        return self.client.job(job_id, queue=queue, task=task)

    # -- tasks ------------------------------------------------------------------------------------------------

    @property
    def registry(self) -> Registry:
        """The tasks of the modules that ``settings.tasks`` names, imported at first use, and the given ones.

        Raises:
            InvalidTask: two tasks of one name.
            SettingsError: a module cannot be imported.
        """
        if self._registry is None:
            registry = Registry(self._given)
            for name in self.settings.tasks:
                registry.add_module(_import(name))
            self._registry = registry
        return self._registry

    # -- worker -----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def worker(self, *, queues: Sequence[str] = ()) -> AsyncIterator[Worker]:
        """Run a worker inside this event loop; at the end it finishes its jobs within the grace.

        Signals and logging stay the host's.

        Args:
            queues: only these of the queues in settings; empty for all.
        """
        async with self:
            url = await asyncio.to_thread(self.server_url)
            worker = Worker(**worker_parameters(self, url, queues=queues), handle_signals=False)
            serving = asyncio.create_task(worker.main())
            try:
                yield worker
            finally:
                await _finish(worker, self.settings.worker.grace)
                await worker.close()
                await asyncio.gather(serving, return_exceptions=True)

    # -- server -----------------------------------------------------------------------------------------------

    def server_url(self) -> str:
        """Give the server's address; with ``redis.url = "embedded"`` start or adopt the local server first."""
        redis = self.settings.redis
        if redis.url != "embedded":
            return redis.url
        if self._server is None:
            self._server = local_server.attach(redis.folder, appendfsync=redis.appendfsync)
        return self._server.url

    def detach(self) -> None:
        """Let go of the embedded server, if this process holds it."""
        server, self._server = self._server, None
        if server is not None:
            server.detach()


async def _finish(worker: Worker, grace_s: float) -> None:
    """Claim nothing more and let running jobs end, at most this long; ``close`` gives the rest back."""
    worker.allow_pick_jobs = False
    give_up_at = asyncio.get_running_loop().time() + grace_s
    while worker.tasks and (left := give_up_at - asyncio.get_running_loop().time()) > 0:
        await asyncio.wait(list(worker.tasks.values()), timeout=left)


def make_client(url: str, settings: Settings) -> Client:
    """Make a client for a server, by the settings."""
    pool: Any = ConnectionPool.from_url(url, socket_connect_timeout=settings.redis.connect_timeout)
    return Client(
        pool,
        layout=settings.redis.key_layout,
        address=masked_text(url),
        payload_limit=settings.limits.payload,
        timeout_s=settings.redis.timeout,
    )


def _import(name: str) -> Any:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not name.startswith(error.name):
            raise
        msg = f"tasks: there is no module '{name}' (looked in the current folder too); check the name in settings.toml"
        raise SettingsError(msg) from error
    except InvalidTask as error:
        msg = f"module '{name}': {error}"
        raise InvalidTask(msg) from error
