"""The worker's first connection: retried as arq's settings say, then one clear error."""

from collections.abc import Callable
from typing import Any, Protocol

from arq.connections import ArqRedis, RedisSettings, create_pool
from redis.exceptions import RedisError

from ..errors import ServerUnreachable
from .options import EngineOptions


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
    try:
        return await create_pool(
            worker.redis_settings,
            job_deserializer=worker.job_deserializer,
            job_serializer=worker.job_serializer,
            default_queue_name=worker.queue_name,
            expires_extra_ms=worker.expires_extra_ms,
        )
    except (TimeoutError, RedisError, OSError) as error:
        if not worker.options.speaks_json:
            raise
        at = worker.redis_settings
        where = at and (at.unix_socket_path or f"{at.host}:{at.port}")
        msg = f"no server at {where} ({error}); is it running, is redis.url right?"
        raise ServerUnreachable(msg) from error
