"""What is written with outcomes: an effect first, whatever the server says."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.middleware.endings import Endings
from runner.wire.effects import EffectScripts, owner_of
from runner.wire.keys import Layout
from runner.wire.link import Link
from runner.wire.lua_loader import load

OWNER = owner_of("t", 1, "job")


class Worker:
    """One connection, what went over it in order, and the endings that use it."""

    def __init__(self, link: Link, layout: Layout = "classic") -> None:
        self.link, self.sent = link, list[str]()
        prompt: Any = lambda call: call()  # noqa: E731
        self.scripts = EffectScripts(self.execute, prompt, layout=layout, bell="bell", lease_ms=60_000)
        self.endings = Endings(self.scripts, layout)

    def execute(self, *command: Any) -> Any:
        self.sent.append("effect" if load("idempotency_finish").sha in command else str(command[0]))
        return self.link.execute(*command)

    async def begin(self, digest: str) -> None:
        assert await self.scripts.begin.put((digest, "", OWNER)) == (b"new", b"")
        self.endings.ends.append((digest, OWNER, "D", 60_000, b'"%s"' % digest.encode()))

    async def settle(self) -> Any:
        """Do what a round does: what goes before, then the outcomes."""
        self.sent.clear()
        if (first := self.endings.before_outcomes()) is not None:
            await first
            self.sent.append("(awaited)")
        return await self.execute("ECHO", "outcomes")


@pytest.fixture
async def link(redis: Redis) -> Any:
    link = Link(redis.connection_pool)
    yield link
    await link.close()


async def is_done(redis: Redis, digest: str, prefix: str = "runner:") -> bool:
    return b'"%s"' % digest.encode() in await redis.get(f"{prefix}once:{digest}")


async def test_an_end_goes_ahead_of_the_outcomes_once_the_server_has_taken_one(
    link: Link, redis: Redis
) -> None:
    """The first is awaited; from then on both travel in one trip, the effect first."""
    worker = Worker(link)
    await worker.begin("a")
    await worker.settle()
    assert worker.sent[-2:] == ["(awaited)", "ECHO"]
    await worker.begin("b")
    await worker.settle()
    assert worker.sent == ["effect", "ECHO"]
    assert await is_done(redis, "a")
    assert await is_done(redis, "b")
    assert worker.endings.before_outcomes() is None


async def test_an_end_that_is_refused_alone_is_written_at_once(
    link: Link, redis: Redis, wait_until: Any
) -> None:
    """The server has forgotten the script, the outcome went through: the effect waits for no other."""
    worker = Worker(link)
    await worker.begin("a")
    await worker.settle()
    await redis.script_flush()
    await worker.begin("b")
    await worker.settle()
    assert worker.sent[:2] == ["effect", "ECHO"]
    await wait_until(lambda: is_done(redis, "b"), "it is written without another outcome")
    await worker.begin("c")
    await worker.settle()
    assert await is_done(redis, "c")


async def test_a_worker_that_stops_writes_what_was_refused_alone(link: Link, redis: Redis) -> None:
    """Its job is over and nobody would come again: the effect would look begun, and be made a second time."""
    worker = Worker(link)
    await worker.begin("a")
    await worker.settle()
    await redis.script_flush()
    await worker.begin("b")
    await worker.settle()
    await worker.endings.close()
    assert await is_done(redis, "b")


async def test_after_a_refusal_outcomes_wait_again(link: Link, redis: Redis) -> None:
    """A broken connection took the end and its outcome along: the next round makes sure of the effect."""
    worker = Worker(link)
    await worker.begin("a")
    await worker.settle()
    await worker.begin("b")
    assert worker.endings.before_outcomes() is None
    link._break(RedisConnectionError("cut"))
    await asyncio.sleep(0)  # the refusal is told
    assert [end[0] for end in worker.endings.ends] == ["b"]
    await worker.settle()
    assert worker.sent[-2:] == ["(awaited)", "ECHO"]
    assert await is_done(redis, "b")
    await worker.endings.close()


async def test_where_records_may_lie_elsewhere_every_end_is_awaited(link: Link, redis: Redis) -> None:
    """Two servers of a cluster keep no order between them."""
    worker = Worker(link, "tagged")
    for digest in ("a", "b"):
        await worker.begin(digest)
        await worker.settle()
        assert worker.sent[-2:] == ["(awaited)", "ECHO"]
        assert await is_done(redis, digest, "runner:{effects}:")


async def test_a_lock_is_given_back_in_the_trip_of_the_outcomes(link: Link, redis: Redis) -> None:
    """And nobody waits for it."""
    worker = Worker(link)
    fence = await worker.scripts.lock.put(("door", OWNER, 0))
    worker.endings.gives.append(("door", OWNER))
    await redis.script_load(load("lock_release").source)
    assert isinstance(fence, bytes)
    assert worker.endings.before_outcomes() is None
    await link.execute("PING")
    assert OWNER.encode() not in await redis.get("runner:lock:door")


async def test_a_lock_whose_release_was_refused_is_given_back_all_the_same(
    link: Link, redis: Redis, wait_until: Any
) -> None:
    """The server has lost the script: those in line need not wait for the lease."""
    worker = Worker(link)
    await worker.scripts.lock.put(("door", OWNER, 0))
    worker.endings.gives.append(("door", OWNER))
    await redis.script_flush()
    assert worker.endings.before_outcomes() is None

    async def is_free() -> bool:
        return OWNER.encode() not in await redis.get("runner:lock:door")

    await wait_until(is_free, "the lock is free")
