"""Stock arq's side of a bench: the same work, in its own settings class, with its own serializer.

BENCH_URL=… BENCH_MAX_JOBS=100 arq runner.bench.stock_arq.WorkerSettings
"""

import asyncio
import os
import time
from typing import Any

import httpx
from arq.connections import RedisSettings


async def bench_noop(_ctx: dict[Any, Any]) -> None:
    """Do nothing; the result is kept."""


async def bench_sleep(_ctx: dict[Any, Any], seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def bench_stamp(_ctx: dict[Any, Any]) -> int:
    """Give the moment of the call, in ns of the machine's monotonic clock."""
    return time.monotonic_ns()


async def send_webhook(ctx: dict[Any, Any], url: str, payload: str) -> int:
    """Deliver as arq's guide does it: one shared ``httpx.AsyncClient``, with its own pool."""
    answer = await ctx["http"].post(url, content=payload)
    return answer.status_code


async def open_http(ctx: dict[Any, Any]) -> None:
    """Make the shared client: a connection a job and no timeouts, or its own pool would fail most jobs."""
    limits = httpx.Limits(
        max_connections=WorkerSettings.max_jobs, max_keepalive_connections=WorkerSettings.max_jobs
    )
    ctx["http"] = httpx.AsyncClient(timeout=None, limits=limits)  # noqa: S113


async def close_http(ctx: dict[Any, Any]) -> None:
    """Close the shared client."""
    await ctx["http"].aclose()


class WorkerSettings:
    """What ``arq`` runs."""

    functions = (bench_noop, bench_sleep, bench_stamp, send_webhook)
    redis_settings = RedisSettings.from_dsn(os.environ.get("BENCH_URL", "redis://localhost:6379"))
    max_jobs = int(os.environ.get("BENCH_MAX_JOBS", "100"))
    on_startup = open_http
    on_shutdown = close_http
