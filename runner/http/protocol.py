"""A response's head is parsed by itself, before whatever follows it.

aiohttp's parser takes what one packet brings as one: when a 204 comes with a body, or a 200 with more bytes
than it announced, the error in the rest hides the status that came first, and an answered request looks
unclear. It reads interim responses (``100 Continue``) for as long as they come, at the price of a whole core.
And a body that stops being HTTP half-way leaves its reader waiting.
"""

import functools
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

HEAD_CAP = 256 * 1024
"""Bytes that may come before a status; far above what aiohttp's own limits on one head let through."""

_END = b"\r\n\r\n"


class HeadFirstHandler(ResponseHandler):
    """One connection; ``set_response_params`` begins each exchange on it."""

    _awaits_head = False
    _head_bytes = 0
    _last = b""
    _body: aiohttp.StreamReader | None = None

    def set_response_params(self, **params: Any) -> None:
        self._awaits_head, self._head_bytes, self._last = True, 0, b""
        self._body = None
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        while self._awaits_head and data:
            head, data = self._split(data)
            self._head_bytes += len(head)
            if self._head_bytes > HEAD_CAP:
                self._refuse()
                return
            super().data_received(head)
            if not data:
                return
        super().data_received(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """Take what the parser made: a message, interim or final, and its payload."""
        message, self._body = data
        self._awaits_head = 100 <= message.code < 200 and message.code != 101
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, *cause: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fail the connection, and whoever still reads a body from it."""
        super().set_exception(exc, *cause)
        if self._body is not None and not self._body.is_eof() and self._body.exception() is None:
            self._body.set_exception(aiohttp.ClientPayloadError(str(exc)))

    def _split(self, data: bytes) -> tuple[bytes, bytes]:
        """Cut behind the end of a head, which may have begun in an earlier packet."""
        joined = self._last + data
        found = joined.find(_END)
        if found < 0:
            self._last = joined[1 - len(_END) :]
            return data, b""
        cut = found + len(_END) - len(self._last)
        self._last = b""
        return data[:cut], data[cut:]

    def _refuse(self) -> None:
        if self.transport is not None:
            self.transport.close()
        self.set_exception(aiohttp.ClientConnectionError(f"more than {HEAD_CAP} bytes before a status"))


class HeadFirstConnector(aiohttp.TCPConnector):
    """A connector whose connections are as above; ``_factory`` is where aiohttp 3 makes them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = functools.partial(HeadFirstHandler, loop=self._loop)
