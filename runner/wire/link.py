"""One connection shared by everybody in the process: what is sent in one loop iteration travels together.

redis-py's pool gives each caller a connection of its own, holds a lock while it connects, and drops the
connection when a caller is cancelled. Here a single connection carries all commands in order; a cancelled
caller only stops listening. Connecting, authentication, TLS and parsing stay redis-py's.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .connecting import Seeking
from .passing import BROKEN

Command = tuple[Any, ...]
Reply = asyncio.Future[Any]


class Link:
    """A multiplexed connection made from a redis-py pool's settings.

    Args:
        pool: where address, credentials and TLS come from; its own connections are not used.
        timeout_s: how long the oldest unanswered command may wait before the connection counts as broken.

    Attributes:
        after_connect: called after each connecting.
        on_silence: called when the oldest command has waited for a quarter of ``timeout_s``, and as often
            again: a server that hangs may have been replaced long before the time is over.
    """

    def __init__(self, pool: ConnectionPool, *, timeout_s: float = 5.0) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._connection: AbstractConnection | None = None
        self._outbox: list[tuple[Command, Reply]] = []
        self._sent: deque[tuple[Reply, float]] = deque()
        self._flushing: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self.after_connect: Callable[[], None] | None = None
        self.on_silence: Callable[[], None] = self._doubt
        self._doubting: asyncio.Task[None] | None = None

    def execute(self, *command: Any) -> Reply:
        """Send a command with the others of this loop iteration; await the reply.

        Raises (when awaited):
            redis.exceptions.ConnectionError: not connected, or the connection broke before the reply.
            redis.exceptions.TimeoutError: no reply within ``timeout_s``.
            redis.exceptions.ResponseError: the server refused this command.
            redis.exceptions.DataError: the command holds what cannot be sent; nothing was.
        """
        loop = asyncio.get_running_loop()
        reply: Reply = loop.create_future()
        self._outbox.append((command, reply))
        if self._flushing is None:
            self._flushing = loop.create_task(self._flush())
        return reply

    async def close(self) -> None:
        """Close the connection; commands without a reply fail."""
        self._break(RedisConnectionError("the link was closed"))
        ending = [task for task in (self._flushing, self._reading, self._doubting) if task is not None]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, *self._closing, return_exceptions=True)
        self._flushing = self._reading = None

    async def _flush(self) -> None:
        try:
            while self._outbox:
                connection = self._connection or await self._connect()
                batch, self._outbox = self._outbox, []
                replies, packed = _pack(batch)
                now = asyncio.get_running_loop().time()
                self._sent.extend((reply, now) for reply in replies)
                if self._watchdog is None:
                    self._watch()
                await connection.send_packed_command(packed, check_health=False)
        except BROKEN as error:
            self._break(error)
        finally:
            self._flushing = None

    async def _connect(self) -> AbstractConnection:
        connection = unlimited(self._pool)
        try:
            async with asyncio.timeout(self._timeout_s):
                await connection.connect()
        except BaseException:
            self._discard(connection)
            raise
        self._connection = connection
        self._reading = asyncio.get_running_loop().create_task(self._read(connection))
        if self.after_connect is not None:
            self.after_connect()
        return connection

    async def _read(self, connection: AbstractConnection) -> None:
        try:
            while True:
                try:
                    value: Any = await connection.read_response(disable_decoding=True)
                except ResponseError as refused:
                    value = refused
                if not self._sent:
                    raise RedisConnectionError(f"the server said unasked: {value!r}")
                reply, _ = self._sent.popleft()
                if reply.done():
                    continue
                if not isinstance(value, Exception):
                    reply.set_result(value)
                    continue
                reply.set_exception(value)
                if isinstance(value, ReadOnlyError):  # it was the master once: whoever connects looks anew
                    raise value
        except BROKEN as error:
            if self._connection is connection:
                self._break(error)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._watchdog = None
        if self._sent:
            if loop.time() - self._sent[0][1] > self._timeout_s:
                self._break(RedisTimeoutError(f"no answer from the server for {self._timeout_s:g} s"))
                return
            left_s = self._sent[0][1] + self._timeout_s - loop.time()
            if left_s < self._timeout_s * 0.75:
                self.on_silence()
            self._watchdog = loop.call_later(min(self._timeout_s / 4, left_s + 0.01), self._watch)

    def _doubt(self) -> None:
        if self._doubting is None:
            self._doubting = asyncio.get_running_loop().create_task(self._leave_if_replaced())

    async def _leave_if_replaced(self) -> None:
        """Ask those who know whether this server is still the right one; of a named one nobody does."""
        connection = self._connection
        try:
            is_left = isinstance(connection, Seeking) and not await connection.is_named()
            if is_left and self._connection is connection:
                self._break(RedisTimeoutError("the server is silent, and another is master now"))
        except BROKEN:
            return  # the time limit decides
        finally:
            self._doubting = None

    def _break(self, error: BaseException) -> None:
        """Drop the connection; everything unanswered fails with the error that broke it."""
        connection, self._connection = self._connection, None
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        if not isinstance(error, RedisError):
            error = RedisConnectionError(f"{type(error).__name__}: {error}")
        lost = [reply for reply, _ in self._sent] + [reply for _, reply in self._outbox]
        self._sent.clear()
        self._outbox.clear()
        for reply in lost:
            _refuse(reply, error)
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()
        if connection is not None:
            self._discard(connection)

    def _discard(self, connection: AbstractConnection) -> None:
        closing = asyncio.get_running_loop().create_task(_disconnect(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def _pack(batch: Iterable[tuple[Command, Reply]]) -> tuple[list[Reply], list[bytes]]:
    """Encode commands; one that cannot be encoded fails alone.

    By hiredis: redis-py's asyncio connections encode in Python, which took a quarter of a worker's time.
    """
    replies: list[Reply] = []
    packed: list[bytes] = []
    for command, reply in batch:
        try:
            packed.append(hiredis.pack_command(command))
            replies.append(reply)
        except (hiredis.HiredisError, TypeError, ValueError) as error:
            _refuse(reply, DataError(f"{command[0]!r} cannot be sent: {error}"))
    return replies, packed


def _refuse(reply: Reply, error: BaseException) -> None:
    if not reply.done():
        reply.set_exception(error)
        reply.exception()  # nobody may be listening any more


async def _disconnect(connection: AbstractConnection) -> None:
    try:
        await connection.disconnect(nowait=True)
    except BROKEN:
        return


def unlimited(pool: ConnectionPool) -> AbstractConnection:
    """Make a connection of a pool's settings, without its time limits: its user has others."""
    kwargs: dict[str, Any] = {**pool.connection_kwargs, "socket_timeout": None, "health_check_interval": 0}
    return pool.connection_class(**kwargs)
