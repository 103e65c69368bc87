"""httpx's API over aiohttp's connections.

httpx's own pool costs every request time in proportion to its connections (at 200 in flight it does some 11
requests a second) and loses a slot for ever when a request is cancelled while it waits; this transport has
neither fault. What it leaves out on purpose: redirects, cookies, proxies, ``netrc``, decompression, HTTP/2.

It says when a request leaves, through httpx's ``trace`` extension: ``connection.acquire.started`` first of
all, ``http11.send_request_headers.started`` (httpcore's name for it) right before the first byte.
"""

import io
import re
import socket
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
import yarl

from .failure import Waiting, translate
from .guard import AddressGuard
from .protocol import HeadFirstConnector
from .resolver import GuardedResolver, Lookup, SystemLookup

ACQUIRING = "connection.acquire.started"
SENDING = "http11.send_request_headers.started"

_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_CONTROL = re.compile(rb"[^\t\x20-\x7e]")
_LARGE = 1024 * 1024
_CAUGHT = (aiohttp.ClientError, httpx.TransportError, OSError, TimeoutError, ValueError)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One connection pool, opened at the first request and bound to the loop that made it.

    httpx's ``timeout=`` means: ``connect`` bounds name lookup, TCP and TLS, ``pool`` the wait for a free
    connection, ``read`` each silence; ``write`` is ignored, so put a deadline around the whole.

    Args:
        guard: judges each address at connect time, literals too.
        lookup: names to addresses; None asks the operating system.
        ssl_context: None for httpx's default: certifi, or what SSL_CERT_FILE and SSL_CERT_DIR name.
        max_connections: in use at once, in all; more wait for ``pool`` seconds.
        keepalive_s: how long an idle connection is kept.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard,
        lookup: Lookup | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 1000,
        keepalive_s: float = 30.0,
    ) -> None:
        self._guard = guard
        self._system = SystemLookup()
        self._lookup = lookup or self._system
        self._ssl_context = ssl_context
        self._max_connections = max_connections
        self._keepalive_s = keepalive_s
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and give the response once its head is read; the body comes as it is streamed.

        Raises:
            AddressRefused: the guard refused; nothing was sent.
            httpx.TransportError: see ``failure`` for which means what.
        """
        session = self._session or self._open()
        waiting = Waiting()
        trace = request.extensions.get("trace")
        if trace is not None:
            await trace(ACQUIRING, {"request": request})
        try:
            answer = await session.request(
                request.method,
                _target(request.url),
                headers=_fields(request),
                data=_body(request),
                timeout=_timeout(request),
                allow_redirects=False,
                trace_request_ctx=(waiting, trace, request),
            )
        except _CAUGHT as error:
            raise translate(error, request, waiting) from error
        return httpx.Response(
            status_code=answer.status,
            headers=list(answer.raw_headers),
            stream=_Body(answer, request, waiting),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": (answer.reason or "").encode()},
        )

    async def aclose(self) -> None:
        """Close every connection, those in use too."""
        if self._session is not None:
            await self._session.close()
        self._system.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = HeadFirstConnector(
            resolver=GuardedResolver(self._lookup, self._guard),
            socket_factory=self._open_socket,
            use_dns_cache=False,
            ssl=self._ssl_context or httpx.create_ssl_context(),
            limit=self._max_connections,
            keepalive_timeout=self._keepalive_s,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            skip_auto_headers=_NOT_ADDED,
            trace_configs=[_signals()],
        )
        return self._session

    def _open_socket(self, info: Any) -> socket.socket:
        """Judge once more what is dialled: aiohttp does not resolve literals, so only this sees them."""
        family, kind, protocol, _, address = info
        self._guard.check(address[0], (address[0],))
        return socket.socket(family, kind, protocol)


class _Body(httpx.AsyncByteStream):
    """The response's bytes as they came over the wire."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request, waiting: Waiting) -> None:
        self._answer = answer
        self._request = request
        self._waiting = waiting

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_any():
                yield chunk
        except _CAUGHT as error:
            raise translate(error, self._request, self._waiting) from error

    async def aclose(self) -> None:
        """Drop the connection, unless the body was read to its end: then the pool has it back already."""
        if not self._answer.closed:
            self._answer.close()


def _signals() -> aiohttp.TraceConfig:
    """Make aiohttp tell how far a request has come."""

    async def queued(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx[0].is_queued = True

    async def dequeued(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        context.trace_request_ctx[0].is_queued = False

    async def sending(_session: Any, context: SimpleNamespace, _params: Any) -> None:
        _, trace, request = context.trace_request_ctx
        if trace is not None:
            await trace(SENDING, {"request": request})

    config = aiohttp.TraceConfig()
    config.on_connection_queued_start.append(queued)
    config.on_connection_queued_end.append(dequeued)
    config.on_request_headers_sent.append(sending)
    return config


def _target(url: httpx.URL) -> yarl.URL:
    # httpx has made a header of the userinfo; aiohttp would make a second one.
    return yarl.URL(str(url.copy_with(userinfo=b"") if url.userinfo else url), encoded=True)


def _fields(request: httpx.Request) -> list[tuple[str, str]]:
    raw = request.headers.raw
    if _CONTROL.search(b"".join([part for field in raw for part in field])):
        name = next(name for name, value in raw if _CONTROL.search(name + value))
        shown = name.decode("ascii", "backslashreplace")
        msg = f"header {shown!r} has a control or non-ASCII character"
        raise httpx.LocalProtocolError(msg, request=request)
    # aiohttp frames the body itself.
    return [(n.decode("ascii"), v.decode("ascii")) for n, v in raw if n.lower() != b"transfer-encoding"]


def _body(request: httpx.Request) -> Any:
    if not isinstance(request.stream, httpx.ByteStream):
        return request.stream
    content = request.content
    # aiohttp writes bytes in one go, and warns of what that does to the loop when there are many.
    return io.BytesIO(content) if len(content) > _LARGE else content or None


def _timeout(request: httpx.Request) -> aiohttp.ClientTimeout:
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    connect, pool = limits.get("connect"), limits.get("pool")
    return aiohttp.ClientTimeout(
        total=None,
        connect=None if connect is None or pool is None else connect + pool,
        sock_connect=connect,
        sock_read=limits.get("read"),
    )
