"""What our workers run in a bench."""

import asyncio
import ctypes
import time

from ..context import Context
from ..effects import Idempotency, Lock
from ..lanes import Concurrency
from ..rates import RateLimit
from ..tasks import task


@task(name="bench_noop")
async def noop(_ctx: Context) -> None:
    """Do nothing; the result is kept."""


@task(name="bench_thread", isolation="thread")
def in_a_thread(_ctx: Context) -> None:
    """Do nothing, there."""


@task(name="bench_process", isolation="process")
def in_a_process(_ctx: Context) -> None:
    """Do nothing, there."""


@task(name="bench_crashes", isolation="process", max_tries=1)
def crashes(_ctx: Context) -> None:
    """End by a segmentation fault."""
    ctypes.string_at(0)


@task(name="bench_loops", isolation="process", timeout=0.5, max_tries=1)
def loops(_ctx: Context) -> None:
    """Never end."""
    while True:
        pass


@task(name="bench_leaks", isolation="process", max_tries=1)
def leaks(_ctx: Context) -> int:
    """Take more memory than there is."""
    return len([bytearray(1 << 25) for _ in range(1024)])


@task(name="bench_blocks", isolation="thread", max_tries=1)
def blocks(_ctx: Context) -> None:
    """Block a thread."""
    time.sleep(0.5)


@task(name="bench_sleep")
async def sleep(_ctx: Context, seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


@task(name="bench_stamp")
async def stamp(_ctx: Context) -> int:
    """Give the moment of the call, in ns of the machine's monotonic clock, which all processes share."""
    return time.monotonic_ns()


@task(name="bench_plain")
async def plain(_ctx: Context, number: int) -> None:
    """Do nothing with an argument: what the three below are compared with."""


@task(name="bench_lock", lock=Lock("bench:{number}"))
async def locked(_ctx: Context, number: int) -> None:
    """Do nothing, one at a time for each number."""


@task(name="bench_once", idempotency=Idempotency())
async def once(_ctx: Context, number: int) -> None:
    """Do nothing, once for each number."""


@task(name="bench_both", lock=Lock("bench:{number}"), idempotency=Idempotency())
async def both(_ctx: Context, number: int) -> None:
    """Do nothing, once and one at a time for each number."""


@task(name="bench_rated", rate_limit=RateLimit("bench rate", "100000/s", burst=1_000_000))
async def rated(_ctx: Context, number: int) -> None:
    """Do nothing, at a rate that is never reached."""


@task(name="bench_gated", concurrency=Concurrency("bench gate", 1_000_000))
async def gated(_ctx: Context, number: int) -> None:
    """Do nothing, with a slot of a gate that is never full."""


@task(name="bench_full", concurrency=Concurrency("bench full gate", 50))
async def full(_ctx: Context, number: int) -> None:
    """Do nothing, at most 50 at once."""


@task(name="bench_blocked", concurrency=Concurrency("bench blocked", 0))
async def blocked(_ctx: Context, number: int) -> None:
    """Wait behind a gate that lets nobody through."""


@task(name="bench_tenant", tenant="{number}")
async def tenanted(_ctx: Context, number: int) -> None:
    """Do nothing, for a tenant."""
