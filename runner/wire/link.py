"""One connection shared by everybody in the process: what is sent in one loop iteration travels together.

redis-py's pool gives each caller a connection of its own, holds a lock while it connects, and drops the connection
when a caller is cancelled. Here a single connection carries all commands in order; a cancelled caller only stops
listening. Connecting, authentication, TLS and parsing stay redis-py's.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

Command = tuple[Any, ...]


class Link:
    """A multiplexed connection made from a redis-py pool's settings.

    Args:
        pool: where address, credentials and TLS come from; its own connections are not used.
        timeout_s: how long the oldest unanswered command may wait before the connection counts as broken.
        on_connect: commands to send first on every new connection, the current ones at the time.
    """

    def __init__(self, pool: ConnectionPool, *, timeout_s: float = 5.0) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._outbox: list[tuple[Command, asyncio.Future[Any]]] = []
        self._sent: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self.on_connect: Sequence[Command] = ()

    def execute(self, *command: Any) -> asyncio.Future[Any]:
        """Send a command with the others of this loop iteration; await the reply.

        Raises (when awaited):
            redis.exceptions.ConnectionError: not connected, or the connection broke before the reply.
            redis.exceptions.TimeoutError: no reply within ``timeout_s``.
            redis.exceptions.ResponseError: the server refused this command.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._outbox.append((command, reply))
        if self._flushing is None:
            self._flushing = loop.create_task(self._flush())
        return reply

    async def close(self) -> None:
        """Close the connection; commands without a reply fail."""
        self._break(RedisConnectionError("the link was closed"))
        if self._flushing is not None:
            self._flushing.cancel()
        await asyncio.gather(*filter(None, (self._flushing, self._reading)), return_exceptions=True)

    async def _flush(self) -> None:
        try:
            while self._outbox:
                connection = self._connection or await self._connect()
                batch, self._outbox = self._outbox, []
                now = asyncio.get_running_loop().time()
                self._sent.extend((reply, now) for _, reply in batch)
                if self._watchdog is None:
                    self._watch()
                await connection.send_packed_command(
                    connection.pack_commands([command for command, _ in batch]), check_health=False
                )
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            self._break(error)
        finally:
            self._flushing = None

    async def _connect(self) -> AbstractConnection:
        kwargs = {**self._pool.connection_kwargs, "socket_timeout": None, "health_check_interval": 0}
        connection = self._pool.connection_class(**kwargs)
        async with asyncio.timeout(self._timeout_s):
            await connection.connect()
            for command in self.on_connect:
                await connection.send_command(*command)
                await connection.read_response()
        self._connection = connection
        self._reading = asyncio.get_running_loop().create_task(self._read(connection))
        return connection

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    value: Any = await connection.read_response(disable_decoding=True)
                except ResponseError as refused:
                    value = refused
                reply, _ = self._sent.popleft()
                if reply.done():
                    continue
                if isinstance(value, Exception):
                    reply.set_exception(value)
                else:
                    reply.set_result(value)
        except (RedisError, OSError) as error:
            if self._connection is connection:
                self._break(error)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = None
        if self._sent:
            if loop.time() - self._sent[0][1] > self._timeout_s:
                self._break(RedisTimeoutError(f"no answer from the server for {self._timeout_s:g} s"))
                return
            self._watchdog = loop.call_later(self._timeout_s / 4, self._watch)

    def _break(self, error: BaseException) -> None:
        """Drop the connection; everything unanswered fails with the error that broke it."""
        connection, self._connection = self._connection, None
        reading, self._reading = self._reading, self._reading
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if not isinstance(error, RedisError):
            error = RedisConnectionError(f"{type(error).__name__}: {error}")
        lost = [reply for reply, _ in self._sent] + [reply for _, reply in self._outbox]
        self._sent.clear()
        self._outbox.clear()
        for reply in lost:
            if not reply.done():
                reply.set_exception(error)
                reply.exception()  # nobody may be listening any more
        if reading is not None and reading is not asyncio.current_task():
            reading.cancel()
        if connection is not None:
            asyncio.get_running_loop().create_task(_discard(connection))  # noqa: RUF006 - closes a dead socket


async def _discard(connection: AbstractConnection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except (RedisError, OSError):
        return
