"""A receiver of webhooks that is faster than any sender: HTTP by hand, in a process of its own.

python -m runner.bench.receiver DELAY_S      prints its port; answers 200 after the delay, a GET with counts
"""

import asyncio
import json
import sys
from typing import cast

from .loop import run

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Counts:
    """What has been received.

    Attributes:
        received: requests.
        signed: those among them that carry a signature.
    """

    received = 0
    signed = 0


class Connection(asyncio.Protocol):
    """One connection; requests follow one another, as those of a pooled client do."""

    def __init__(self, counts: Counts, delay_s: float) -> None:
        self._counts = counts
        self._delay_s = delay_s
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        if head.startswith(b"get "):
            self._buffer = b""
            self._write(_told(self._counts))
            return
        _, _, length = head.partition(b"content-length: ")
        whole = head_end + 4 + int(length.partition(b"\r\n")[0] or 0)
        if len(self._buffer) < whole:
            return
        self._buffer = self._buffer[whole:]
        self._counts.received += 1
        self._counts.signed += b"\r\nwebhook-signature: v1," in head
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._write, ANSWER)
        else:
            self._write(ANSWER)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def _told(counts: Counts) -> bytes:
    body = json.dumps({"received": counts.received, "signed": counts.signed}).encode()
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def serve(delay_s: float) -> None:
    """Listen on a free port and tell it on stdout; until the process is ended."""
    counts = Counts()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counts, delay_s), "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    run(serve(float(sys.argv[1])))
