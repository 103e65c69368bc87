"""Rates over several processes, seen by who receives; and what waiting jobs cost the others."""

import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis

from runner.rates import rate_of
from runner.wire import codec
from runner.wire.keys import keys_of
from runner.wire.limits import LimitScripts, Take, Want
from runner.wire.link import Link
from runner.wire.scripts import Entry, Scripts

KEYS = keys_of("default")
JOBS, RATE, BURST = 600, 200, 20
JITTER_S = 0.25
"""A datagram may be so much later than its grant: a process that sleeps late bunches what it sends."""


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    pool = ConnectionPool.from_url(redis_url)
    made = Link(pool)
    yield made
    await made.close()
    await pool.aclose()


async def enqueue(scripts: Scripts, prefix: str, count: int, *, delay_ms: int = 0) -> None:
    payload = codec.encode_job("send", (1,), {}, 1, codec.Meta())
    for first in range(0, count, 500):
        entries = [
            Entry(f"{prefix}{first + i}", 0, delay_ms, payload) for i in range(min(500, count - first))
        ]
        await scripts.enqueue(KEYS, entries)


async def test_four_processes_together_keep_the_bound_at_the_receiver(
    link: Link, redis_url: str, forks: Any
) -> None:
    """By the receiver's own clock no window has more than burst + rate × t, and every job arrives once."""
    await enqueue(Scripts(link.execute), "job ", JOBS)
    with (
        tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
    ):
        place = str(Path(folder) / "receiver")
        receiver.bind(place)
        receiver.settimeout(20)
        script = Path(__file__).with_name("rate_process.py")
        workers = [forks.start(script, redis_url, place) for _ in range(4)]
        try:
            came: list[float] = []
            while len(came) < JOBS:
                receiver.recv(64)
                came.append(time.monotonic())
        finally:
            for worker in workers:
                forks.end(worker)
    windows = [
        (j - i + 1 - BURST - RATE * (came[j] - came[i]), came[j] - came[i])
        for i in range(JOBS)
        for j in range(i, JOBS)
    ]
    worst, length_s = max(windows)
    sys.stdout.write(f"worst window: {length_s:.3f} s, {worst:+.2f} of the bound (pytest -rP shows it)\n")
    assert worst <= RATE * JITTER_S, f"worst window of {length_s:.3f} s: {worst:+.2f} of the bound"


async def commands(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(each["calls"] for name, each in stats.items() if "evalsha" not in name and "info" not in name)


async def drained(scripts: Scripts, redis: Redis, count: int) -> int:
    """Claim so many jobs in batches, and give how many commands the server ran for it."""
    before, claimed = await commands(redis), 0
    while claimed < count:
        claim = await scripts.claim(KEYS, token=f"t{claimed}", worker="w", limit=500, lease_ms=15_000)
        claimed += len(claim.jobs)
        assert claim.jobs
    return await commands(redis) - before


async def test_a_hundred_thousand_parked_jobs_cost_the_others_nothing(link: Link, redis: Redis) -> None:
    """Claiming 10,000 free jobs takes as many commands beside 100,000 that wait as without."""
    scripts = Scripts(link.execute)
    await enqueue(scripts, "free ", 10_000)
    alone = await drained(scripts, redis, 10_000)
    await redis.flushdb()
    await enqueue(scripts, "parked ", 100_000, delay_ms=600_000)
    await enqueue(scripts, "free ", 10_000)
    assert await drained(scripts, redis, 10_000) <= alone + 50


async def test_a_take_costs_the_same_however_long_the_line_is(link: Link, redis: Redis) -> None:
    """Five hundred takes of a bucket are a read and a write, at the head of the line or behind 100,000."""
    limits, rate = LimitScripts(link.execute), rate_of("1000/s", 1)
    takes = [Take("line", [Want("b", "b", 1, rate)])] * 500
    costs: list[int] = []
    for _ in range(200):
        before = await commands(redis)
        answers = await limits.take_all(takes)
        costs.append(await commands(redis) - before)
    assert answers[-1].place_us > 90_000_000
    assert max(costs[1:]) - min(costs[1:]) <= 4
    assert max(costs[1:]) < 12
