"""The fault proxy: each fault is what it says, on a server that counts what reached it."""

import asyncio
from random import Random
from typing import Any

import pytest
from chaos.proxy import Proxy


class Counting:
    """Answers each line with how many there were."""

    def __init__(self) -> None:
        self.lines = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            self.lines += 1
            writer.write(b"%d\n" % self.lines)
        writer.close()


@pytest.fixture
async def counting() -> Any:
    return Counting()


@pytest.fixture
async def proxy(counting: Counting) -> Any:
    server = await asyncio.start_server(counting.serve, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1], Random(1)) as made:
        yield made


async def connected(proxy: Proxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def ask(link: tuple[asyncio.StreamReader, asyncio.StreamWriter], words: bytes = b"GET\n") -> bytes:
    link[1].write(words)
    return await link[0].readline()


async def test_a_swallowed_reply_is_one_of_a_script_that_was_executed(proxy: Proxy, counting: Counting):
    """Other commands pass; the script reaches the server, its caller sees the end; the next is answered."""
    proxy.swallow(1)
    link = await connected(proxy)
    assert await ask(link) == b"1\n"
    assert await ask(link, b"EVALSHA\n") == b""
    assert (counting.lines, proxy.counts["swallowed"], proxy.is_swallowing) == (2, 1, False)
    assert await ask(await connected(proxy), b"EVALSHA\n") == b"3\n"


async def test_half_open_keeps_the_connection_and_what_it_holds_may_come_late(
    proxy: Proxy, counting: Counting, wait_until: Any
):
    """Nothing goes through, also on new connections; afterwards each either goes on or is reset."""
    links = [await connected(proxy) for _ in range(10)]
    assert [await ask(link) for link in links]
    proxy.hold()
    asked = [asyncio.create_task(ask(link)) for link in links]
    await wait_until(lambda: len(proxy.links) == 10, "all are there")
    await asyncio.sleep(0.05)
    assert counting.lines == 10
    assert not any(each.done() for each in asked)
    proxy.flow()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    late = [each for each in answers if isinstance(each, bytes) and each]
    assert 0 < len(late) < 10, "some are lost, and some come late"


async def test_a_cut_is_a_reset_and_a_refusal_is_one(proxy: Proxy):
    """Whoever waits is told at once; the port comes back as it was."""
    link = await connected(proxy)
    assert await ask(link) == b"1\n"
    assert proxy.cut(5) == 1
    with pytest.raises(ConnectionResetError):
        await link[0].read()
    port = proxy.port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connected(proxy)
    await proxy.accept()
    assert proxy.port == port
    assert await ask(await connected(proxy)) == b"2\n"


async def test_dripping_and_latency_change_no_byte(proxy: Proxy):
    """A long line arrives whole, only later."""
    proxy.drips, proxy.latency_s = True, 0.001
    link = await connected(proxy)
    assert [await ask(link, b"x" * 300 + b"\n") for _ in range(2)] == [b"1\n", b"2\n"]
