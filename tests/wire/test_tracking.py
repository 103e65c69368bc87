"""News pushed by the server: from anybody, again after a restart, and never trusted alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.wire import tracking as module
from runner.wire.link import Link
from runner.wire.tracking import Tracking

Wait = Callable[..., Awaitable[Any]]


class Listener:
    """A link, a Tracking on it, and all the news so far."""

    def __init__(self, link: Link, tracking: Tracking, news: list[list[bytes]]) -> None:
        self.link, self.tracking, self.news = link, tracking, news

    def heard(self, key: bytes) -> bool:
        return any(key in keys for keys in self.news)


@asynccontextmanager
async def listening(url: str, wait_until: Wait, *prefixes: str) -> AsyncIterator[Listener]:
    pool = ConnectionPool.from_url(url)
    link, news = Link(pool), list[list[bytes]]()
    tracking = Tracking(pool, link, prefixes=prefixes, on_change=news.append)
    tracking.start()
    await wait_until(lambda: tracking.is_on, "tracking is on")
    yield Listener(link, tracking, news)
    await tracking.close()
    await link.close()
    await pool.aclose()


async def test_a_plain_clients_enqueue_is_news(redis_url: str, arq_pool: ArqRedis, wait_until: Wait) -> None:
    """arq's own client, which knows nothing of us, wakes whoever watches its queue."""
    async with listening(redis_url, wait_until, "arq:queue") as listener:
        await arq_pool.enqueue_job("anything")
        await wait_until(lambda: listener.heard(b"arq:queue"), "news of the queue")
        assert not listener.heard(b"arq:job")


async def test_own_writes_and_other_keys_are_no_news(redis_url: str, redis: Redis, wait_until: Wait) -> None:
    """What the link itself writes does not wake it, nor what was not asked for."""
    async with listening(redis_url, wait_until, "watched") as listener:
        await listener.link.execute("SET", "watched:mine", 1)
        await redis.set("other", 1)
        await redis.set("watched:last", 1)
        await wait_until(lambda: listener.heard(b"watched:last"), "news of the last write")
        assert not listener.heard(b"watched:mine")
        assert not listener.heard(b"other")


async def test_without_prefixes_what_was_read_is_watched(
    redis_url: str, redis: Redis, wait_until: Wait
) -> None:
    """A read after CLIENT CACHING YES asks for news of that key; a read without does not."""
    async with listening(redis_url, wait_until) as listener:
        asked = listener.link.execute("CLIENT", "CACHING", "YES"), listener.link.execute("GET", "a")
        await asyncio.gather(*asked, listener.link.execute("GET", "b"))
        await redis.mset({"a": 1, "b": 1})
        await wait_until(lambda: listener.heard(b"a"), "news of a")
        assert not listener.heard(b"b")


async def test_starting_and_flushing_say_look_at_everything(
    redis_url: str, redis: Redis, wait_until: Wait
) -> None:
    """An empty list means that news may have been missed: at the start, and when the database was emptied."""
    async with listening(redis_url, wait_until, "watched") as listener:
        await wait_until(lambda: [] in listener.news, "the first call to look")
        listener.news.clear()
        await redis.flushdb()
        await wait_until(lambda: [] in listener.news, "a call to look after FLUSHDB")
        assert listener.tracking.is_on


async def test_news_goes_on_after_the_server_restarts(
    restartable_server: Any, wait_until: Wait, monkeypatch: Any
) -> None:
    """While the server is away it says that it hears nothing; afterwards it hears again by itself."""
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    async with listening(restartable_server.url, wait_until, "watched") as listener:
        restartable_server.kill9()
        await wait_until(lambda: not listener.tracking.is_on, "tracking is off")
        listener.news.clear()
        restartable_server.start()
        await wait_until(lambda: listener.tracking.is_on, "tracking is on again")
        assert [] in listener.news
        async with Redis.from_url(restartable_server.url) as writer:
            await writer.set("watched:new", 1)
        await wait_until(lambda: listener.heard(b"watched:new"), "news after the restart")


async def drop(link: Link, redis: Redis) -> None:
    """Let the link's connection break, and come back."""
    number = await link.execute("CLIENT", "ID")
    await redis.execute_command("CLIENT", "KILL", "ID", number)
    while True:
        try:
            await link.execute("PING")
            return
        except RedisConnectionError:
            continue


async def test_a_connection_that_uvloop_has_closed_is_made_anew(
    redis_url: str, wait_until: Wait, monkeypatch: Any
) -> None:
    """It says so with a RuntimeError, when a server resets what it has just accepted: listening goes on."""
    send, closed = AbstractConnection.send_command, ["SUBSCRIBE"]

    async def fail_once(connection: AbstractConnection, *command: Any, **options: Any) -> None:
        if command[0] in closed:
            closed.remove(command[0])
            raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")
        await send(connection, *command, **options)

    monkeypatch.setattr(AbstractConnection, "send_command", fail_once)
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with listening(redis_url, wait_until, "watched"):
        assert closed == []


async def test_a_new_connection_of_the_link_has_a_new_subscriber(
    redis_url: str, redis: Redis, wait_until: Wait, monkeypatch: Any
) -> None:
    """The number of the old one may be somebody else's on another server; what was missed is looked for."""
    monkeypatch.setattr(module, "RETRY_S", 3600)  # it does not wait to try again

    async def subscriber(link: Link) -> int:
        told = await link.execute("CLIENT", "TRACKINGINFO")
        return told[told.index(b"redirect") + 1]

    async with listening(redis_url, wait_until, "watched") as listener:
        before = await subscriber(listener.link)
        listener.news.clear()
        await drop(listener.link, redis)
        await wait_until(lambda: listener.tracking.is_on and [] in listener.news, "tracking is on again")
        assert await subscriber(listener.link) != before
        await redis.set("watched:new", 1)
        await wait_until(lambda: listener.heard(b"watched:new"), "news through the new subscriber")


async def test_closing_leaves_no_connection(redis_url: str, redis: Redis, wait_until: Wait) -> None:
    """After close there is no subscriber left, and the link no longer asks for news."""
    before = len(await redis.client_list())
    async with listening(redis_url, wait_until, "watched") as listener:
        assert len(await redis.client_list()) == before + 2
        await listener.tracking.close()
        assert listener.link.after_connect is None

    async def is_gone() -> bool:
        return len(await redis.client_list()) == before

    assert await wait_until(is_gone, "both connections are closed")
