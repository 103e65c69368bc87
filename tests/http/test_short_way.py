"""The short way that most requests take through the client: what it must not cost, when it is not taken."""

import gc

import pytest

from runner.http import Answer, exchange


async def test_an_exchange_leaves_nothing_to_the_garbage_collector(client, receivers):
    """No ring of references: with one a delivery, collecting them took longer than delivering."""
    async with receivers.Receiver(receivers.answers()) as receiver:

        async def left_by(exchanges: int) -> int:
            gc.collect()
            gc.freeze()  # so that nothing counts that was there before, whenever it ends
            gc.disable()
            try:
                for _ in range(exchanges):
                    assert isinstance(
                        await exchange(client, "POST", receiver.url, content=b"{}", timeout_s=20), Answer
                    )
                return gc.collect()
            finally:
                gc.enable()

        await left_by(1)
        # The difference, and the least of two: what ends meanwhile depends on the moment.
        assert min([await left_by(100) - await left_by(20) for _ in range(2)]) < 40


async def test_what_is_to_be_done_around_a_request_is_done(client, receivers):
    """Hooks and authentication make a streamed request take httpx's own way."""
    seen = []

    async def note(request):
        seen.append(request.headers.get("authorization"))

    async with receivers.Receiver(receivers.answers()) as receiver:
        client.event_hooks = {"request": [note]}
        address = receiver.url.replace("http://", "http://user:word@")
        async with client.stream("GET", address, follow_redirects=False) as response:
            await response.aread()
    assert seen == ["Basic dXNlcjp3b3Jk"]


async def test_a_closed_client_says_so(client, receivers):
    """As httpx's own does, instead of opening connections that nobody closes."""
    await client.aclose()
    with pytest.raises(RuntimeError, match="the client has been closed"):
        async with client.stream("GET", "http://127.0.0.1:1/", follow_redirects=False):
            pass


@pytest.mark.parametrize(
    ("method", "content", "length"), [("POST", b"ab", "2"), ("POST", b"", "0"), ("GET", b"", None)]
)
async def test_what_httpx_would_add_is_there(client, receivers, method, content, length):
    """Host, length and the client's own headers go out; those of the call win, in whatever case."""
    async with receivers.Receiver(receivers.answers()) as receiver:
        headers = {"User-Agent": "mine", "X-One": "1"}
        ended = await exchange(client, method, receiver.url, content=content, headers=headers, timeout_s=20)
    assert isinstance(ended, Answer)
    [request] = receiver.requests
    assert request.headers["host"] == receiver.url.split("/")[2]
    assert request.headers["user-agent"] == "mine"
    assert (request.headers["x-one"], request.headers["accept-encoding"]) == ("1", "identity")
    assert request.headers.get("content-length") == length
    assert request.body == content
