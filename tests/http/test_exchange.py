"""What is known of a request when it has ended, against receivers that break it at every stage."""

import asyncio
import socket

import httpx
import pytest

from runner.http import Answer, Cause, NotSent, Unclear, exchange

GENEROUS_S = 20.0
"""A deadline that no test is meant to reach."""


async def post(client, url, content=b'{"a":1}', timeout_s=GENEROUS_S, **more):
    return await exchange(client, "POST", url, content=content, timeout_s=timeout_s, **more)


async def by_deadline(receivers, behaviour, client, kind, **more):
    """How an exchange ends that only its deadline ends, and the receiver that it met."""

    async def ends(deadline_s):
        async with receivers.Receiver(behaviour) as receiver:
            return await post(client, receiver.url + "?key=hunter2", timeout_s=deadline_s, **more), receiver

    return await receivers.by_deadline(ends, lambda ended: isinstance(ended[0], kind))


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        ("accept_and_close", Cause.NETWORK),
        ("reset_before_read", Cause.NETWORK),
        ("reset_within_headers", Cause.NETWORK),
        ("reset_after_read", Cause.NETWORK),
        ("closes_after_read", Cause.NETWORK),
        ("garbage", Cause.NETWORK),
        ("half_status", Cause.NETWORK),
        ("half_head", Cause.NETWORK),
        ("endless_head", Cause.NETWORK),
        ("floods_100", Cause.NETWORK),
    ],
)
async def test_a_connection_that_breaks_before_a_status_leaves_it_unclear(
    client, receivers, behaviour, cause
):
    """Once a byte is written nobody knows what the receiver has, even when it read nothing at all."""
    async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
        ended = await post(client, receiver.url)
    assert isinstance(ended, Unclear), ended
    assert ended.cause is cause


@pytest.mark.parametrize("behaviour", ["silent", "drips_head"])
async def test_a_deadline_without_a_status_leaves_it_unclear(client, receivers, behaviour):
    """One deadline bounds the whole exchange, also against a receiver that always sends a little."""
    ended, receiver = await by_deadline(receivers, getattr(receivers, behaviour), client, Unclear)
    assert isinstance(ended, Unclear), ended
    assert ended.cause is Cause.TIMEOUT
    assert len(receiver.requests) == 1
    assert not any(word in ended.reason for word in ("hook", "hunter2"))


async def test_a_receiver_that_never_reads_is_bounded_by_the_deadline(client, receivers):
    """There is no write timeout of its own; the deadline is what ends a write that hangs."""
    ended, _ = await by_deadline(receivers, receivers.never_reads, client, Unclear, content=bytes(16_000_000))
    assert isinstance(ended, Unclear), ended
    assert ended.cause is Cause.TIMEOUT


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 204 None\r\ncontent-length: 2\r\n\r\nok", 204),
        (b"HTTP/1.1 304 Same\r\n\r\nok", 304),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok, and more than announced", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 500 No\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Yes\r\ncontent-length: 2\r\n\r\nok", 202),
        (b"HTTP/1.1 200 OK\n\nno carriage returns", 200),
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
async def test_a_status_decides_whatever_nonsense_follows_it(client, receivers, answer, status, piece):
    """Receivers announce one length and send another, often in the packet of the status; cut anywhere."""

    async def behave(peer):
        await peer.request()
        peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(answer), piece):
            await peer.send(answer[start : start + piece])
            await asyncio.sleep(0)
        await peer.reader.read()

    if answer.endswith(b"returns"):  # its body ends with the connection, and that stays open
        ended, _ = await by_deadline(receivers, behave, client, Answer)
    else:
        async with receivers.Receiver(behave) as receiver:
            ended = await post(client, receiver.url)
    assert isinstance(ended, Answer), ended
    assert ended.status == status


