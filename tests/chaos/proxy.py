"""A TCP proxy that breaks what goes through it, when it is told to.

| call | what both sides see |
| --- | --- |
| `latency_s`, `jitter_s` | each piece arrives so much later |
| `drips` | the first bytes of each piece arrive one by one |
| `cut(n)` | n connections, drawn by the seed, are reset |
| `swallow(n)` | a script is sent on and executed; its reply is dropped and the connection closed; n times |
| `hold()` | half open: connections stay, also new ones, and nothing goes through |
| `flow()` | held bytes go on late, or their connections are reset: the seed says which |
| `calm()` | everything goes through again |
| `refuse()` | all connections are reset, and new ones refused; `accept()` ends it |
"""

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from random import Random
from typing import Self

PIECE = 65_536
DRIPPED = 100
DRIP_S = 0.0005
SCRIPT = b"EVALSHA"


class Link:
    """One connection through the proxy: the client's end and the server's."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._ends = (client, server)
        self.loses_reply = False

    def reset(self) -> None:
        """Close both ends with RST, at once."""
        for end in self._ends:
            if not end.transport.is_closing():
                connection = end.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.transport.abort()

    def close(self) -> None:
        for end in self._ends:
            end.close()


class Proxy:
    """Passes connections on to a port of 127.0.0.1.

    Args:
        target: that port.
        rng: draws victims and jitter.
        wanted: what a request must contain for `swallow` to take its reply.
    """

    def __init__(self, target: int, rng: Random, wanted: bytes = SCRIPT) -> None:
        self.target = target
        self.port = 0
        self.latency_s = self.jitter_s = 0.0
        self.drips = False
        self.counts = Counter[str]()
        self.links: set[Link] = set()
        self._rng = rng
        self._wanted = wanted
        self._to_swallow = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._listening: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        self._flows.set()

    async def accept(self) -> None:
        """Listen: at the port of before, if there was one."""
        if self._listening is None:
            self._listening = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, backlog=1024, reuse_address=True
            )
            self.port = self._listening.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
            self.counts["refused spells"] += 1
        for link in list(self.links):
            link.reset()

    def cut(self, count: int = 1) -> int:
        """Reset so many connections, or all there are; how many it were."""
        drawn = sorted(self.links, key=id)
        drawn = self._rng.sample(drawn, min(count, len(drawn)))
        for link in drawn:
            link.reset()
        self.counts["cut"] += len(drawn)
        return len(drawn)

    def swallow(self, count: int = 1) -> None:
        self._to_swallow += count

    @property
    def is_swallowing(self) -> bool:
        """Whether replies are still to be swallowed."""
        return self._to_swallow > 0

    async def calm(self) -> None:
        """End every fault, also those that wait for their moment."""
        self._to_swallow = 0
        self.latency_s = self.jitter_s = 0.0
        self.drips = False
        self._flows.set()
        await self.accept()

    def hold(self) -> None:
        self._flows.clear()
        self.counts["held spells"] += 1

    def flow(self) -> None:
        for link in list(self.links):
            if self._rng.random() < 0.5:
                link.reset()
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            beyond = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = Link(writer, beyond[1])
        self.links.add(link)
        try:
            await asyncio.gather(
                self._pump(link, reader, beyond[1], is_request=True),
                self._pump(link, beyond[0], writer, is_request=False),
            )
        finally:
            self.links.discard(link)
            link.close()

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # uvloop's word for a transport that was aborted
            while data := await reader.read(PIECE):
                await self._flows.wait()
                if is_request and self._to_swallow and self._wanted in data:
                    self._to_swallow -= 1
                    link.loses_reply = True
                elif not is_request and link.loses_reply:
                    self.counts["swallowed"] += 1
                    break
                await self._pass(writer, data)
        link.close()

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        if self.latency_s or self.jitter_s:
            await asyncio.sleep(self.latency_s + self._rng.random() * self.jitter_s)
        if self.drips:
            for at in range(min(DRIPPED, len(data))):
                writer.write(data[at : at + 1])
                await asyncio.sleep(DRIP_S)
            data = data[DRIPPED:]
        writer.write(data)
        await writer.drain()
