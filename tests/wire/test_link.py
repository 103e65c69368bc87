"""One connection for everybody: what travels together, and what a failure takes with it."""

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvloop
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from runner.wire import lua_loader
from runner.wire.keys import keys_of
from runner.wire.link import Link
from runner.wire.scripts import Entry, Scripts


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    pool = ConnectionPool.from_url(redis_url)
    link = Link(pool)
    yield link
    await link.close()
    await pool.aclose()


async def test_commands_of_one_iteration_are_one_write(link: Link) -> None:
    """However many callers there are in a loop iteration, one write carries their commands, in order."""
    await link.execute("PING")
    connection: Any = link._connection
    writes: list[list[bytes]] = []
    write = connection.send_packed_command

    async def count(packed: list[bytes], **kwargs: Any) -> None:
        writes.append(packed)
        await write(packed, **kwargs)

    connection.send_packed_command = count
    replies = await asyncio.gather(*(link.execute("ECHO", str(i)) for i in range(200)))
    assert replies == [str(i).encode() for i in range(200)]
    assert len(writes) == 1


async def test_all_callers_share_one_connection(link: Link, redis: Redis) -> None:
    """Five hundred callers at once cost the server one connection."""
    await redis.ping()
    before = (await redis.info("clients"))["connected_clients"]
    await asyncio.gather(*(link.execute("PING") for _ in range(500)))
    assert (await redis.info("clients"))["connected_clients"] == before + 1


async def test_cancelled_callers_disturb_nobody(link: Link) -> None:
    """Of 10,000 callers cancelled at random moments none shifts a reply: each belongs to its command."""
    rng = random.Random(20)
    cancelled = 0

    async def ask(number: int) -> bool:
        return await link.execute("ECHO", str(number)) == str(number).encode()

    number = 0
    while cancelled < 10_000:
        calls = []
        for _ in range(1_000):
            number += 1
            calls.append(asyncio.ensure_future(ask(number)))
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)
        for call in rng.sample(calls, 700):
            cancelled += call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert all(answer is True or isinstance(answer, asyncio.CancelledError) for answer in answers)
    assert await link.execute("ECHO", "last") == b"last"


async def test_a_refused_command_fails_alone(link: Link) -> None:
    """An error reply belongs to the command that caused it; its neighbours get their answers."""
    before, refused, after = await asyncio.gather(
        link.execute("ECHO", "a"), link.execute("NOSUCH"), link.execute("ECHO", "b"), return_exceptions=True
    )
    assert (before, after) == (b"a", b"b")
    assert isinstance(refused, ResponseError)


@pytest.mark.parametrize("bad", [None, object(), "\ud800", ["list"]])
async def test_what_cannot_be_sent_fails_alone(link: Link, bad: Any) -> None:
    """An argument that has no bytes fails its own command before anything of it is sent."""
    before, refused, after = await asyncio.gather(
        link.execute("ECHO", "a"),
        link.execute("ECHO", bad),
        link.execute("ECHO", "b"),
        return_exceptions=True,
    )
    assert (before, after) == (b"a", b"b")
    assert isinstance(refused, DataError)
    assert "ECHO" in str(refused)


async def test_a_broken_connection_fails_what_waits_and_the_next_call_connects(
    restartable_server: Any,
) -> None:
    """When the server dies, everything unanswered fails at once; after its return the next call works."""
    pool = ConnectionPool.from_url(restartable_server.url)
    link = Link(pool)
    await link.execute("SET", "kept", "yes")
    restartable_server.pause()
    waiting = [asyncio.ensure_future(link.execute("PING")) for _ in range(20)]
    await asyncio.sleep(0)
    restartable_server.kill9()
    answers = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert all(isinstance(answer, RedisConnectionError) for answer in answers)
    with pytest.raises(RedisConnectionError):
        await link.execute("PING")
    restartable_server.start()
    assert await link.execute("GET", "kept") == b"yes"
    await link.close()
    await pool.aclose()