@pytest.mark.parametrize("behaviour", ["half_body", "half_body_reset"])
async def test_a_status_decides_even_when_the_body_is_cut(client, receivers, behaviour):
    """A 200 whose body breaks was delivered; sending again would deliver it twice."""
    async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
        ended = await post(client, receiver.url)
    assert isinstance(ended, Answer), ended
    assert (ended.status, ended.body, ended.is_complete) == (200, b"half", False)


@pytest.mark.parametrize("behaviour", ["half_body_silent", "drips_body"])
async def test_a_body_that_never_ends_in_time_still_counts_as_answered(client, receivers, behaviour):
    """The deadline bounds the body too, and does not take back the status."""
    ended, _ = await by_deadline(receivers, getattr(receivers, behaviour), client, Answer)
    assert isinstance(ended, Answer), ended
    assert (ended.status, ended.is_complete) == (200, False)
    assert ended.elapsed_ms >= 300


@pytest.mark.parametrize("behaviour", ["endless_body", "endless_chunks"])
async def test_no_more_than_the_cap_is_kept_of_a_body(client, receivers, behaviour):
    """An endless body costs the cap and a connection, not memory and not the deadline."""
    async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
        ended = await post(client, receiver.url, read_cap=10_000)
    assert isinstance(ended, Answer), ended
    assert (len(ended.body), ended.is_complete) == (10_000, False)


async def test_a_body_as_long_as_the_cap_is_complete(client, receivers):
    """The cap is what may be kept: a body of just that size is all there."""
    async with receivers.Receiver(receivers.answers(body=b"x" * 50)) as receiver:
        ended = await post(client, receiver.url, read_cap=50)
    assert (ended.body, ended.is_complete) == (b"x" * 50, True)


async def test_a_compressed_body_is_never_unpacked(client, receivers):
    """A gzip bomb stays the few bytes it is on the wire."""
    async with receivers.Receiver(receivers.gzip_bomb) as receiver:
        ended = await post(client, receiver.url, read_cap=1_000_000)
    assert ended.body == receivers.BOMB
    assert receiver.requests[0].headers["accept-encoding"] == "identity"


async def test_an_early_413_is_heard_while_the_body_is_still_written(client, receivers):
    """A receiver that refuses a large body before reading it has answered."""
    async with receivers.Receiver(receivers.answers_413_early) as receiver:
        ended = await post(client, receiver.url, content=bytes(4_000_000))
    assert isinstance(ended, Answer), ended
    assert ended.status == 413


async def test_a_kept_connection_that_dies_leaves_the_second_request_unclear(client, receivers):
    """The receiver read the second request whole before it closed; nothing sends it again behind our back."""
    async with receivers.Receiver(receivers.once_then_closes) as receiver:
        first = await post(client, receiver.url)
        second = await post(client, receiver.url)
    assert isinstance(first, Answer)
    assert isinstance(second, Unclear), second
    assert (receiver.ledger.connections, len(receiver.requests)) == (1, 2)


async def test_a_refused_connection_was_never_sent(client, unused_tcp_port):
    """Nothing listens: it may be sent again freely."""
    ended = await post(client, f"http://127.0.0.1:{unused_tcp_port}/")
    assert isinstance(ended, NotSent)
    assert ended.cause is Cause.NETWORK


@pytest.mark.parametrize("url", ["http://nowhere.invalid/", "http://" + "a" * 64 + ".example/"])
async def test_a_name_that_is_not_found_was_never_sent(client, url):
    """Also a name that no name server could be asked for."""
    ended = await post(client, url)
    assert isinstance(ended, NotSent)
    assert ended.cause is Cause.NETWORK


async def test_a_tls_handshake_with_plain_http_was_never_sent(client, receivers):
    """What answers is not TLS, so the request stayed here."""
    async with receivers.Receiver(receivers.plain_hello) as receiver:
        ended = await post(client, receiver.url.replace("http:", "https:"))
    assert isinstance(ended, NotSent), ended
    assert receiver.requests == []


