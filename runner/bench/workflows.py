"""A group of very many nodes: what it holds, how long its scripts take, and how fast it ends."""

import asyncio
import json
import time
from typing import Any

from redis.asyncio import ConnectionPool

from ..client import Client
from ..parts import Call
from ..registry import Registry
from ..settings import Settings
from ..tasks import task
from ..wire import codec
from ..wire.keys import keys_of
from ..wire.scripts import Claimed, End, Scripts
from ..wire.workflows import node_word
from ..workflow.door import Workflows
from ..workflow.plan import chord
from .options import Options
from .report import Kind, Sample
from .stage import Stage

BATCH = 100

FIGURES = {
    "start": Kind("nodes/s"),
    "memory a node": Kind("B", "< 400"),
    "payload a node": Kind("B"),
    "run": Kind("nodes/s"),
    "script p99": Kind("ms", "< 5"),
    "slowest script": Kind("ms", "< 5"),
}


@task
async def _count(ctx: Any, number: int) -> int: ...


@task
async def _sum(ctx: Any, numbers: list[int]) -> int: ...


def measure(stage: Stage, options: Options) -> Sample:
    """Start a chord, end its nodes as a worker would, a hundred a call, and see the callback become due."""
    stage.clear()
    stage.redis.config_resetstat()
    return asyncio.run(_measure(stage, options.jobs))


async def _measure(stage: Stage, nodes: int) -> Sample:
    client = Client(ConnectionPool.from_url(stage.url))
    workflows = Workflows(client, Settings(tasks=()), Registry([_count, _sum]))
    calls = [Call(_count, (number,), {}) for number in range(nodes)]
    empty = stage.memory()
    began = time.perf_counter()
    flow = await workflows.start(chord(calls, _sum.call()))
    started_s = time.perf_counter() - began
    payload = sum(stage.redis.strlen(f"arq:job:{flow.id}:{n}") for n in range(1, 101)) / 100
    held = (stage.memory() - empty) / nodes - payload
    try:
        began = time.perf_counter()
        await _run(client, workflows, nodes)
        seconds = time.perf_counter() - began
        assert stage.redis.zcard("arq:queue") == 1, "the callback is due"  # noqa: S101 - the bench's own proof
    finally:
        await client.close()
    return {
        "start": nodes / started_s,
        "memory a node": held,
        "payload a node": payload,
        "run": nodes / seconds,
        "script p99": _script_ms(stage, 0.99),
        "slowest script": _script_ms(stage, 1),
    }


def _script_ms(stage: Stage, share: float) -> float:
    """Give what this share of all scripts did not exceed, up to the next power of two in us."""
    _, (_, calls, _, buckets) = stage.redis.execute_command("LATENCY", "HISTOGRAM", "evalsha")
    pairs = zip(buckets[::2], buckets[1::2], strict=True)
    return next(bound for bound, within in pairs if within >= calls * share) / 1000


async def _run(client: Client, workflows: Workflows, nodes: int) -> None:
    keys, scripts = keys_of("default"), Scripts(client.execute)
    for number in range(0, nodes, BATCH):
        token = f"t{number}"
        claim = await scripts.claim(keys, token=token, worker="bench", limit=BATCH, lease_ms=60_000)
        await scripts.finish(keys, [_end(job, token) for job in claim.jobs])
        while await workflows.advancing.settle(keys):
            pass


def _end(job: Claimed, token: str) -> End:
    payload = codec.decode_job(job.payload or b"")
    meta = payload.m or codec.Meta()
    word = node_word("done", meta.e, meta.w, json.dumps(payload.a[0]).encode())
    return End(job.job_id, token, job.fence, "done", 0, b"", "", job.attempt, word)
