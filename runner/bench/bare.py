"""The requests of the webhook bench without a queue: a bare loop over the same client and transport.

    python -m runner.bench.bare URL COUNT CONCURRENCY BYTES      prints what it took, as JSON

httpx's own ``post`` with a fixed signature: no deadline, no cap on the body, nothing is written down.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator

import httpx

from ..http import build_client
from .loop import run

HEADERS = {
    "content-type": "application/json",
    "webhook-id": "00000000000000000000000000000000",
    "webhook-timestamp": "1700000000",
    "webhook-attempt": "1",
    "webhook-signature": "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}


async def loop_bare(url: str, body: bytes, count: int, concurrency: int) -> dict[str, float]:
    """Send them all; gives seconds and processor seconds."""
    async with build_client(allow=["127.0.0.0/8"], max_connections=concurrency) as client:
        await client.post(url, content=body, headers=HEADERS)
        left = iter(range(count - 1))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(_sender(client, url, body, left) for _ in range(concurrency)))
        return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


async def _sender(client: httpx.AsyncClient, url: str, body: bytes, left: Iterator[int]) -> None:
    for _ in left:
        answer = await client.post(url, content=body, headers=HEADERS)
        answer.raise_for_status()


if __name__ == "__main__":
    _, to, count, concurrency, size = sys.argv
    sys.stdout.write(json.dumps(run(loop_bare(to, b"x" * int(size), int(count), int(concurrency)))) + "\n")
