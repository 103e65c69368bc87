"""From arq's parameters and ours to the parts of a worker."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from arq.cron import CronJob
from arq.worker import Function
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool

from ..durable import Durable
from ..isolation.isolation import Isolation
from ..job import Attempt
from ..middleware.breaker import Gatekeeper
from ..middleware.effects import Effects
from ..middleware.rate_limit import Limiter
from ..wire.bell import Bell
from ..wire.destinations import DestinationScripts
from ..wire.gates import GateScripts
from ..wire.keys import Keys, keys_of, keys_of_arq_queue
from ..wire.limits import LimitScripts
from ..wire.scripts import Execute
from .beside import Beside
from .envelope import ArqEnvelope, Envelope, JsonEnvelope
from .function import Runnable, resolve
from .joblog import ArqLog, JobLog, RunnerLog
from .nodes import Nodes
from .options import EngineOptions
from .running import Running
from .sharing import ServedQueue
from .telling import Telling


def signature_with(name: str, stock: type) -> inspect.Signature:
    """Give a constructor's signature plus one parameter: ``arq.worker.get_kwargs`` reads names off it."""
    signature = inspect.signature(stock)
    ours = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(parameters=[*signature.parameters.values(), ours])


class Configured(Protocol):
    """What arq's constructor leaves on a worker, as far as jobs are concerned."""

    functions: dict[str, Function | CronJob]
    queue_name: str
    max_jobs: int
    job_timeout_s: float
    max_tries: int
    keep_result_s: float
    keep_result_forever: bool
    log_results: bool
    job_serializer: Callable[[dict[str, Any]], bytes] | None
    job_deserializer: Callable[[bytes], dict[str, Any]] | None


def queues_of(options: EngineOptions, queue_name: str) -> list[ServedQueue]:
    """Give the queues to serve, each shard by itself: ours by name, or arq's one."""
    if not options.queues:
        return [ServedQueue(keys_of_arq_queue(queue_name), 1)]
    return [
        ServedQueue(keys_of(at, options.layout), weight)
        for name, weight in options.queues.items()
        for at in options.shards.of(name)
    ]


def envelope_of(worker: Configured, options: EngineOptions) -> Envelope:
    """Choose how payloads are read and results written."""
    if options.speaks_json:
        return JsonEnvelope(options.result_limit)
    return ArqEnvelope(worker.job_serializer, worker.job_deserializer)


def shared_by_jobs(
    worker: Configured,
    options: EngineOptions,
    execute: Execute,
    redis: Redis,
    queues: Sequence[ServedQueue],
    running: Running,
) -> dict[str, Any]:
    """Give what the ``ctx`` of every job holds; ``let_go`` ends it."""
    keys = {queue.keys.queue: queue.keys for queue in queues}
    return {
        "redis": redis,
        "effects": effects_of(options, execute, redis, running),
        "durable": durable_of(options, execute, keys),
        "limiter": limiter_of(options, execute),
        "gates": gatekeeper_of(queues, execute),
        "isolation": Isolation(options.isolation, threads=worker.max_jobs),
    }


def telling_more(shared: Mapping[str, Any]) -> Callable[[], Awaitable[None]]:
    """Give what tells of the calls of this worker's jobs, beside that it lives."""

    async def tell() -> None:
        await shared["gates"].tell_destinations()

    return tell


async def let_go(shared: Mapping[str, Any]) -> None:
    """End what the jobs of a worker shared; nothing runs any more."""
    if "gates" in shared:
        await shared["isolation"].close()
        await shared["gates"].settled()
        await shared["gates"].tell_destinations()
        await shared["effects"].close()


def limiter_of(options: EngineOptions, execute: Execute) -> Limiter:
    """Give what takes tokens of rate limits for this worker's jobs."""
    scripts = LimitScripts(execute, layout=options.layout)
    return Limiter(scripts, rates=options.rate_limits, for_s=options.lease_s)


def gatekeeper_of(queues: Sequence[ServedQueue], execute: Execute) -> Gatekeeper:
    """Give what asks and tells the gates of this worker's queues."""
    return Gatekeeper(
        {each.keys.queue: GateScripts(execute, each.keys) for each in queues},
        {each.keys.queue: each.keys.name for each in queues},
        {each.keys.queue: DestinationScripts(execute, each.keys) for each in queues},
    )


def effects_of(options: EngineOptions, execute: Execute, redis: Redis, running: Running) -> Effects:
    """Make what idempotency and locks of this worker's jobs share."""

    def carrier_of(attempt: Attempt) -> asyncio.Task[Any] | None:
        is_current = running.attempts.get(attempt.job_id) is attempt
        return running.tasks.get(attempt.job_id) if is_current else None

    return Effects(
        execute,
        Bell(cast("ConnectionPool", redis.connection_pool)),
        layout=options.layout,
        lease_s=options.lease_s,
        carrier_of=carrier_of,
    )


def durable_of(options: EngineOptions, execute: Execute, keys: Mapping[str, Keys]) -> Durable:
    """Make what the durable steps of this worker's jobs share."""
    return Durable(execute, keys, limit=options.steps_limit, lease_s=options.lease_s)


def nodes_of(
    options: EngineOptions,
    execute: Execute,
    queues: Mapping[str, Keys],
    on_changed: Callable[[list[bytes]], None],
) -> Nodes | None:
    """Make what sees to nodes of workflows; None for payloads that cannot be any."""
    if not options.speaks_json:
        return None
    return Nodes(
        execute, options.layout, list(queues.values()), lambda keys: on_changed([keys.queue.encode()])
    )


def with_nodes(beside: Sequence[Beside], nodes: Nodes | None) -> Sequence[Beside]:
    """Give what runs beside a worker, in burst mode too where it sees to nodes of workflows."""
    return beside if nodes is None else (*beside, nodes)


def log_of(worker: Configured, options: EngineOptions, name: str, queues: Sequence[ServedQueue]) -> JobLog:
    """Choose what is logged of jobs; events are told beside it."""
    log = RunnerLog() if options.speaks_json else ArqLog(log_results=worker.log_results)
    return Telling(log, name, {queue.keys.queue: queue.keys.name for queue in queues})


def default_keep_ms(worker: Configured) -> int:
    """Give how long results are kept where a function does not say; -1 for ever, 0 not at all."""
    return -1 if worker.keep_result_forever else round((worker.keep_result_s or 0) * 1000)


def runnables_of(
    worker: Configured, options: EngineOptions, *, on_stuck: Callable[[Attempt], None]
) -> Mapping[str, Runnable]:
    """Resolve every name this worker knows."""

    def keep_ms(function: Function | CronJob) -> int:
        forever = function.keep_result_forever
        if worker.keep_result_forever if forever is None else forever:
            return -1
        seconds = worker.keep_result_s if function.keep_result_s is None else function.keep_result_s
        return round((seconds or 0) * 1000)

    return {
        name: resolve(
            function,
            around=options.middleware,
            default_timeout_s=worker.job_timeout_s,
            default_max_tries=worker.max_tries,
            keep_result_ms=keep_ms(function),
            stuck_after_s=options.stuck_after_s,
            on_stuck=on_stuck,
        )
        for name, function in worker.functions.items()
    }
