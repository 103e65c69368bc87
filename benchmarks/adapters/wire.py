"""What all Python adapters share; only the standard library, since each runs among its own packages.

An adapter is a module that defines its library's tasks and a client, and ends with ``play(client, command)``:

    python with_saq.py client     speaks JSON, a line a question, a line an answer
    python with_saq.py worker     becomes one worker, as the library's own command starts it

| question | answer |
| --- | --- |
| {"do": "enqueue", "way": "one" or "callers", "count", "seconds"} | jobs, seconds, cpu_s |
| {"do": "fill", "count", "seconds", "delay", "task", "args"} | the same, by the fastest way the library has |
| {"do": "latency", "count", "seconds"} | starts, results: milliseconds of each job |

``seconds`` bounds each of them: what is not done by then is not done, and the answer says how much was.
"""

import asyncio
import contextlib
import hashlib
import hmac
import inspect
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

URL = os.environ.get("BENCH_URL", "redis://127.0.0.1:6379/0")
SLOTS = int(os.environ.get("BENCH_SLOTS", "100"))
CALLERS, CHUNK, WARM, PAUSE_S, WAIT_S = 32, 1000, 10, 0.02, 30
_RAN = os.open(os.environ.get("BENCH_COUNT", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def ran() -> None:
    """Tell that a job has run: a byte more in a file, which works in any process of any library."""
    os.write(_RAN, b".")


def signed(body: bytes) -> dict[str, str]:
    """Give the headers of a delivery, signed as a careful user does it."""
    signature = hmac.new(b"a secret of the bench's, 32 byte", body, hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "webhook-signature": signature}


class Client(Protocol):
    """A library's enqueueing side; ``many`` is None where it has no call that takes more than one job.

    Tasks go by name: ``noop()``, ``stamp()`` gives the ns of the monotonic clock, ``hook(url, body)``.
    Methods of a blocking library are plain functions: then nothing is measured with many callers.
    """

    many: Callable[..., Any] | None

    def open(self) -> Any: ...

    def one(self, task: str, args: Sequence[Any], delay: float) -> Any: ...

    def call(self, task: str) -> Any:
        """Enqueue one and wait for its result, as the library's guide does it."""


async def now(value: Any) -> Any:
    """Give a value, awaited where need be."""
    return await value if inspect.isawaitable(value) else value


async def enqueue(client: Client, way: str, ask: dict[str, Any]) -> dict[str, Any]:
    """Enqueue until all are, or time is up."""
    task, args = ask.get("task", "noop"), ask.get("args", [])
    count, delay, ends = ask["count"], ask.get("delay", 0), time.monotonic() + ask["seconds"]
    began, cpu, done = time.perf_counter(), time.process_time(), 0
    if way == "many":
        while done < count and time.monotonic() < ends:
            some = min(CHUNK, count - done)
            await now(client.many(task, args, some, delay))  # type: ignore[misc]
            done += some
    elif way == "callers":
        done = await _callers(lambda: client.one(task, args, delay), count, ends)
    else:
        while done < count and time.monotonic() < ends:
            await now(client.one(task, args, delay))
            done += 1
    return {"jobs": done, "seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


async def _callers(once: Callable[[], Awaitable[Any]], count: int, ends: float) -> int:
    left, done = iter(range(count)), 0

    async def caller() -> None:
        nonlocal done
        for _ in left:
            await once()
            done += 1
            if time.monotonic() > ends:
                return

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done


async def latency(client: Client, ask: dict[str, Any]) -> dict[str, Any]:
    """Enqueue single jobs to idle workers and wait for each one's result."""
    for _ in range(WARM):
        with contextlib.suppress(Exception):  # what the first meet while a worker starts does not count
            await _once(client)
    found, ends = [await _once(client)], time.monotonic() + ask["seconds"]
    while len(found) < ask["count"] and time.monotonic() < ends:
        found.append(await _once(client))
    return {"starts": [start for start, _ in found], "results": [result for _, result in found]}


async def _once(client: Client) -> tuple[float, float]:
    await asyncio.sleep(random.random() * PAUSE_S)
    began = time.monotonic_ns()
    started = int(await now(client.call("stamp")))
    return (started - began) / 1e6, (time.monotonic_ns() - began) / 1e6


async def answer(client: Client, ask: dict[str, Any]) -> dict[str, Any]:
    """Answer one question."""
    takes_many, waits = client.many is not None, inspect.iscoroutinefunction(client.one)
    match ask["do"], ask.get("way"):
        case "fill", _:
            return await enqueue(client, "many" if takes_many else "callers" if waits else "one", ask)
        case "enqueue", "many" if not takes_many:
            return {"none": "it has no call that takes many jobs"}
        case "enqueue", "callers" if not waits:
            return {"none": "it blocks: one caller at a time"}
        case "enqueue", way:
            return await enqueue(client, str(way), ask)
        case _:
            return await latency(client, ask)


async def _converse(client: Client) -> None:
    await now(client.open())
    print(json.dumps({"ready": True}), flush=True)
    for line in iter(sys.stdin.readline, ""):  # blocks the loop, and nothing else is to be done meanwhile
        try:
            said = await answer(client, json.loads(line))
        except NotImplementedError as missing:
            said = {"none": str(missing)}
        print(json.dumps(said), flush=True)


def play(client: Callable[[], Client], command: Sequence[str]) -> None:
    """Be the client, or become the worker."""
    if sys.argv[1:] == ["client"]:
        asyncio.run(_converse(client()))
    else:
        program = str(Path(sys.executable).parent / command[0])
        os.execv(program, [program, *command[1:]])