def test_a_connection_that_uvloop_has_closed_is_a_broken_one(redis_url: str) -> None:
    """Writing to it is a RuntimeError there: who waits is told, no task dies, the next call connects."""
    unheard: list[dict[str, Any]] = []

    async def use() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
        pool = ConnectionPool.from_url(redis_url)
        link = Link(pool)
        assert await link.execute("PING")
        link._connection._writer.transport.abort()
        with pytest.raises(RedisConnectionError, match="closed"):
            await link.execute("PING")
        assert await link.execute("PING") == b"PONG"
        await link.close()
        await pool.aclose()
        gc.collect()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(use())
    assert unheard == []


async def test_no_answer_within_the_timeout_is_an_error(restartable_server: Any) -> None:
    """A server that holds the connection and says nothing costs the timeout, then the connection."""
    pool = ConnectionPool.from_url(restartable_server.url)
    link = Link(pool, timeout_s=0.2)
    await link.execute("PING")
    restartable_server.pause()
    with pytest.raises(RedisTimeoutError, match=r"no answer from the server for 0\.2 s"):
        await asyncio.wait_for(link.execute("PING"), 30)
    with pytest.raises((RedisConnectionError, RedisTimeoutError)):
        await asyncio.wait_for(link.execute("PING"), 30)
    restartable_server.resume()
    assert await link.execute("PING") == b"PONG"
    await link.close()
    await pool.aclose()


async def test_an_answer_that_comes_after_the_timeout_meets_nobody(restartable_server: Any) -> None:
    """Replies to commands given up on are never taken for replies to later ones."""
    pool = ConnectionPool.from_url(restartable_server.url)
    link = Link(pool, timeout_s=0.2)
    await link.execute("PING")
    restartable_server.pause()
    late = [asyncio.ensure_future(link.execute("ECHO", f"late {i}")) for i in range(50)]
    assert all(isinstance(a, RedisTimeoutError) for a in await asyncio.gather(*late, return_exceptions=True))
    restartable_server.resume()
    replies = await asyncio.gather(*(link.execute("ECHO", f"new {i}") for i in range(50)))
    assert replies == [f"new {i}".encode() for i in range(50)]
    await link.close()
    await pool.aclose()


async def test_a_killed_connection_is_made_anew_and_that_is_said(link: Link, redis: Redis) -> None:
    """``after_connect`` is called each time."""
    said: list[str] = []
    link.after_connect = lambda: said.append("connected")
    first = await link.execute("CLIENT", "ID")
    await redis.execute_command("CLIENT", "KILL", "ID", first)
    while True:
        try:
            await link.execute("PING")
            break
        except RedisConnectionError:
            continue
    assert await link.execute("CLIENT", "ID") != first
    assert said == ["connected"] * 2


async def test_a_closed_link_fails_its_callers_and_leaves_nothing_open(redis_url: str, redis: Redis) -> None:
    """Closing answers everybody with an error, closes the socket, and a later call opens a new one."""
    pool = ConnectionPool.from_url(redis_url)
    link = Link(pool)
    number = await link.execute("CLIENT", "ID")
    blocked = link.execute("BLPOP", "nothing", 0)
    await asyncio.sleep(0)
    unsent = link.execute("PING")
    await link.close()
    for reply in (blocked, unsent):
        with pytest.raises(RedisConnectionError, match="closed"):
            await reply
    gc.collect()
    assert str(number) not in {client["id"] for client in await redis.client_list()}
    assert await link.execute("PING") == b"PONG"
    await link.close()
    await pool.aclose()


async def test_scripts_forgotten_by_the_server_are_sent_again(link: Link, redis: Redis) -> None:
    """After SCRIPT FLUSH (or a restart) a call loads its script anew, once, unseen by the caller."""
    scripts, keys = Scripts(link.execute), keys_of("default")
    entry = Entry("a", 0, 0, b"payload")
    assert await scripts.enqueue(keys, [entry]) == [True]
    await redis.script_flush()
    await redis.config_resetstat()
    assert await scripts.enqueue(keys, [Entry("b", 0, 0, b"payload")]) == [True]
    assert await scripts.enqueue(keys, [Entry("c", 0, 0, b"payload")]) == [True]
    stats = await redis.info("commandstats")
    assert (stats["cmdstat_evalsha"]["calls"], stats["cmdstat_eval"]["calls"]) == (2, 1)
    assert await redis.script_exists(lua_loader.load("enqueue").sha) == [True]
