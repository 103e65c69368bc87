"""What the tests of bad input share.

| fixture | gives |
| --- | --- |
| `runner` | a connected Runner on the test's database, with the tasks of `sample` |
| `sample` | tasks to be called wrongly |
| `serve` | `await serve(runner)`: a worker in this loop until the queues are empty |
| `is_untouched` | `await is_untouched()`: nothing at all was written to the database |
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis

from runner import Context, Runner, Settings, task
from runner.engine.worker import Worker
from runner.settings.model import RedisGroup
from runner.worker_parameters import worker_parameters


@task(max_tries=1)
async def ship(ctx: Context, order: str, boxes: int = 1) -> str:
    return f"{boxes} of {order}"


@task(max_tries=1)
async def give(ctx: Context) -> Any:
    return object()


@task(max_tries=1)
async def take(ctx: Context, anything: Any) -> None: ...


@dataclass
class Fragile:
    """A model that raises what no model should."""

    weight: int

    def __post_init__(self) -> None:
        raise KeyError(self.weight)


@task
async def weigh(ctx: Context, what: Fragile) -> None: ...


@pytest.fixture
def sample() -> SimpleNamespace:
    return SimpleNamespace(ship=ship, give=give, take=take, weigh=weigh)


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[Runner]:
    settings = Settings(redis=RedisGroup(url=redis_url), tasks=())
    async with Runner(settings, tasks=[ship, give, take, weigh]) as connected:
        yield connected


@pytest.fixture
def serve() -> Callable[[Runner], Awaitable[None]]:
    async def run(runner: Runner) -> None:
        parameters = worker_parameters(runner, runner.server_url())
        worker = Worker(**parameters, burst=True, handle_signals=False)
        try:
            await worker.main()
        finally:
            await worker.close()

    return run


@pytest.fixture
def is_untouched(redis: Redis) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await redis.dbsize() == 0

    return look
