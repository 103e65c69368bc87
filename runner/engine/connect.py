"""The worker's first words with its server: retried as arq's settings say, then one clear error."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from arq.connections import ArqRedis, RedisSettings, create_pool, log_redis_info
from redis.asyncio import Redis

from ..client.patience import patiently
from ..errors import ServerUnreachable
from ..wire.connecting import ClusterPool
from ..wire.keys import Keys
from ..wire.passing import BROKEN
from ..wire.scripts import Execute, Scripts
from .cluster_redis import ClusterRedis
from .options import EngineOptions

logger = logging.getLogger("arq.worker")

GREET_S = 15.0
"""A server that goes away right after the first connection, as in a restart, is waited for so long."""

Rules = Mapping[str, Mapping[str, str]]
"""Rules of lanes and gates, by the queue's name."""


class Addressed(Protocol):
    """What arq's constructor leaves on a worker, as far as the server is concerned."""

    redis_settings: RedisSettings | None
    queue_name: str
    expires_extra_ms: int
    job_serializer: Callable[[dict[str, Any]], bytes] | None
    job_deserializer: Callable[[bytes], dict[str, Any]] | None
    options: EngineOptions


async def connect(worker: Addressed) -> ArqRedis:
    """Give a pool to the worker's server.

    Raises:
        ServerUnreachable: no answer after all tries; arq's own settings get redis-py's error instead.
    """
    given: dict[str, Any] = {
        "job_deserializer": worker.job_deserializer,
        "job_serializer": worker.job_serializer,
        "default_queue_name": worker.queue_name,
        "expires_extra_ms": worker.expires_extra_ms,
    }
    try:
        if worker.options.make_pool is None:
            return await create_pool(worker.redis_settings, **given)
        return await _connected(worker, given)
    except BROKEN as error:
        if not worker.options.speaks_json:
            raise
        at = worker.redis_settings
        where = at and (at.unix_socket_path or f"{at.host}:{at.port}")
        msg = f"no server at {where} ({error}); is it running, is redis.url right?"
        raise ServerUnreachable(msg) from error


async def _connected(worker: Addressed, given: dict[str, Any]) -> ArqRedis:
    """Do what arq's ``create_pool`` does, with connections of ours."""
    assert worker.options.make_pool is not None  # noqa: S101 - its one caller looked
    pool = worker.options.make_pool()
    if isinstance(pool, ClusterPool):
        redis = ClusterRedis(pool, timeout_s=worker.options.server_timeout_s, **given)
    else:
        redis = ArqRedis(pool, **given)
    limits = worker.redis_settings or RedisSettings()
    left = limits.conn_retries
    while True:
        try:
            await redis.ping()
        except BROKEN as error:
            if not left:
                await redis.aclose(close_connection_pool=True)
                raise
            logger.warning("redis connection error: %s, %d retries remaining...", error, left)
            left -= 1
            await asyncio.sleep(limits.conn_retry_delay)
        else:
            return redis


async def _servers_of(redis: ArqRedis) -> Sequence[Redis]:
    """Give the servers behind a worker's client: each node of a cluster, or the one."""
    return await redis.servers() if isinstance(redis, ClusterRedis) else [redis]


async def _log_server(redis: ArqRedis) -> None:
    """Log where we are, as arq does."""
    if isinstance(redis, ClusterRedis):
        logger.info("a cluster of %d nodes", len(await redis.servers()))
    else:
        await log_redis_info(redis, logger.info)


async def greet(pool: ArqRedis, options: EngineOptions, queues: Iterable[Keys], execute: Execute) -> None:
    """Look at the server, check that it is safe, and tell it the rules of lanes, before the first claim.

    Raises:
        ServerError: it is away for longer than that, or refuses.
    """

    async def once() -> None:
        await _log_server(pool)
        if options.before_start is not None:
            for server in await _servers_of(pool):
                await options.before_start(server)
        for keys in queues:
            await declare_rules(keys, options.rules, execute)

    await patiently(once, for_s=GREET_S, address="redis.url")


async def declare_rules(keys: Keys, rules: Rules, execute: Execute) -> None:
    """Write down what settings and tasks say of the lanes and gates of a queue."""
    if mine := rules.get(keys.name):
        await Scripts(execute).set_rules(keys, mine)


async def restore_rules(keys: Keys, rules: Rules, execute: Execute) -> None:
    """Write those that are gone, as after FLUSHALL; what another release wrote stays in force."""
    mine = {name: value for name, value in rules.get(keys.name, {}).items() if value}
    found = await execute("HMGET", keys.rules, *mine) if mine else []
    if gone := [name for name, value in zip(mine, found, strict=True) if value is None]:
        logger.warning("rules of queue %s were gone, and are written again: %s", keys.name, ", ".join(gone))
        await Scripts(execute).set_rules(keys, {name: mine[name] for name in gone})
