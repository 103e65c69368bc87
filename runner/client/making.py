"""From settings to a client."""

from typing import Any

from redis.asyncio import ConnectionPool

from ..settings import Settings
from ..settings.masking import masked_text
from .client import Client
from .intake import Bound
from .traced import TracedClient


def make_client(url: str, settings: Settings) -> Client:
    """Make a client for a server, by the settings; no I/O."""
    pool: Any = ConnectionPool.from_url(url, socket_connect_timeout=settings.redis.connect_timeout)
    kind = TracedClient if settings.traces.enabled else Client
    return kind(
        pool,
        layout=settings.redis.key_layout,
        address=masked_text(url),
        payload_limit=settings.limits.payload,
        steps_limit=settings.limits.steps,
        timeout_s=settings.redis.timeout,
        bounds={
            name: Bound(queue.max_waiting, queue.when_full, queue.wait)
            for name, queue in settings.queues.items()
            if queue.max_waiting is not None
        },
    )
