"""What jobs find as ``ctx["redis"]`` where the servers are a cluster: one command at a time, to its node."""

import asyncio
from typing import Any, NoReturn

from arq.connections import ArqRedis
from redis.asyncio import Redis

from ..errors import RunnerError
from ..wire.cluster import ClusterLink
from ..wire.connecting import ClusterPool


class ClusterRedis(ArqRedis):
    """arq's client over a cluster.

    Commands of several keys need them in one slot. arq's own ``enqueue_job`` does not have that: its keys lie
    anywhere. ``ctx.enqueue`` is what works here.

    Args:
        pool: of the cluster.
        timeout_s: how long one answer may take.
        **options: arq's.
    """

    def __init__(self, pool: ClusterPool, *, timeout_s: float, **options: Any) -> None:
        super().__init__(pool, **options)
        self._cluster_pool = pool
        self._link = ClusterLink(pool, timeout_s=timeout_s)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command to the node of its first key; redis-py's methods all end here."""
        words = str(args[0]).split()
        options.pop("keys", None)
        reply = await self._link.execute(*words, *args[1:])
        callback = self.response_callbacks.get(args[0])
        return reply if callback is None else callback(reply, **options)

    def pipeline(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: its commands would belong to several nodes.

        Raises:
            RunnerError: says what to use.
        """
        msg = "ctx['redis'] has no pipelines on a cluster: await single commands, enqueue with ctx.enqueue"
        raise RunnerError(msg)

    async def servers(self) -> list[Redis]:
        """Give a client for each node that serves slots."""
        await self.ping()
        return [Redis(connection_pool=self._cluster_pool.at(place)) for place in sorted(self._link.places)]

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close what it opened."""
        await asyncio.gather(self._link.close(), super().aclose(close_connection_pool))
