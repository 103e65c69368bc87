"""aiohttp's exceptions in httpx's words.

Callers decide by the class whether a request can have arrived, so the classes must be right:

| aiohttp | httpx | the receiver |
| --- | --- | --- |
| InvalidURL, NonHttpUrl… | UnsupportedProtocol | has nothing |
| ConnectionTimeoutError | ConnectTimeout, PoolTimeout | has nothing |
| ClientConnectorError: DNS, refused, TLS | ConnectError | has nothing |
| SocketTimeoutError | ReadTimeout | may have it all |
| ServerDisconnectedError | RemoteProtocolError | may have it all |
| ClientResponseError, ClientPayloadError | RemoteProtocolError | has it, and answered badly |
| any other: reset, broken pipe | ReadError | may have it all |

Texts name the host, never the url: its path and query may hold secrets.
"""

from dataclasses import dataclass

import aiohttp
import httpx

_TEXT_LIMIT = 200


@dataclass(slots=True)
class Waiting:
    """Whether a request waits for a free connection; the transport writes it, ``translate`` reads it."""

    is_queued: bool = False


def translate(error: Exception, request: httpx.Request, waiting: Waiting) -> httpx.TransportError:
    """Give the httpx exception for what aiohttp raised on a request, or on the body of its response."""
    if isinstance(error, httpx.TransportError):
        error.request = request
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError) and waiting.is_queued:
        kind, text = httpx.PoolTimeout, "every connection of this process is in use"
    else:
        kind, text = next((to, text) for of, to, text in _TABLE if isinstance(error, of))
    return kind(f"{request.url.host}: {text or _short(error)}", request=request)


_Row = tuple[type[Exception] | tuple[type[Exception], ...], type[httpx.TransportError], str]

_TABLE: tuple[_Row, ...] = (
    (
        (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError),
        httpx.UnsupportedProtocol,
        "not a url that can be fetched",
    ),
    (aiohttp.ConnectionTimeoutError, httpx.ConnectTimeout, "no connection in time"),
    (aiohttp.ClientConnectorError, httpx.ConnectError, ""),
    (aiohttp.ServerTimeoutError, httpx.ReadTimeout, "silent for too long"),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError, "closed the connection without an answer"),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError, ""),
    (aiohttp.ClientPayloadError, httpx.RemoteProtocolError, "the body was cut short"),
    (aiohttp.ClientError, httpx.ReadError, ""),
    (OSError, httpx.ReadError, ""),
    (ValueError, httpx.LocalProtocolError, ""),
    (Exception, httpx.ReadError, ""),
)
"""What aiohttp raised, what it is called here, and the text (empty: the error's own). The first fit wins."""


def _short(error: Exception) -> str:
    """Give the first line of what went wrong, without the url that aiohttp likes to add."""
    match error:
        case aiohttp.ClientConnectorError():
            text = str(error.os_error)
        case aiohttp.ClientResponseError():
            text = f"not HTTP: {error.message}"
        case _:
            text = str(error)
    return text.split("\n", 1)[0][:_TEXT_LIMIT] or type(error).__name__
