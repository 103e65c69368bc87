"""From settings to a client."""

from ..settings import Settings
from ..settings.masking import masked_text
from ..wire.connecting import make_pool
from .bound import Bound
from .client import Client
from .traced import TracedClient


def make_client(url: str, settings: Settings) -> Client:
    """Make a client for a server, by the settings; no I/O."""
    kind = TracedClient if settings.traces.enabled else Client
    return kind(
        make_pool(url, settings.redis),
        layout=settings.redis.key_layout,
        address=masked_text(url),
        payload_limit=settings.limits.payload,
        steps_limit=settings.limits.steps,
        timeout_s=settings.redis.timeout,
        shards=settings.shards,
        bounds={
            name: Bound(queue.max_waiting or 0, queue.when_full, queue.wait, queue.max_per_tenant or 0)
            for name, queue in settings.queues.items()
            if queue.max_waiting or queue.max_per_tenant
        },
    )
