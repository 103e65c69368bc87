"""The one HTTP client of a worker process."""

import logging
import ssl
from collections.abc import Iterable
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from .guard import AddressGuard, Network
from .resolver import Lookup
from .transport import AiohttpTransport


class DirectClient(httpx.AsyncClient):
    """httpx's client, with a short way to the transport for what ``exchange`` sends.

    A streamed request without redirects goes to the transport as it is. httpx's own way makes an auth flow, a
    loop for redirects, and a request of ``urllib``'s to look for cookies: more work than sending.
    ``response.elapsed`` is not set on the short way.
    """

    def __init__(self, transport: AiohttpTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._direct = transport

    async def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        """Send a request; the long way whenever there is anything to do around it."""
        is_plain = stream and follow_redirects is False and auth is httpx.USE_CLIENT_DEFAULT
        asks = request.url.userinfo or self.auth or any(self.event_hooks.values())
        if not is_plain or asks or self.is_closed:
            return await super().send(request, stream=stream, auth=auth, follow_redirects=follow_redirects)
        response = await self._direct.handle_async_request(request)
        response.request = request
        return response


def build_client(
    *,
    allow: Iterable[str | Network] = (),
    connect_timeout_s: float = 5.0,
    read_timeout_s: float = 30.0,
    max_connections: int = 1000,
    keepalive_s: float = 30.0,
    ssl_context: ssl.SSLContext | None = None,
    lookup: Lookup | None = None,
) -> httpx.AsyncClient:
    """Make the client; no I/O, and no loop needed until the first request.

    It follows no redirects, keeps no cookies, and asks neither the environment nor ``netrc`` for anything.
    httpx's own logger, which writes whole urls at INFO, is raised to WARNING: urls may hold secrets.

    Args:
        allow: CIDRs the address guard lets through.
        connect_timeout_s: name lookup, TCP and TLS; as much again to wait for a free connection.
        read_timeout_s: longest silence of the receiver. ``exchange`` puts a deadline over all of it.
        max_connections: in use at once.
        keepalive_s: how long an idle connection is kept.
        ssl_context: None for httpx's default.
        lookup: names to addresses; None asks the operating system.

    Raises:
        ValueError: one of ``allow`` is not a network.
    """
    _hush_httpx()
    transport = partial(AiohttpTransport, guard=AddressGuard.allowing(allow), lookup=lookup)
    client = DirectClient(
        transport(ssl_context=ssl_context, max_connections=max_connections, keepalive_s=keepalive_s),
        timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s, pool=connect_timeout_s),
        headers={"user-agent": "arq-runner", "accept-encoding": "identity"},
        follow_redirects=False,
        trust_env=False,
    )
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _hush_httpx() -> None:
    logger = logging.getLogger("httpx")
    logger.setLevel(max(logger.level, logging.WARNING))
