"""One bounded request and what is known when it has ended.

    NotSent   nothing left this process: send again freely
    Unclear   it left, and no status came back: the receiver may have it, send again only under the same id
    Answer    a status was read: whatever happens after that changes nothing

The rule is about the moment the first byte is written, which the transport tells; the class of the exception
decides only for a transport that tells nothing.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, cast

import httpx

from .guard import AddressRefused

READ_CAP = 16 * 1024


class Cause(StrEnum):
    """Why there is no answer."""

    INVALID = "invalid"
    """The url or a header can never be sent."""
    REFUSED = "refused"
    """The guard does not allow the address."""
    BUSY = "busy"
    """Every connection of this process was in use: nothing to do with the receiver."""
    TIMEOUT = "timeout"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status was read.

    Attributes:
        status: the status code.
        headers: the response's headers.
        body: its first bytes as they came, still in whatever content-encoding they have.
        is_complete: whether ``body`` is all of it.
        elapsed_ms: from before the name lookup until the body ended or was given up.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    is_complete: bool
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class NotSent:
    """Not one byte of the request was written."""

    cause: Cause
    reason: str
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """Some of the request was written, and no status was read."""

    cause: Cause
    reason: str
    elapsed_ms: int


Exchange = Answer | NotSent | Unclear

_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
    read_cap: int = READ_CAP,
) -> Exchange:
    """Send a request and read its answer, within one deadline.

    Failures are values. Only what is not about this exchange is raised: the caller's own cancellation, which
    leaves it unclear whether the request was sent, and a mistake in the arguments' types.

    Args:
        client: any httpx client; see ``build_client``.
        method: of the request.
        url: where to.
        content: the very bytes to send.
        headers: beside those httpx adds.
        timeout_s: for name lookup, connect, TLS, writing, and reading head and body together.
        read_cap: bytes of the body to keep; the connection is closed when there are more.
    """
    seen = _Seen(time.monotonic())
    try:
        async with asyncio.timeout(timeout_s):
            request = _request(client, method, url, content, headers or {}, seen)
            response = await client.send(request, stream=True, follow_redirects=False)
            async with contextlib.aclosing(response):
                seen.status, seen.headers = response.status_code, response.headers
                await seen.read(response, read_cap)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return seen.failed(error, timeout_s)
    return seen.answered(response.status_code)


def _request(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    seen: "_Seen",
) -> httpx.Request:
    """Make the request out of its parts; ``build_request`` takes five times as long."""
    parsed = _parsed(url)
    merged = {"host": parsed.netloc.decode("ascii"), **dict(client.headers.multi_items())}
    merged.update({name.lower(): value for name, value in headers.items()})
    if content or method in _WITH_BODY:
        merged["content-length"] = str(len(content))
    told = {"timeout": client.timeout.as_dict(), "trace": seen.trace}
    request = httpx.Request(method, parsed, headers=merged, stream=httpx.ByteStream(content), extensions=told)
    request.read()
    return request


_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_parsed = lru_cache(maxsize=1024)(httpx.URL)
"""Receivers come again and again."""


class _Seen:
    """What has been seen of a request so far.

    Not the response: it holds the request, that holds ``trace``, and so this. With such rings the garbage
    collector took most of what a delivery costs.
    """

    def __init__(self, began: float) -> None:
        self.began = began
        self.is_traced = False
        self.is_sent = False
        self.status: int | None = None
        self.headers = httpx.Headers()
        self.body = bytearray()
        self.is_complete = False

    async def trace(self, name: str, _info: Any) -> None:
        self.is_traced = True
        self.is_sent = self.is_sent or name.endswith("send_request_headers.started")

    async def read(self, response: httpx.Response, cap: int) -> None:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            self.body += chunk[: cap + 1 - len(self.body)]
            if len(self.body) > cap:
                del self.body[cap:]
                return
        self.is_complete = True

    def answered(self, status: int) -> Answer:
        return Answer(status, self.headers, bytes(self.body), self.is_complete, self._elapsed_ms())

    def failed(self, error: Exception, timeout_s: float) -> Exchange:
        if self.status is not None:
            return self.answered(self.status)
        never = not self.is_sent and (self.is_traced or isinstance(error, _NEVER_SENT))
        kind = NotSent if never else Unclear
        reason = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else str(error)
        return kind(_cause(error), reason, self._elapsed_ms())

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self.began) * 1000)


def _cause(error: Exception) -> Cause:
    match error:
        case AddressRefused():
            return Cause.REFUSED
        case httpx.PoolTimeout():
            return Cause.BUSY
        case TimeoutError() | httpx.TimeoutException():
            return Cause.TIMEOUT
        case httpx.UnsupportedProtocol() | httpx.InvalidURL() | httpx.LocalProtocolError():
            return Cause.INVALID
        case _:
            return Cause.NETWORK
