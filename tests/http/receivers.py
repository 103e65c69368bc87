"""Receivers that misbehave on the wire, on loopback.

A ``Receiver`` listens on a port of its own, plays one behaviour to each connection, and keeps a ledger of
what reached it. Behaviours are coroutines over a ``Peer``; the ones below go from polite to hostile. Each
conftest loads this module by its path, because tests are imported without packages.
"""

import asyncio
import gzip
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.parser import BytesHeaderParser
from typing import Self, TypeVar


@dataclass
class Received:
    """One request, read whole."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Ledger:
    """What reached a receiver, kept by itself."""

    connections: int = 0
    open_now: int = 0
    requests: list[Received] = field(default_factory=list)


class Peer:
    """One connection, seen from the receiver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ledger: Ledger) -> None:
        self.reader = reader
        self.writer = writer
        self.ledger = ledger

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> Received:
        """Read one request whole and enter it in the ledger."""
        line, _, rest = (await self.head()).partition(b"\r\n")
        fields = BytesHeaderParser().parsebytes(rest)
        headers = {name.lower(): value for name, value in fields.items()}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        received = Received(line.decode(), headers, body)
        self.ledger.requests.append(received)
        return received

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Peer], Awaitable[None]]


class Receiver:
    """``async with Receiver(behaviour) as receiver``; then ``receiver.url`` and ``receiver.ledger``."""

    def __init__(
        self, behaviour: Behaviour, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.behaviour = behaviour
        self.host = host
        self.tls = tls
        self.ledger = Ledger()
        self.port = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/hook"

    @property
    def requests(self) -> list[Received]:
        return self.ledger.requests

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls, backlog=2048)
        self.port = self._server.sockets[0].getsockname()[1]
        self._serving: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self.ledger.connections += 1
        self.ledger.open_now += 1
        try:
            await self.behaviour(Peer(reader, writer, self.ledger))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.ledger.open_now -= 1
            self._serving.discard(task)
            writer.close()


Ended = TypeVar("Ended")


async def by_deadline(
    ends: Callable[[float], Awaitable[Ended]], is_as_expected: Callable[[Ended], object]
) -> Ended:
    """End by a short deadline, or by a longer one when the machine was too slow to come so far in that."""
    for deadline_s in (0.3, 3):
        ended = await ends(deadline_s)
        if is_as_expected(ended):
            return ended
    return await ends(20)


def answers(status: int = 200, *fields: str, body: bytes = b"ok") -> Behaviour:
    """Answer every request on the connection, properly."""
    head = "".join(
        f"{each}\r\n" for each in (f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *fields)
    )
    answer = head.encode() + b"\r\n" + body

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.send(answer)

    return behave


def slowly(delay_s: float) -> Behaviour:
    """Read a request and answer it, after a while."""

    async def behave(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(delay_s)
            await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    return behave


def says(data: bytes, *, then: str = "close") -> Behaviour:
    """Read a request, send these bytes, and then ``close``, ``reset`` or stay ``silent``."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        if then == "reset":
            await asyncio.sleep(0.05)  # a reset would overtake what was sent
            peer.reset()
        elif then == "silent":
            await peer.reader.read()

    return behave


def repeats(start: bytes, data: bytes, every_s: float = 0.0) -> Behaviour:
    """Read a request, send ``start``, and then ``data`` again and again."""

    async def behave(peer: Peer) -> None:
        await peer.request()
        await peer.send(start)
        while True:
            await peer.send(data)
            await asyncio.sleep(every_s)

    return behave


async def accept_and_close(_peer: Peer) -> None:
    """Close at once, nothing read."""


async def reset_before_read(peer: Peer) -> None:
    peer.reset()


async def reset_within_headers(peer: Peer) -> None:
    await peer.reader.read(10)
    peer.reset()


async def reset_after_read(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def plain_hello(peer: Peer) -> None:
    """Say something that is not TLS before being asked."""
    await peer.send(b"220 mail.example ESMTP\r\n")
    await peer.reader.read(1)


async def never_reads(peer: Peer) -> None:
    peer.writer.transport.pause_reading()
    await asyncio.Event().wait()


async def answers_413_early(peer: Peer) -> None:
    """Answer before the body is read, and close."""
    await peer.head()
    await peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    await peer.reader.read()


async def once_then_closes(peer: Peer) -> None:
    """Answer the first request and read the second one without a word."""
    await peer.request()
    await peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await peer.request()


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
SIZED = OK_HEAD + b"content-length: 1000000000\r\n\r\n"
CHUNKED = OK_HEAD + b"transfer-encoding: chunked\r\n\r\n"

closes_after_read = says(b"")
silent = says(b"", then="silent")
garbage = says(b"\x00\x01 this is not http\r\n\r\n")
half_status = says(b"HTTP/1.1 20")
half_head = says(OK_HEAD + b"content-le")
half_body = says(OK_HEAD + b"content-length: 100\r\n\r\nhalf")
half_body_reset = says(OK_HEAD + b"content-length: 100\r\n\r\nhalf", then="reset")
half_body_silent = says(OK_HEAD + b"content-length: 100\r\n\r\nhalf", then="silent")
drips_head = repeats(OK_HEAD, b"x: y\r\n", 0.02)
drips_body = repeats(SIZED, b"x", 0.02)
endless_body = repeats(SIZED, b"x" * 65536)
endless_chunks = repeats(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n")
endless_head = repeats(OK_HEAD, b"x: " + b"y" * 4096 + b"\r\n")
floods_100 = repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
redirects_inside = answers(307, "location: http://169.254.169.254/latest/meta-data/")

BOMB = gzip.compress(bytes(20_000_000))
gzip_bomb = answers(200, "content-encoding: gzip", body=BOMB)