async def test_a_tls_handshake_that_stalls_was_never_sent(client, receivers):
    """The deadline in the middle of a handshake leaves nothing unclear."""
    async with receivers.Receiver(receivers.never_reads) as receiver:
        ended = await post(client, receiver.url.replace("http:", "https:"), timeout_s=0.4)
    assert isinstance(ended, NotSent), ended
    assert ended.cause is Cause.TIMEOUT


@pytest.mark.parametrize("url", ["ftp://h/", "http:///x", "http://h:port/", "http://2130706433/", "nonsense"])
async def test_a_url_that_cannot_be_fetched_was_never_sent(client, url):
    """It is told apart from a network that fails, because no retry can help."""
    ended = await post(client, url)
    assert isinstance(ended, NotSent)
    assert ended.cause is Cause.INVALID


async def test_a_header_with_a_line_break_was_never_sent(client, receivers):
    """Header injection is refused before anything is written."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        ended = await post(client, receiver.url, headers={"x": "a\r\ny: b"})
    assert isinstance(ended, NotSent)
    assert ended.cause is Cause.INVALID
    assert receiver.ledger.connections == 0


async def test_a_full_pool_is_our_own_trouble(receivers, make_client, wait_until):
    """Waiting for a free connection says nothing about the receiver, and nothing was sent."""
    client = make_client(max_connections=1)
    async with receivers.Receiver(receivers.silent) as receiver:
        holder = asyncio.create_task(post(client, receiver.url))
        await wait_until(lambda: receiver.requests, "the request has arrived")
        client.timeout = httpx.Timeout(GENEROUS_S, connect=0.05, pool=0.05)
        ended = await post(client, receiver.url)
        holder.cancel()
    assert isinstance(ended, NotSent), ended
    assert ended.cause is Cause.BUSY


async def test_redirects_are_answers(client, receivers):
    """Nothing follows a Location, least of all to a metadata address."""
    async with receivers.Receiver(receivers.redirects_inside) as receiver:
        ended = await post(client, receiver.url)
    assert isinstance(ended, Answer)
    assert (ended.status, len(receiver.requests)) == (307, 1)


async def test_the_bytes_given_are_the_bytes_sent(client, receivers):
    """A signature covers the body, so nobody may touch it."""
    body = bytes(range(256)) * 40
    async with receivers.Receiver(receivers.answers()) as receiver:
        await post(client, receiver.url, content=body)
    assert receiver.requests[0].body == body


async def test_reasons_do_not_show_the_url(client, receivers):
    """Paths and queries of webhook urls hold secrets; what is stored and logged names the host alone."""
    for behaviour in ("garbage", "reset_after_read", "closes_after_read"):
        async with receivers.Receiver(getattr(receivers, behaviour)) as receiver:
            ended = await post(client, receiver.url + "?key=hunter2")
        assert isinstance(ended, Unclear)
        assert "hook" not in ended.reason
        assert "hunter2" not in ended.reason


class Untold(httpx.AsyncBaseTransport):
    """A transport that does not say how far it came."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("x"), NotSent),
        (httpx.ConnectTimeout("x"), NotSent),
        (httpx.PoolTimeout("x"), NotSent),
        (httpx.ReadTimeout("x"), Unclear),
        (httpx.WriteError("x"), Unclear),
        (TimeoutError(), Unclear),
    ],
)
async def test_of_a_transport_that_tells_nothing_the_class_decides(error, kind):
    """Silence of the transport is never taken for proof that nothing was sent."""
    async with httpx.AsyncClient(transport=Untold(error)) as client:
        assert isinstance(await post(client, "http://h/"), kind)


async def test_cancellation_is_not_swallowed(client, receivers, wait_until):
    """A worker that stops cancels its jobs; the exchange lets it through and drops the connection."""
    async with receivers.Receiver(receivers.silent) as receiver:
        task = asyncio.create_task(post(client, receiver.url))
        await wait_until(lambda: receiver.requests, "the request has arrived")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_until(lambda: receiver.ledger.open_now == 0, "the connection is closed")
