"""What our workers run in a bench."""

import asyncio
import time

from ..context import Context
from ..tasks import task


@task(name="bench_noop")
async def noop(_ctx: Context) -> None:
    """Do nothing; the result is kept."""


@task(name="bench_sleep")
async def sleep(_ctx: Context, seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


@task(name="bench_stamp")
async def stamp(_ctx: Context) -> int:
    """Give the moment of the call, in ns of the machine's monotonic clock, which all processes share."""
    return time.monotonic_ns()
