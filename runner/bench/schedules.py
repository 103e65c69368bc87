"""How 100,000 schedules weigh on a worker that has nothing to do, and how late 1,000 ticks a second are."""

import asyncio
import time
from datetime import UTC, datetime

from redis.asyncio import ConnectionPool

from .. import events
from ..schedules.declare import every
from ..schedules.kept import Kept
from ..schedules.ticker import Ticker
from ..tasks import task
from ..wire.keys import keys_of
from ..wire.link import Link
from .options import Options
from .report import Kind, Sample, percentile
from .stage import Stage

IDLE_S = 10.0
TICKING_S = 10.0
TICKS_A_SECOND = 1000

FIGURES = {
    "load": Kind("s"),
    "idle": Kind("% of a core", "< 1"),
    "ticks": Kind("/s"),
    "late p50": Kind("ms"),
    "late p99": Kind("ms", "< 250"),
    "busy": Kind("% of a core"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Measure one ticker alone, without the jobs that its ticks make."""
    stage.clear()
    return asyncio.run(_measure(stage.url, options.jobs))


async def _measure(url: str, schedules: int) -> Sample:
    pool: ConnectionPool = ConnectionPool.from_url(url)
    link = Link(pool)
    try:
        return {**await _idle(link, schedules), **await _ticking(link, schedules)}
    finally:
        await link.close()
        await pool.aclose()


async def _idle(link: Link, schedules: int) -> Sample:
    keys = keys_of("bench")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    made = [Kept(every("365d", _nothing, name=f"idle-{n}", anchor=noon), keys) for n in range(schedules)]
    ticker = Ticker(link.execute, made, queues=[keys])
    began = time.perf_counter()
    await ticker.load()
    loaded_s = time.perf_counter() - began
    running = asyncio.create_task(ticker.run())
    await asyncio.sleep(loaded_s * 2 + 1)  # it loads once more, of its own
    spent = time.process_time()
    await asyncio.sleep(IDLE_S)
    spent = time.process_time() - spent
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return {"load": loaded_s, "idle": spent / IDLE_S * 100}


async def _ticking(link: Link, schedules: int) -> Sample:
    keys = keys_of("bench")
    period_s = schedules / TICKS_A_SECOND
    made = [
        Kept(every(period_s, _nothing, name=f"busy-{n}", anchor=_anchor(n), overlap="allow"), keys)
        for n in range(schedules)
    ]
    ticker, late = Ticker(link.execute, made), list[float]()
    await ticker.load()
    end = events.subscribe("schedule.ticked", lambda event: late.append(event["late_ms"]))
    spent, began = time.process_time(), time.perf_counter()
    try:
        while time.perf_counter() - began < TICKING_S:  # noqa: ASYNC110 - the clock is what it waits for  # noqa: ASYNC110 - the ticker says how long to sleep
            await asyncio.sleep(min(await ticker.step(), 1.0))
    finally:
        end()
    wall, spent = time.perf_counter() - began, time.process_time() - spent
    steady = late[len(late) // 5 :]  # what fell due while it loaded comes first
    return {
        "ticks": len(late) / wall,
        "late p50": percentile(steady, 0.5),
        "late p99": percentile(steady, 0.99),
        "busy": spent / wall * 100,
    }


def _anchor(n: int) -> datetime:
    return datetime.fromtimestamp(n / TICKS_A_SECOND, UTC)


@task(name="bench_nothing")
async def _nothing(ctx: object) -> None: ...
