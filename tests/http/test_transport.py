"""The transport under httpx's API: what it keeps out, what it keeps apart, and what it gives back."""

import asyncio
import logging
import ssl
import threading

import httpx
import pytest
import trustme

from runner.http import Answer, NotSent, build_client, exchange

GENEROUS_S = 20.0


async def test_cookies_are_not_sent_back(client, receivers):
    """One client serves every customer; what one receiver sets must reach no other, nor come back."""
    async with receivers.Receiver(receivers.answers(200, "set-cookie: who=me; Path=/")) as receiver:
        for _ in range(2):
            await client.post(receiver.url)
    assert len(receiver.requests) == 2
    assert all("cookie" not in request.headers for request in receiver.requests)
    assert not client.cookies


async def test_proxies_of_the_environment_are_ignored(monkeypatch, make_client, receivers):
    """A proxy would make connections that no guard sees."""
    async with (
        receivers.Receiver(receivers.answers()) as proxy,
        receivers.Receiver(receivers.answers()) as receiver,
    ):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        response = await make_client().post(receiver.url)
    assert response.status_code == 200
    assert (proxy.ledger.connections, len(receiver.requests)) == (0, 1)


async def test_connections_are_kept_and_used_again(client, receivers):
    """A body that was read to its end gives its connection back."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        for _ in range(5):
            assert (await client.post(receiver.url, content=b"x")).text == "ok"
    assert (receiver.ledger.connections, len(receiver.requests)) == (1, 5)


async def test_a_body_left_unread_costs_its_connection(client, receivers):
    """The rest of an unread body must not be taken for the answer to the next request."""
    async with receivers.Receiver(receivers.answers(body=b"x" * 500_000)) as receiver:
        for _ in range(2):
            async with client.stream("POST", receiver.url) as response:
                assert response.status_code == 200
    assert receiver.ledger.connections == 2


async def test_httpx_s_whole_api_works_on_it(client, receivers):
    """Methods, repeated headers, json and decoded bodies are as with httpx's own transport."""
    body = receivers.gzip.compress(b'{"a": 1}')
    packed = receivers.answers(201, "content-encoding: gzip", "x-two: 1", "x-two: 2", body=body)
    async with receivers.Receiver(packed) as receiver:
        response = await client.put(receiver.url, json={"b": 2}, headers={"x-mine": "yes"})
        assert (response.status_code, response.json()) == (201, {"a": 1})
        assert response.headers.get_list("x-two") == ["1", "2"]
        assert (response.http_version, response.reason_phrase) == ("HTTP/1.1", "Whatever")
        assert (await client.get(receiver.url)).status_code == 201
    put, get = receiver.requests
    assert put.line == "PUT /hook HTTP/1.1"
    assert (put.body, put.headers["content-type"], put.headers["x-mine"]) == (
        b'{"b":2}',
        "application/json",
        "yes",
    )
    assert get.line == "GET /hook HTTP/1.1"
    assert "content-type" not in get.headers


