"""What ``arq runner.WorkerSettings`` and our own worker commands build a Worker from: settings, resolved."""

import asyncio
import atexit
import contextlib
import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import arq.worker
from arq.connections import RedisSettings

from .clock import SYSTEM_CLOCK
from .engine.function import function_of
from .engine.worker import EngineOptions, Worker
from .errors import SettingsError, UnsafeServer
from .http import build_client
from .logs import configure_logging
from .settings import Settings
from .wire import deserialize, serialize
from .wire.keys import keys_of

if TYPE_CHECKING:
    from .app import Runner

logger = logging.getLogger("runner")


def install() -> type:
    """Resolve settings.toml into a class for ``arq``, whose command then builds our Worker.

    arq looks ``Worker`` up in ``arq.worker`` when it is called: that one name is bound to ours here, and nowhere else.
    """
    from .app import Runner

    runner = Runner.from_settings()
    configure_logging(runner.settings.logs)
    if runner.settings.worker.uvloop:
        use_uvloop()
    url = runner.server_url()
    atexit.register(runner.detach)
    parameters = worker_parameters(runner, url)
    arq.worker.Worker = Worker
    return type("WorkerSettings", (), parameters)


def worker_parameters(runner: "Runner", url: str, *, queues: Sequence[str] = ()) -> dict[str, Any]:
    """Give the named parameters of our Worker, by a runner's settings."""
    settings = runner.settings
    worker = settings.worker
    served = {name: weight for name, weight in worker.queues.items() if not queues or name in queues}
    if not served:
        msg = f"worker.queues: none of {', '.join(queues)} is there; it has {', '.join(worker.queues)}"
        raise SettingsError(msg)
    first = next(iter(served))
    return {
        "functions": [function_of(task, default_max_tries=worker.max_tries) for task in runner.registry],
        "queue_name": keys_of(first, settings.redis.key_layout).queue,
        "redis_settings": redis_settings(url, settings),
        "max_jobs": worker.max_jobs,
        "job_completion_wait": worker.grace,
        "keep_result": worker.keep_result,
        "max_tries": worker.max_tries,
        "health_check_interval": worker.health_check_interval,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "allow_abort_jobs": True,
        "on_startup": _Startup(runner),
        "on_shutdown": _shut_down,
        "engine": EngineOptions(
            name=worker.name,
            queues=served,
            strict=worker.strict,
            layout=settings.redis.key_layout,
            lease_s=worker.lease,
            unknown_task_grace_s=worker.unknown_task_grace,
            safety_poll_s=worker.poll,
            server_timeout_s=settings.redis.timeout,
            speaks_json=True,
            result_limit=settings.limits.result,
            middleware=[_named(name) for name in settings.middleware],
            before_start=_Check(settings),
        ),
    }


def redis_settings(url: str, settings: Settings) -> RedisSettings:
    """Give a server's address in arq's form."""
    made = RedisSettings.from_dsn(url)
    made.conn_timeout = settings.redis.connect_timeout  # pyright: ignore[reportAttributeAccessIssue] - redis-py takes a float
    return made


def use_uvloop() -> None:
    """Make uvloop this thread's loop, when it is installed and no loop runs yet."""
    try:
        import uvloop
    except ImportError:
        return
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return
    asyncio.set_event_loop(uvloop.new_event_loop())


class _Startup:
    """Puts into ``ctx`` what our tasks need: the shared HTTP client, settings, and a client to enqueue with."""

    def __init__(self, runner: "Runner") -> None:
        self._runner = runner

    async def __call__(self, ctx: dict[str, Any]) -> None:
        webhooks = self._runner.settings.webhooks
        ctx["settings"] = self._runner.settings
        ctx["clock"] = SYSTEM_CLOCK
        ctx["runner"] = await self._runner.__aenter__()
        ctx["http"] = build_client(
            allow=webhooks.allow, connect_timeout_s=webhooks.connect_timeout, max_connections=webhooks.max_connections
        )


async def _shut_down(ctx: dict[str, Any]) -> None:
    if (http := ctx.pop("http", None)) is not None:
        await http.aclose()
    if (runner := ctx.pop("runner", None)) is not None:
        await runner.__aexit__(None, None, None)


class _Check:
    """Refuses a server that may lose jobs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, redis: Any) -> None:
        """Check version and eviction.

        Raises:
            UnsafeServer: says what to change.
        """
        version = (await redis.info("server")).get("redis_version", "0")
        if int(str(version).split(".", 1)[0]) < 7:
            msg = f"the server says it is version {version}; at least 7.0 is needed (Redis or Valkey)"
            raise UnsafeServer(msg)
        try:
            policy = (await redis.config_get("maxmemory-policy")).get("maxmemory-policy", "")
        except arq.worker.ResponseError:
            logger.info("the server does not let us see maxmemory-policy: not checked")
            return
        if policy != "noeviction" and not self._settings.redis.allow_unsafe_server:
            msg = (
                f"the server's maxmemory-policy is '{policy}': it may delete waiting jobs. "
                "Set it to noeviction, or redis.allow_unsafe_server = true to run all the same"
            )
            raise UnsafeServer(msg)


def _named(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(__import__(module, fromlist=[name]), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"middleware: '{dotted}' cannot be imported: {error}"
        raise SettingsError(msg) from error
    return found() if isinstance(found, type) else found


def resolve_or_exit() -> type:
    """As ``install``, for arq's command: errors of ours are one text on stderr and an exit code, not a traceback."""
    from .errors import RunnerError

    try:
        return install()
    except RunnerError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the person at the keyboard reads it
        raise SystemExit(2) from None
