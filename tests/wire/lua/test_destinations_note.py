"""destinations_note.lua: calls by destination, minute and hour, never more than is bounded."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from runner.client import Client
from runner.wire.destinations import MOST, OTHERS, DestinationScripts
from runner.wire.keys import Keys


@pytest.fixture
async def execute(redis: Redis) -> AsyncIterator[Any]:
    """Replies as the server writes them."""
    client = Client(redis.connection_pool)
    yield client.execute
    await client.close()


NOON_MS = 1_700_000_000_000 // 3_600_000 * 3_600_000


async def test_calls_are_counted_by_the_minute_and_by_the_hour(execute: Any, keys: Keys) -> None:
    """Two workers' words add up; what is older than hour or day counts no more; slots are reused."""
    one, other = (DestinationScripts(execute, keys) for _ in range(2))
    one.note("host:a", "ok", 0.06)
    one.note("host:a", "failed", 30)
    one.note("host:a", "none", 1)
    other.note("host:a", "throttled", 0.001)
    await one.tell(now_ms=NOON_MS)
    await other.tell(now_ms=NOON_MS + 59_999)
    await one.tell(now_ms=NOON_MS)  # nothing new
    found = await one.heard("host:a", now_ms=NOON_MS + 61_000)
    assert [tally.calls for tally in found.minutes[-3:]] == [0, 3, 0]
    now = found.hours[-1]
    assert (now.ok, now.failed, now.throttled, now.took) == (1, 1, 1, (1, 1, 0, 0, 0, 0, 0, 0, 1))
    assert (now.within_ms(0.5), now.within_ms(0.9)) == (100, float("inf"))
    one.note("host:a", "ok", 1)
    await one.tell(now_ms=NOON_MS + 3_600_000)  # the same slots of an hour later
    found = await one.heard("host:a", now_ms=NOON_MS + 3_600_000)
    assert [tally.calls for tally in found.minutes] == [0] * 59 + [1]
    assert [tally.calls for tally in found.hours[-2:]] == [3, 1]
    assert (
        sum(t.calls for t in (await one.heard("host:a", now_ms=NOON_MS + 86_400_000 + 3_600_000)).hours) == 0
    )
    assert await one.names() == (["host:a"], ["host:a"])


async def test_what_is_kept_is_bounded_and_leaves_by_itself(redis: Redis, execute: Any, keys: Keys) -> None:
    """A thousand a queue; calls to more count together. Each hash expires, the lists are swept."""
    desk = DestinationScripts(execute, keys)
    for start in range(0, MOST + 100, 100):
        for n in range(start, start + 100):
            desk.note(f"host:{n}", "ok", 0.1)
        await desk.tell()
    heard, failed = await desk.names()
    assert (len(heard), failed, heard[0]) == (MOST + 1, [], OTHERS)
    told: Any = await desk.heard(OTHERS, now_ms=(await redis.time())[0] * 1000)
    assert sum(tally.calls for tally in told.hours) == 100
    assert 0 < await redis.pttl(keys.destination("host:0")) <= 25 * 3_600_000
    size = await redis.memory_usage(keys.destination("host:0"))
    assert size
    assert size < 300
    desk.note("host:new", "ok", 0.1)
    await desk.tell(now_ms=(await redis.time())[0] * 1000 + 26 * 3_600_000)
    assert await desk.names() == (["host:new"], [])
