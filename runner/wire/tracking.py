"""Pushed news of changed keys: ``CLIENT TRACKING`` of a Link, redirected to a subscriber connection.

Works for changes by anybody, plain arq clients included, without configuration of the server. RESP2 form:
redis-py 5.3's hiredis parser cannot read pushes. News is at most once and lost on reconnect, so whoever
listens also looks by itself now and then.

The redirection names the subscriber by a number that another server gives to somebody else. So when one of
the two connections is made anew, both are: after a failover they end at the same server again.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from .link import Command, Link, unlimited
from .passing import BROKEN

CHANNEL = "__redis__:invalidate"
RETRY_S = 1.0


class Tracking:
    """Keeps one subscriber connection and tells which keys changed.

    Args:
        pool: where address and credentials come from.
        link: whose reads (or, with prefixes, everybody's writes) are watched; its own writes are not news.
            It has no other Tracking.
        prefixes: watch every key that begins so; empty: watch what ``link`` reads after
            ``CLIENT CACHING YES``.
        on_change: called with the changed keys; with an empty list when news may have been missed.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        link: Link,
        *,
        prefixes: tuple[str, ...] = (),
        on_change: Callable[[list[bytes]], None],
    ) -> None:
        self._pool = pool
        self._link = link
        self._prefixes = _without_overlaps(prefixes)
        self._on_change = on_change
        self._listening: asyncio.Task[None] | None = None
        self._connection: AbstractConnection | None = None
        self._dropping: asyncio.Task[None] | None = None
        self._connectings = 0
        self.is_on = False
        """Whether the server pushes now. False: look by yourself, more often."""

    def start(self) -> None:
        """Begin to listen, in the background; reconnects by itself."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
            self._link.after_connect = None

    async def _listen(self) -> None:
        while True:
            connection = self._connection = unlimited(self._pool)
            try:
                await self._subscribe(connection)
                while True:
                    self._tell(await connection.read_response(disable_decoding=True))
            except BROKEN:
                self.is_on = False
                if self._dropping is None:
                    await asyncio.sleep(RETRY_S * (0.5 + random.random()))
                self._dropping = None
            finally:
                self.is_on = False
                await connection.disconnect(nowait=True)

    async def _subscribe(self, connection: AbstractConnection) -> None:
        await connection.connect()
        await connection.send_command("CLIENT", "ID")
        client_id = await connection.read_response()
        await connection.send_command("SUBSCRIBE", CHANNEL)
        await connection.read_response()
        command = self._command(client_id)
        self._link.after_connect = self._note_connected
        try:
            await self._link.execute("CLIENT", "TRACKING", "OFF")
            connectings = self._connectings
            await self._link.execute(*command)
        except ResponseError:  # it is refused: whoever listens looks more often
            self._link.after_connect = None
        else:
            if self._connectings != connectings:
                raise RedisConnectionError("the link was connected anew meanwhile")
            self.is_on = True
        self._on_change([])

    def _note_connected(self) -> None:
        """The link has a new connection: the subscriber gets one, too, and then everybody looks again."""
        self._connectings += 1
        if self.is_on and self._connection is not None:
            self.is_on = False
            self._dropping = asyncio.get_running_loop().create_task(self._connection.disconnect(nowait=True))

    def _command(self, client_id: Any) -> Command:
        on = ("CLIENT", "TRACKING", "ON", "REDIRECT", client_id)
        if not self._prefixes:
            return (*on, "OPTIN")
        return (*on, "BCAST", *(part for prefix in self._prefixes for part in ("PREFIX", prefix)), "NOLOOP")

    def _tell(self, message: Any) -> None:
        keys = message[2] if isinstance(message, list) and len(message) > 2 else None
        self._on_change(keys if isinstance(keys, list) else [])


def _without_overlaps(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    """Drop prefixes that a shorter one covers: the server refuses overlapping ones."""
    return tuple(p for p in dict.fromkeys(prefixes) if not any(p != q and p.startswith(q) for q in prefixes))
