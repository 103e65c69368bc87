"""Connections between the processes and the server: redis-py's own class, with a wire that can fail.

Bytes go as redis-py packs them; replies come as objects. Everything takes a moment, drawn by the seed, and
stays in order on its connection.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, cast

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import (
    AuthenticationError,
    NoScriptError,
    OutOfMemoryError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from .keyspace import Refused
from .server import Peer, Server
from .world import Loop, World

NEVER = float("-inf")
ERRORS = {"NOSCRIPT": NoScriptError, "OOM": OutOfMemoryError, "NOAUTH": AuthenticationError}


class Network:
    """The wire.

    Attributes:
        is_down: nobody gets through; connections break.
        slow_s: what each way takes beyond the usual.
        lose: drawn for each batch of commands: ``request``, ``reply``, ``twice`` or nothing.
        counts: faults that happened, by kind.
        sent: commands that were executed.
        troubled_at_s: when it last was anything but reliable and fast.
        away_from_s, away_until_s, slow_until_s: when it last was so.
        cut_at_s: when a process last lost a connection while the server was there.
    """

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.is_down = False
        self.slow_s = 0.0
        self.lose: Callable[[str], str] = lambda process: ""
        self.counts: dict[str, int] = {}
        self.sent = 0
        self.troubled_at_s = 0.0
        self.away_from_s = self.away_until_s = self.slow_until_s = NEVER
        self.cut_at_s: dict[str, float] = {}
        self.wires: list[Wire] = []

    def pool(self) -> ConnectionPool:
        return ConnectionPool(Wire, network=self, socket_connect_timeout=None)

    def reachable_since(self) -> float:
        return float("inf") if self.is_down or self.slow_s else self.troubled_at_s

    def go_down(self) -> None:
        if not self.is_down:
            self.away_from_s = self.world.now_s
        self.is_down = True
        for wire in list(self.wires):
            wire.snap("the server went away")

    def come_back(self) -> None:
        if self.is_down:  # of two outages at once the first to end ends both
            self.is_down = False
            self.away_until_s = self.troubled_at_s = self.world.now_s

    def speed_up(self) -> None:
        self.slow_s = 0.0
        self.slow_until_s = self.troubled_at_s = self.world.now_s

    def reset(self, process: str) -> None:
        """Break the connections of a process."""
        for wire in [wire for wire in self.wires if wire.process.startswith(process)]:
            wire.snap("reset by peer")

    def hang_up(self, loop: Loop) -> None:
        """Close the connections of a process that is dead."""
        for wire in [wire for wire in self.wires if wire.process == loop.name]:
            wire.hang_up()

    def count(self, kind: str) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def way_s(self) -> float:
        return 0.0002 + self.world.rng.random() * 0.002 + self.slow_s


class Wire(AbstractConnection):
    """One connection."""

    def __init__(self, *, network: Network, **kwargs: Any) -> None:
        super().__init__(**kwargs, lib_name=None, lib_version=None)
        self._network = network
        self._is_open = self._is_cut = False
        self._arrived: deque[Any] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._broken: str = ""
        self._peer: Peer | None = None
        self._busy_until = self._back_until = 0.0

    def repr_pieces(self) -> list[tuple[str, Any]]:
        return []

    def _host_error(self) -> str:
        return "the simulated server"

    @property
    def is_connected(self) -> bool:
        return self._is_open

    async def _connect(self) -> None:
        network = self._network
        self._loop = cast("Loop", asyncio.get_running_loop())
        self.process = self._loop.name
        await asyncio.sleep(network.way_s())
        if network.is_down:
            raise ConnectionRefusedError("refused")
        self._is_open, self._broken, self._is_cut = True, "", False
        self._arrived.clear()
        self._busy_until = self._back_until = network.world.now_s
        self._peer = network.server.join(self._pushed)
        network.wires.append(self)

    async def on_connect(self) -> None:
        """There is no password and one database."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close; whoever reads learns of it, as from a closed socket."""
        self._is_open = False
        self.hang_up()
        self._ring()

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self._is_open:
            await self.connect()
        if self._broken:
            raise RedisConnectionError(self._broken)
        reader = hiredis.Reader()
        for part in [command] if isinstance(command, bytes) else command:
            reader.feed(part)
        commands = list(iter(reader.gets, False))
        network, world = self._network, self._network.world
        fault = network.lose(self._loop.name)
        if fault:
            network.count(fault)
        peer, is_last = self._peer, self._is_cut
        at = self._busy_until = max(self._busy_until, world.now_s + network.way_s())
        if fault in ("request", "reply") and not is_last:
            self._is_cut = True
            world.at(at + network.way_s(), lambda: self.snap("reset by peer"))
        if fault == "request" or is_last:
            return
        if fault == "twice":
            again = self._busy_until = at + world.rng.random() * 3 * network.way_s()
            world.at(again, lambda: self._execute(peer, commands, ""))
        world.at(at, lambda: self._execute(peer, commands, fault))

    def _execute(self, peer: Peer, commands: Iterable[list[bytes]], fault: str) -> None:
        """The commands reach the server, also those of a process that is dead by now."""
        network, world = self._network, self._network.world
        if network.is_down or (peer is not self._peer and not self._loop.is_dead):
            return
        replies = []
        for command in commands:
            network.sent += 1
            world.acting = self._loop
            replies.append(network.server.execute(peer, command))
            if world.keeps_trace:
                world.commands.append((network.server.keyspace.now_ms, command))
                world.note(self._loop.name, _shown(command), "->", _shown(replies[-1]))
        if not fault:
            self._back(peer, replies)

    def _back(self, peer: Peer | None, replies: list[Any]) -> None:
        world = self._network.world
        at = self._back_until = max(self._back_until, world.now_s + self._network.way_s())
        world.at(at, lambda: self._deliver(peer, replies))

    def _pushed(self, message: Any) -> None:
        self._back(self._peer, [message])

    def _deliver(self, peer: Peer | None, replies: list[Any]) -> None:
        if peer is self._peer and not self._loop.is_dead:
            self._arrived.extend(replies)
            self._ring()

    def _ring(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def snap(self, why: str) -> None:
        """Break, as at a reset: what has arrived can still be read."""
        if self._is_open and not self._broken:
            network = self._network
            network.troubled_at_s = network.world.now_s
            if not network.is_down:
                network.cut_at_s[self.process] = network.world.now_s
            self._broken = why
            self.hang_up()
            if not self._loop.is_dead:
                self._ring()

    def hang_up(self) -> None:
        if self._peer is not None:
            self._network.server.leave(self._peer)
            self._network.wires.remove(self)
            self._peer = None

    async def can_read_destructive(self) -> bool:
        return bool(self._arrived or self._broken)

    async def read_response(
        self, disable_decoding: bool = False, timeout: float | None = None, **_: Any
    ) -> Any:
        while not self._arrived:
            if self._broken or not self._is_open:
                await self.disconnect(nowait=True)
                raise RedisConnectionError(self._broken or "closed")
            self._waiting = self._loop.create_future()
            await self._waiting
        reply = self._arrived.popleft()
        if isinstance(reply, Refused):
            raise _error_of(str(reply))
        return reply


def _error_of(text: str) -> ResponseError:
    word, _, rest = text.partition(" ")
    return ERRORS[word](rest) if word in ERRORS else ResponseError(text.removeprefix("ERR "))


def _shown(value: Any) -> str:
    return repr(value)[:300]
