"""A channel on which scripts tell this process that something it waits for has changed.

One subscriber connection, made when somebody first waits. News is at most once: whoever waits also looks by
itself, and after every new connection everybody looks.
"""

import asyncio
import contextlib
import random
import secrets
from collections import defaultdict
from collections.abc import Generator
from typing import Any

from redis.asyncio.connection import ConnectionPool

from .passing import BROKEN

RETRY_S = 1.0


class Bell:
    """Wakes those who wait for a topic.

    Args:
        pool: where address and credentials come from; None: no news, whoever waits looks by itself.
    """

    def __init__(self, pool: ConnectionPool | None = None) -> None:
        self._pool = pool
        self._waiting: dict[bytes, set[asyncio.Event]] = defaultdict(set)
        self._listening: asyncio.Task[None] | None = None
        self.channel = f"runner:bell:{secrets.token_hex(8)}"

    @contextlib.contextmanager
    def listening(self, topic: str) -> Generator[asyncio.Event, None, None]:
        """Give an event that is set whenever the topic is told; clear it before looking."""
        if self._listening is None and self._pool is not None:
            self._listening = asyncio.get_running_loop().create_task(self._listen(self._pool))
        event, key = asyncio.Event(), topic.encode()
        self._waiting[key].add(event)
        try:
            yield event
        finally:
            self._waiting[key].discard(event)
            if not self._waiting[key]:
                del self._waiting[key]

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None

    async def _listen(self, pool: ConnectionPool) -> None:
        while True:
            kwargs: dict[str, Any] = {
                **pool.connection_kwargs,
                "socket_timeout": None,
                "health_check_interval": 0,
            }
            connection = pool.connection_class(**kwargs)
            try:
                await connection.connect()
                await connection.send_command("SUBSCRIBE", self.channel)
                await connection.read_response()
                self._ring_all()
                while True:
                    message: Any = await connection.read_response(disable_decoding=True)
                    for event in self._waiting.get(message[2], ()):
                        event.set()
            except BROKEN:
                await asyncio.sleep(RETRY_S * (0.5 + random.random()))
            finally:
                await connection.disconnect(nowait=True)

    def _ring_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
