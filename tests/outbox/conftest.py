"""A shop with a database, which is a file of SQLite, and a runner without a worker.

| fixture | gives |
| --- | --- |
| `engine` | of a SQLite file with the table of the outbox, and one of orders |
| `session` | `async with session() as s:`: a session on it |
| `rows` | `await rows()`: ids of the jobs in the outbox, in order |
| `queued` | `await queued()`: ids of the jobs on the server |
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from runner import Context, Runner, Settings, task
from runner.outbox import METADATA, OUTBOX


@task
async def confirm(ctx: Context, order: str) -> str:
    return order


@pytest.fixture
def runner(redis_url: str) -> Runner:
    given = {"redis": {"url": redis_url}, "tasks": (), "queues": {"bulk": {"max_waiting": 2}}}
    return Runner(Settings.model_validate(given), tasks=[confirm])


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/shop.db"


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(text("CREATE TABLE orders (id TEXT)"))
    yield engine
    await engine.dispose()


@pytest.fixture
def session(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False)


@pytest.fixture
def rows(engine: AsyncEngine) -> Callable[[], Awaitable[list[str]]]:
    async def read() -> list[str]:
        async with engine.connect() as connection:
            found = await connection.execute(select(OUTBOX.c.job_id).order_by(OUTBOX.c.position))
            return list(found.scalars())

    return read


@pytest.fixture
def queued(redis: Redis) -> Callable[[], Awaitable[list[str]]]:
    async def read() -> list[str]:
        found: list[bytes] = []
        for queue in ("arq:queue", "arq:queue:bulk", "arq:queue:critical"):
            found += await redis.zrange(queue, 0, -1)
        return sorted(job.decode() for job in found)

    return read
