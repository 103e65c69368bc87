"""HTTP for jobs: httpx's API, our own transport, a guard on every address, one deadline over every exchange.

This package is the one place that knows httpx and aiohttp. Jobs reach the worker's client as ``ctx.http`` and
send with ``exchange``, which says of a request without an answer whether the receiver can have got it.
"""

from .body import body_of, freeze
from .client import build_client
from .exchange import Answer, Cause, Exchange, NotSent, Unclear, exchange
from .guard import AddressGuard, AddressRefused
from .retry_after import parse_retry_after
from .signature import InvalidSecret, InvalidSignature, parse_secret, sign, verify
from .target import RESERVED, check_headers, check_url

__all__ = [
    "RESERVED",
    "AddressGuard",
    "AddressRefused",
    "Answer",
    "Cause",
    "Exchange",
    "InvalidSecret",
    "InvalidSignature",
    "NotSent",
    "Unclear",
    "body_of",
    "build_client",
    "check_headers",
    "check_url",
    "exchange",
    "freeze",
    "parse_retry_after",
    "parse_secret",
    "sign",
    "verify",
]
