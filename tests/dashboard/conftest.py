"""A dashboard over a real server, asked in this process; and in a browser where there is one.

| fixture | gives |
| --- | --- |
| `runner` | a connected runner with tasks, schedules and limits |
| `tasks` | its tasks: `tasks.charge` and the others |
| `work` | `await work()`: a worker runs all that is due |
| `browse` | `browse()`: an httpx client that sits at this machine; `browse("read")`: one that may only look |
"""

import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from runner import (
    Breaker,
    Concurrency,
    Context,
    GiveUp,
    RateLimit,
    Runner,
    Settings,
    backoff,
    cron,
    every,
    task,
)

sys.path.insert(0, str(Path(__file__).parent))
from chromium import BINARY

collect_ignore = [] if BINARY else ["test_browser.py"]

SAME_SITE = {"sec-fetch-site": "same-origin"}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not BINARY:
        terminalreporter.write_line(
            "tests/dashboard/test_browser.py was left out: no Chromium here; install Debian's package "
            "chromium, or name one in CHROMIUM"
        )


@task(max_tries=1, breaker=Breaker("to", key=lambda url: url, open_after=999, volume=9999))
async def deliver(ctx: Context, url: str, payload: dict[str, Any], api_key: str = "") -> None:
    ctx.report_health("failed")
    raise GiveUp(f"answered 503, token=hunter2 {url}")


@task(
    rate_limit=RateLimit("bank", "50/s"),
    concurrency=Concurrency("ledger", 5),
    breaker=Breaker("host:bank"),
    retry=backoff.constant(3600),
)
async def charge(ctx: Context, order: str, cents: int = 1) -> str:
    if order == "later":
        raise TimeoutError("the bank was silent")
    return order


@task
async def join(ctx: Context, values: list[Any]) -> int:
    return len(values)


@task
async def loose(ctx: Context, *values: int, **named: int) -> None: ...


TASKS = (deliver, charge, join, loose)
SCHEDULES = (
    cron("0 8 * * 1-5", charge, args=("daily",), name="daily", tz="Europe/Berlin"),
    every(timedelta(minutes=5), charge, args=("often",), name="often"),
)


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[Runner]:
    settings = Settings(
        redis={"url": redis_url},  # type: ignore[arg-type]
        tasks=[],  # type: ignore[arg-type]
        webhooks={"secrets": {"shop": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},  # type: ignore[arg-type]
    )
    async with Runner(settings, tasks=TASKS, schedules=SCHEDULES) as made:
        yield made


@pytest.fixture
async def browse(runner: Runner) -> Callable[..., httpx.AsyncClient]:
    local = runner.dashboard()

    def client(
        role: Any = "local", *, app: ASGIApp | None = None, peer: str = "127.0.0.1"
    ) -> httpx.AsyncClient:
        chosen = app or (local if role == "local" else runner.dashboard(authorize=lambda _: role))
        transport = httpx.ASGITransport(app=chosen, client=(peer, 1))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=SAME_SITE)

    return client


@pytest.fixture
def work(runner: Runner, wait_until: Callable[..., Any]) -> Callable[[], Any]:
    async def until_nothing_is_due() -> None:
        async with runner.worker():
            await wait_until(nothing_is_due, "all that is due has run")

    async def nothing_is_due() -> bool:
        return not sum(queue.ready + queue.running for queue in await runner.inspector.queues())

    return until_nothing_is_due


@pytest.fixture
def tasks() -> Any:
    return SimpleNamespace(deliver=deliver, charge=charge, join=join, loose=loose)
