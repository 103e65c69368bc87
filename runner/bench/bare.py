"""The requests of the webhook bench without a queue: bare loops over the same client and transport.

    python -m runner.bench.bare WAY URL COUNT CONCURRENCY BYTES      prints what it took, as JSON

| way | is |
| --- | --- |
| post | httpx's own ``post``: no deadline over all of it, no cap on the body |
| exchange | what our tasks call: deadline and cap, on the short way through the client |

Both with a fixed signature, and nothing is written down.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

import httpx

from ..http import Answer, build_client, exchange
from .loop import run

HEADERS = {
    "content-type": "application/json",
    "webhook-id": "00000000000000000000000000000000",
    "webhook-timestamp": "1700000000",
    "webhook-attempt": "1",
    "webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
TIMEOUT_S = 15.0

Way = Callable[[httpx.AsyncClient, str, bytes], Awaitable[int]]
"""Sends one request and gives its status."""


async def post(client: httpx.AsyncClient, url: str, body: bytes) -> int:
    """Send it as users of httpx do."""
    return (await client.post(url, content=body, headers=HEADERS)).status_code


async def exchanged(client: httpx.AsyncClient, url: str, body: bytes) -> int:
    """Send it as our tasks do."""
    ended = await exchange(client, "POST", url, content=body, headers=HEADERS, timeout_s=TIMEOUT_S)
    return ended.status if isinstance(ended, Answer) else 0


WAYS: dict[str, Way] = {"post": post, "exchange": exchanged}


async def loop_bare(way: Way, url: str, body: bytes, count: int, concurrency: int) -> dict[str, float]:
    """Send them all; gives seconds, processor seconds, and how many were answered 200."""
    async with build_client(allow=["127.0.0.0/8"], max_connections=concurrency) as client:
        await way(client, url, body)
        left = iter(range(count - 1))
        began, cpu = time.perf_counter(), time.process_time()
        senders = (_sender(way, client, url, body, left) for _ in range(concurrency))
        answered = 1 + sum(await asyncio.gather(*senders))
        took = {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}
        return took | {"answered": answered}


async def _sender(way: Way, client: httpx.AsyncClient, url: str, body: bytes, left: Iterator[int]) -> int:
    return sum([await way(client, url, body) == 200 for _ in left])


if __name__ == "__main__":
    _, name, to, *numbers = sys.argv
    count, concurrency, size = map(int, numbers)
    took = run(loop_bare(WAYS[name], to, b"x" * size, count, concurrency))
    sys.stdout.write(json.dumps(took) + "\n")
