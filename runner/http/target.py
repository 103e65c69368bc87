"""Urls and headers that come from users: refused before anything is stored, and again before it is sent.

No name is looked up here and no address judged: that is the guard's, when the connection is opened.
"""

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import httpx

MAX_URL = 2048

RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that frame the message, or choose how it is carried."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
_BAD_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")


def check_url(url: str) -> None:
    """Refuse what is not a plain http(s) url.

    Raises:
        ValueError: one line that says what is wrong, without any userinfo, path or query in it.
    """
    if problem := _problem(url):
        msg = f"not a url a webhook can go to: {problem}"
        raise ValueError(msg)


def check_headers(
    headers: Mapping[Any, Any], *, reserved: frozenset[str] = RESERVED, prefix: str = ""
) -> None:
    """Refuse headers that would break the message, or set what is not theirs to set.

    Args:
        headers: to be sent beside our own.
        reserved: names, in lower case, that may not be among them.
        prefix: names that begin so, in lower case, are reserved too; empty for none.

    Raises:
        ValueError: one line that names the header, never its value.
    """
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            msg = f"header {name!r}: a header's name is letters, digits and any of !#$%&'*+-.^_`|~"
        elif name.lower() in reserved or (prefix and name.lower().startswith(prefix)):
            msg = f"header {name!r} is set by the sender and cannot be overridden"
        elif not isinstance(value, str) or not _VALUE.fullmatch(value):
            msg = f"header {name!r}: its value must be visible ASCII, without line breaks or controls"
        else:
            continue
        raise ValueError(msg)


@lru_cache(maxsize=1024)
def _problem(url: str) -> str | None:
    if len(url) > MAX_URL:
        return f"it has {len(url)} characters, more than {MAX_URL}"
    if _BAD_IN_URL.search(url):
        return "it has a space, line break, control character or backslash in it; percent-encode it"
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        return str(error)
    if parsed.scheme not in ("http", "https"):
        return f"its scheme is {parsed.scheme!r}; expected http or https"
    if parsed.userinfo:
        return "it has a user name or password in it; send an Authorization header instead"
    if parsed.port is not None and not 1 <= parsed.port <= 65535:
        return f"its port is {parsed.port}; expected 1 to 65535"
    return _host_problem(parsed.raw_host.decode("ascii"))


def _host_problem(host: str) -> str | None:
    if not host:
        return "it has no host"
    if "%" in host:
        return f"its host {host!r} has a percent sign in it"
    if ":" in host:
        return None if _is_address(host) else f"its host {host!r} is not an IPv6 address"
    labels = host.removesuffix(".").split(".")
    if not all(1 <= len(label) <= 63 for label in labels):
        return f"its host {host[:80]!r} has a label that is empty or longer than 63 characters"
    if _NUMERIC.fullmatch(labels[-1]) and not _is_address(host):
        return (
            f"its host {host!r} looks like an IPv4 address; write it as four decimal numbers, as in 192.0.2.1"
        )
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
