"""How long each page of the dashboard takes over a million jobs, asked in this process."""

import asyncio
import gc
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx

from ..app import Runner
from ..clock import SYSTEM_CLOCK
from ..settings import Settings
from ..wire import codec
from ..wire.destinations import DestinationScripts
from ..wire.keys import keys_of
from .options import Options
from .report import Kind, Sample
from .stage import Stage

AT_ONCE = 5_000
ASKED = 11
"""How often each page is asked for; the slowest answer is that of all but the first."""
DEAD = 50_000
"""Dead letters beside the jobs."""
LATER_MS = 86_400_000

PATHS = {
    "overview": "",
    "queues": "queues",
    "ready jobs": "queue?name=default&state=ready",
    "ready by task": "queue?name=default&state=ready&task=rare",
    "scheduled": "queue?name=default&state=scheduled",
    "dead jobs": "queue?name=default&state=dead",
    "a job": "job?id=j7&queue=default",
    "failures": "dead",
    "failures of one": "dead?error=TimeoutError&host=no.example",
    "replay": "replay?error=ConnectError",
    "a replay by destination": "replay?destination=host:shop.example",
    "destinations": "destinations",
    "a destination": "destination?key=host:d7",
    "schedules": "schedules",
    "limits": "limits",
    "workflows": "workflows",
    "workers": "workers",
    "settings": "settings",
}

FIGURES = {
    **{f"{name} p50": Kind("ms", "< 100") for name in PATHS},
    **{f"{name} slowest": Kind("ms", "< 100") for name in PATHS},
}


def measure(stage: Stage, options: Options) -> Sample:
    """Fill a queue with jobs, three quarters ready and the rest due tomorrow, and ask for every page."""
    stage.clear()
    _fill(stage, options.jobs)
    return asyncio.run(_ask(stage.url))


def _fill(stage: Stage, jobs: int) -> None:
    """Write jobs and letters as enqueue and finish would, thousands a command."""
    keys, now_ms = keys_of("default"), round(stage.redis.time()[0] * 1000)
    payload = codec.encode_job(
        "bench_noop", ("https://shop.example/hook", 17), {"note": "n" * 40}, now_ms, codec.Meta()
    )
    numbers = iter(range(jobs))
    while some := list(islice(numbers, AT_ONCE)):
        pipe = stage.redis.pipeline(transaction=False)
        pipe.mset({keys.job(f"j{n}"): payload for n in some})
        pipe.zadd(keys.queue, {f"j{n}": now_ms - n if n % 4 else now_ms + LATER_MS + n for n in some})
        pipe.execute()
    letters = iter(_letters(payload, now_ms))
    while some := list(islice(letters, AT_ONCE)):
        pipe = stage.redis.pipeline(transaction=False)
        for job_id, fields in some:
            pipe.hset(keys.dead_letter(job_id), mapping=fields)
        pipe.zadd(keys.dead, {job_id: fields["at"] for job_id, fields in some})
        pipe.execute()


def _letters(payload: bytes, now_ms: int) -> Iterator[tuple[str, dict[str, Any]]]:
    note = b'{"n":3,"task":"bench_noop","error":{"type":"httpx.ConnectError","message":"refused"}}'
    for n in range(DEAD):
        at = now_ms - n
        fields = {
            "payload": payload,
            "reason": "max_tries",
            "attempts": 3,
            "at": at,
            "note": note,
            "bytes": 400,
        }
        yield f"d{n}", fields


async def _ask(url: str) -> Sample:
    runner = Runner(Settings.model_validate({"redis": {"url": url}, "tasks": []}))
    transport = httpx.ASGITransport(app=runner.dashboard(), client=("127.0.0.1", 1))
    figures: Sample = {}
    async with runner, httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await _call(runner)
        gc.freeze()  # as ``runner dashboard`` does
        for name, path in PATHS.items():
            took = [await _time(client, f"/{path}") for _ in range(ASKED)][1:]
            figures[f"{name} p50"] = statistics.median(took)
            figures[f"{name} slowest"] = max(took)
    return figures


async def _call(runner: Runner) -> None:
    """Tell of calls to a thousand destinations, in each minute of an hour to some of them."""
    told = DestinationScripts(runner.client.execute, keys_of("default"))
    now_ms = SYSTEM_CLOCK.now_ms()
    for minute in range(60):
        for n in range(minute % 10, 1000, 10):
            told.note(f"host:d{n}", "ok" if n % 7 else "failed", n / 500)
        await told.tell(now_ms=now_ms - minute * 60_000)


async def _time(client: httpx.AsyncClient, path: str) -> float:
    began = time.perf_counter()
    (await client.get(path)).raise_for_status()
    return (time.perf_counter() - began) * 1000
