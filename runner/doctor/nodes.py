"""The masters of a cluster, each asked by itself."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ..client import Client
from ..settings import RedisGroup
from ..wire.cluster import ClusterLink
from ..wire.connecting import ClusterPool, make_pool
from ..wire.scripts import Execute


@contextlib.asynccontextmanager
async def masters_of(url: str, settings: RedisGroup) -> AsyncGenerator[Mapping[str, Execute]]:
    """Give what sends a command to each node that serves slots, by ``host:port``; none of a single server."""
    pool: Any = make_pool(url, settings)
    if not isinstance(pool, ClusterPool):
        yield {}
        return
    link = ClusterLink(pool, timeout_s=settings.timeout)
    clients: dict[str, Client] = {}
    try:
        await link.execute("PING")
        for place in sorted(link.places):
            name = f"{place[0]}:{place[1]}"
            clients[name] = Client(pool.at(place), address=name)
        yield {name: client.execute for name, client in clients.items()}
    finally:
        await asyncio.gather(link.close(), *(client.close() for client in clients.values()))
