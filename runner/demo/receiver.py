"""The demo's receiver: ``python -m runner.demo.receiver LEDGER SHARE SEED [SERVER]``; DEMO_SECRET signs.

It shares no code with the sender: it reads HTTP and checks Standard Webhooks signatures by itself. On stdout
it prints its ports as one JSON object: ``receiver`` answers, mostly; ``gone`` answers 410; ``down`` refuses
connections. When its stdin ends its starter is gone, and it ends its process group, workers included, and the
embedded server in the folder SERVER, which a starter that was killed could not stop.
"""

import asyncio
import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import os
import signal
import socket
import struct
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from ..local_server import stop_when_unused
from .faults import Fault, fault_of, is_reset_unread
from .ledger import Ledger, Line

TOLERANCE_S = 300
THINKS_S = (0.05, 0.15)
"""How long it takes to answer, at least and at most: so that much is under way when a worker dies."""
DRIP_S = 0.2
BOMB = gzip.compress(bytes(50_000_000))
_NOT_FOR_US = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, KeyError)
"""The connection ends, or somebody sends what is no webhook of the demo."""
METADATA = "http://169.254.169.254/latest/meta-data/"


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Check a signature as https://www.standardwebhooks.com tells receivers to."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(datetime.now(UTC).timestamp() - int(timestamp)) > TOLERANCE_S:
        return False
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    right = f"v1,{base64.b64encode(digest).decode()}"
    return any(hmac.compare_digest(right, each) for each in headers.get("webhook-signature", "").split())


class Receiver:
    """Reads requests, enters them in the ledger, and answers as the seed will have it."""

    def __init__(self, ledger: Ledger, *, share: float, seed: int, secret: str) -> None:
        self._ledger = ledger
        self._share = share
        self._seed = seed
        self._secret = secret
        self._visits = Counter[int]()
        self._connections = 0

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the host that answers."""
        self._connections += 1
        if is_reset_unread(self._seed, self._share, self._connections):
            _reset(writer)
            return
        with contextlib.suppress(*_NOT_FOR_US):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of the host that wants no more webhooks."""
        with contextlib.suppress(*_NOT_FOR_US):
            while True:
                headers, body = await _request(reader)
                await self._enter(headers, body, "410", is_taken=False)
                await _answer(writer, "410 Gone")
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        headers, body = await _request(reader)
        number = int(json.loads(body)["number"])
        self._visits[number] += 1
        visit = self._visits[number]
        await asyncio.sleep(Random(f"{self._seed} {number} {visit} pause").uniform(*THINKS_S))
        if not is_signed(self._secret, headers, body):
            await self._enter(headers, body, "401", is_taken=False)
            await _answer(writer, "401 Unauthorized")
            return True
        fault = fault_of(self._seed, self._share, number, visit)
        is_taken = fault not in {Fault.UNAVAILABLE, Fault.BUSY, Fault.REDIRECT}
        await self._enter(headers, body, str(fault or "200"), is_taken=is_taken)
        return await _misbehave(writer, fault)

    async def _enter(self, headers: Mapping[str, str], body: bytes, answer: str, *, is_taken: bool) -> None:
        line = Line(
            number=int(json.loads(body)["number"]),
            webhook_id=headers.get("webhook-id", ""),
            attempt=headers.get("webhook-attempt", ""),
            answer=answer,
            is_taken=is_taken,
            is_signed=is_signed(self._secret, headers, body),
        )
        await self._ledger.enter(line)


async def _request(reader: asyncio.StreamReader) -> tuple[dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    fields = (line.partition(":") for line in head.splitlines()[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def _answer(writer: asyncio.StreamWriter, status: str, *fields: str, body: bytes = b"") -> None:
    head = "".join(f"{each}\r\n" for each in (f"HTTP/1.1 {status}", f"content-length: {len(body)}", *fields))
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()


async def _misbehave(writer: asyncio.StreamWriter, fault: Fault | None) -> bool:
    """Answer; False when the connection is of no more use."""
    match fault:
        case None:
            await _answer(writer, "200 OK", body=b"thanks")
        case Fault.UNAVAILABLE:
            await _answer(writer, "503 Service Unavailable")
        case Fault.BUSY:
            await _answer(writer, "429 Too Many Requests", "retry-after: 1")
        case Fault.REDIRECT:
            await _answer(writer, "307 Temporary Redirect", f"location: {METADATA}")
        case Fault.BOMB:
            await _answer(writer, "200 OK", "content-encoding: gzip", body=BOMB)
        case Fault.RESET_LATE:
            _reset(writer)
            return False
        case Fault.DRIP:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(DRIP_S)
    return True


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, at once."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _serve(ledger: Path, share: float, seed: int, secret: str, server: Path | None) -> None:
    receiver = Receiver(Ledger(ledger), share=share, seed=seed, secret=secret)
    answering = await asyncio.start_server(receiver.receive, "127.0.0.1", 0, backlog=1024)
    gone = await asyncio.start_server(receiver.refuse, "127.0.0.1", 0)
    with socket.socket() as down:
        down.bind(("127.0.0.1", 0))
        ports = {
            "receiver": answering.sockets[0].getsockname()[1],
            "gone": gone.sockets[0].getsockname()[1],
            "down": down.getsockname()[1],
        }
        sys.stdout.write(json.dumps(ports) + "\n")
        sys.stdout.flush()
        loop, alone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(0, alone.set)
        await alone.wait()
        loop.remove_reader(0)
        await _end_all(server)


async def _end_all(server: Path | None) -> None:
    """End the group and then the server; answers go on meanwhile, or workers would wait for them."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    if server is not None:
        await asyncio.to_thread(stop_when_unused, server)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.killpg(0, signal.SIGTERM)  # ourselves, and a worker that was just being started


if __name__ == "__main__":
    book, often, begun, *place = sys.argv[1:]
    known = os.environ["DEMO_SECRET"]
    asyncio.run(_serve(Path(book), float(often), int(begun), known, Path(place[0]) if place else None))