async def test_a_streamed_upload_goes_out_in_chunks(client, receivers):
    """A body of unknown length is framed once, not twice."""

    async def parts():
        yield b"ab"
        yield b"cd"

    async def behave(peer):
        head = await peer.head()
        peer.body = await peer.reader.readuntil(b"0\r\n\r\n")
        seen.append((head.lower().count(b"transfer-encoding"), peer.body))
        await peer.send(b"HTTP/1.1 204 None\r\n\r\n")

    seen = []
    async with receivers.Receiver(behave) as receiver:
        response = await client.post(receiver.url, content=parts())
    assert response.status_code == 204
    assert seen == [(1, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")]


async def test_user_and_password_of_a_url_become_one_header(client, receivers):
    """As httpx documents it; a webhook's url may not have them, another job's may."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        await client.get(receiver.url.replace("//", "//user:pass@"))
    assert receiver.requests[0].headers["authorization"] == "Basic dXNlcjpwYXNz"


async def test_cancelled_requests_leave_no_connection_behind(make_client, receivers):
    """1,200 requests cancelled at every stage, in a pool of ten; twenty good ones then go through at once."""
    client = make_client(max_connections=10, connect_timeout_s=10)
    async with receivers.Receiver(receivers.slowly(0.01)) as receiver:
        for wave in range(12):
            tasks = [asyncio.create_task(client.post(receiver.url, content=b"x")) for _ in range(100)]
            for turn in range(wave * 3):
                await asyncio.sleep(0.001 if turn % 2 else 0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(GENEROUS_S):
            good = await asyncio.gather(*(client.post(receiver.url) for _ in range(20)))
    assert [response.status_code for response in good] == [200] * 20


async def test_hanging_lookups_do_not_hold_up_other_hosts(monkeypatch, make_client, receivers):
    """Names are looked up in 64 threads of our own, so dead name servers cost nobody else."""
    let_go = threading.Event()
    system = receivers.socket.getaddrinfo

    def hanging(host, *args, **kwargs):
        if host.startswith("dead"):
            let_go.wait(GENEROUS_S)
        return system("127.0.0.1" if host.startswith("alive") else host, *args, **kwargs)

    monkeypatch.setattr("socket.getaddrinfo", hanging)
    client = make_client()
    async with receivers.Receiver(receivers.answers()) as receiver:
        dead = [
            asyncio.create_task(exchange(client, "GET", f"http://dead{n}/", timeout_s=20)) for n in range(40)
        ]
        await asyncio.sleep(0)
        try:
            alive = await exchange(client, "GET", f"http://alive:{receiver.port}/", timeout_s=GENEROUS_S)
        finally:
            let_go.set()
            for task in dead:
                task.cancel()
            await asyncio.gather(*dead, return_exceptions=True)
    assert isinstance(alive, Answer), alive


async def test_the_httpx_logger_does_not_write_urls(client, receivers, caplog):
    """httpx writes every url, whole, at INFO."""
    caplog.set_level(logging.INFO)
    async with receivers.Receiver(receivers.answers()) as receiver:
        await client.post(receiver.url + "?key=hunter2")
    assert "hunter2" not in caplog.text
    assert logging.getLogger("httpx").level >= logging.WARNING


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def _contexts(authority: trustme.CA, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


async def test_tls_checks_the_name_of_the_url_on_the_address_that_was_judged(
    authority, make_client, receivers
):
    """SNI and certificate are those of the name, although the connection goes to a number."""
    server, trusting = _contexts(authority, "hooks.example")
    asked: list[str | None] = []
    server.sni_callback = lambda _sock, name, _context: asked.append(name)
    client = make_client(ssl_context=trusting, lookup=loopback)
    async with receivers.Receiver(receivers.answers(), tls=server) as receiver:
        ended = await exchange(
            client, "POST", f"https://hooks.example:{receiver.port}/", timeout_s=GENEROUS_S
        )
    assert isinstance(ended, Answer), ended
    assert asked == ["hooks.example"]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_certificate_for_another_name_is_refused(authority, make_client, receivers):
    """Nothing is sent to whoever cannot prove the name."""
    server, trusting = _contexts(authority, "other.example")
    client = make_client(ssl_context=trusting, lookup=loopback)
    async with receivers.Receiver(receivers.answers(), tls=server) as receiver:
        ended = await exchange(
            client, "POST", f"https://hooks.example:{receiver.port}/", timeout_s=GENEROUS_S
        )
    assert isinstance(ended, NotSent)
    assert "certificate" in ended.reason.lower()
    assert receiver.requests == []


async def test_an_unknown_authority_is_refused(authority, make_client, receivers):
    """By default certificates are verified, against public authorities."""
    server, _ = _contexts(authority, "hooks.example")
    client = make_client(lookup=loopback)
    async with receivers.Receiver(receivers.answers(), tls=server) as receiver:
        ended = await exchange(
            client, "POST", f"https://hooks.example:{receiver.port}/", timeout_s=GENEROUS_S
        )
    assert isinstance(ended, NotSent)
    assert receiver.requests == []


def test_a_client_is_made_without_a_loop():
    """A web app builds it at import; the first request opens the pool."""
    client = build_client()
    assert not client.is_closed


async def test_a_client_never_used_closes_cleanly():
    """Shutdown of a worker that sent nothing."""
    async with build_client() as client:
        assert isinstance(client, httpx.AsyncClient)
    assert client.is_closed
