"""From a runner's settings and tasks to the named parameters of our Worker."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from arq.connections import RedisSettings

from .clock import SYSTEM_CLOCK
from .dead_letters import Retention
from .engine.beside import Beside
from .engine.function import function_of
from .engine.options import EngineOptions
from .errors import SettingsError
from .health.endpoint import Endpoint
from .http import build_client
from .isolation.isolation import IsolationOptions
from .lane_rules import rules_of
from .middleware.chain import Middleware
from .middleware.tracing import Tracing
from .schedules.beside import Ticking
from .schedules.kept import Kept
from .server_check import ServerCheck
from .settings import DeadGroup, Settings
from .settings.addresses import parse_address
from .wire import deserialize, serialize
from .wire.connecting import make_pool
from .wire.keys import keys_of

if TYPE_CHECKING:
    from .app import Runner


def worker_parameters(runner: "Runner", url: str, *, queues: Sequence[str] = ()) -> dict[str, Any]:
    """Give the named parameters of our Worker, by a runner's settings.

    Args:
        runner: its settings and tasks are taken; it is entered when the worker starts.
        url: of the server.
        queues: only these of the queues in settings; empty for all.

    Raises:
        SettingsError: no such queue, no tasks, a middleware that cannot be imported, or a task whose effects
            are forgotten before its dead letters are.
    """
    settings = runner.settings
    worker = settings.worker
    served = _served(worker.queues, queues)
    runner.registry.check_ttls(settings.dead.keep)
    tasks = list(runner.registry)
    if not tasks:
        cure = "name their modules in settings.toml, tasks = […], or pass Runner(tasks=[…])"
        msg = f"tasks: there is none to run; {cure}"
        raise SettingsError(msg)
    return {
        "functions": [function_of(task, default_max_tries=worker.max_tries) for task in tasks],
        "queue_name": keys_of(next(iter(served)), settings.redis.key_layout).queue,
        "redis_settings": redis_settings(url, settings),
        "max_jobs": worker.max_jobs,
        "job_completion_wait": worker.grace,
        "keep_result": worker.keep_result,
        "max_tries": worker.max_tries,
        "health_check_interval": worker.health_check_interval,
        "job_serializer": serialize,
        "job_deserializer": deserialize,
        "allow_abort_jobs": True,
        "on_startup": _Startup(runner, tuple(served)),
        "on_shutdown": _shut_down,
        "engine": replace(_options(runner, url, served), rules=rules_of(settings, tasks, served)),
    }


def redis_settings(url: str, settings: Settings) -> RedisSettings:
    """Give a server's address in arq's form, for arq's own command; our Worker has a pool of ours."""
    address = parse_address(url)
    made = RedisSettings.from_dsn(address.single)
    if address.master:
        made.host, made.sentinel, made.sentinel_master = list(address.places), True, address.master
    made.conn_timeout = settings.redis.connect_timeout  # pyright: ignore[reportAttributeAccessIssue] - redis-py takes a float
    return made


def _served(known: dict[str, int] | Any, wanted: Sequence[str]) -> dict[str, int]:
    for name in wanted:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            msg = f"worker.queues has no '{name}'; {hint}"
            raise SettingsError(msg)
    return {name: weight for name, weight in known.items() if not wanted or name in wanted}


def _ticking(runner: "Runner", served: Iterable[str]) -> Ticking:
    """Tick the schedules whose jobs go to the queues served."""
    keys = {name: keys_of(name, runner.settings.redis.key_layout) for name in served}
    declared = [Kept(each, keys[each.queue]) for each in runner.declared_schedules if each.queue in keys]
    return Ticking(declared, list(keys.values()))


def _beside(runner: "Runner", served: Iterable[str]) -> list[Beside]:
    """Give what runs beside serving: schedules, and the port when settings name one."""
    health = runner.settings.health
    beside: list[Beside] = [_ticking(runner, served)]
    if health.port:
        _ = runner.health.meter  # says now when its library is not installed
        beside.append(Endpoint(runner.health, host=health.host, port=health.port))
    return beside


def _options(runner: "Runner", url: str, served: dict[str, int]) -> EngineOptions:
    settings = runner.settings
    worker = settings.worker
    return EngineOptions(
        name=worker.name,
        make_pool=partial(make_pool, url, settings.redis),
        queues=served,
        strict=worker.strict,
        layout=settings.redis.key_layout,
        shards=settings.shards,
        lease_s=worker.lease,
        unknown_task_grace_s=worker.unknown_task_grace,
        safety_poll_s=worker.poll,
        server_timeout_s=settings.redis.timeout,
        speaks_json=True,
        result_limit=settings.limits.result,
        steps_limit=settings.limits.steps,
        blocked_after_s=worker.blocked_after,
        isolation=IsolationOptions(
            processes=worker.isolation_processes,
            memory=worker.isolation_memory,
            recycle_jobs=worker.isolation_jobs,
        ),
        rate_limits={name: table.as_rate() for name, table in settings.rate_limits.items()},
        middleware=[*_tracing(settings), *(_named(name) for name in settings.middleware)],
        retention=_retention(settings.dead),
        beside=_beside(runner, served),
        watch=runner.health.watch,
        before_start=ServerCheck(
            allow_unsafe=settings.redis.allow_unsafe_server, durable=settings.durable_for(served)
        ),
    )


def _tracing(settings: Settings) -> list[Middleware]:
    return [Tracing()] if settings.traces.enabled else []


def _retention(dead: DeadGroup) -> Retention:
    return Retention(dead.keep, dead.max_count, dead.max_bytes, frozenset(dead.keep_forever))


class _Startup:
    """Puts into ``ctx`` what tasks need: the shared HTTP client, settings, and a client to enqueue with."""

    def __init__(self, runner: "Runner", queues: tuple[str, ...]) -> None:
        self._runner = runner
        self._queues = queues

    async def __call__(self, ctx: dict[str, Any]) -> None:
        settings = self._runner.settings
        webhooks = settings.webhooks
        ctx["settings"] = settings
        ctx["clock"] = SYSTEM_CLOCK
        ctx["runner"] = await self._runner.__aenter__()
        served = [keys_of(at, settings.redis.key_layout) for at in settings.shards.all(self._queues)]
        ctx["report_progress"] = self._runner.client.progress(served)
        ctx["http"] = build_client(
            allow=webhooks.allow,
            connect_timeout_s=webhooks.connect_timeout,
            max_connections=webhooks.max_connections,
        )


async def _shut_down(ctx: dict[str, Any]) -> None:
    try:
        if (http := ctx.pop("http", None)) is not None:
            await http.aclose()
    finally:
        if (runner := ctx.pop("runner", None)) is not None:
            await runner.__aexit__(None, None, None)


def _named(dotted: str) -> Any:
    module, _, name = dotted.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"middleware: '{dotted}' cannot be imported: {error}"
        raise SettingsError(msg) from error
    return found() if isinstance(found, type) else found
