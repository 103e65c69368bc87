"""Addresses of servers: one server, several of a cluster, or the sentinels that know where the master is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

PORTS: Mapping[str, int] = {
    "redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "rediss+sentinel": 26379,
}  # fmt: skip
_SENTINEL = ("redis+sentinel", "rediss+sentinel")
_FORMS = (
    '"embedded", redis://host:6379/0, rediss://host:6380/0, unix:///path/to/socket '
    "or redis+sentinel://host:26379,host2:26379/mymaster/0"
)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\],]+)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """What a server's address says.

    Attributes:
        single: the same for one server, the first, as redis-py reads it.
        places: host and port of each, or of each sentinel; none for a unix socket.
        master: the name that sentinels know the master by; empty without sentinels.
    """

    single: str
    places: tuple[tuple[str, int], ...]
    master: str


def parse_address(url: str) -> ServerAddress:
    """Read an address.

    Raises:
        ValueError: says what forms there are.
    """
    wrong = ValueError(_FORMS)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise wrong from None
    if re.search(r"\s", url):
        raise wrong
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.path == "/":
            raise wrong
        return ServerAddress(url, (), "")
    if parts.scheme not in PORTS:
        raise wrong
    places = _places(parts)
    database = parts.path.removeprefix("/")
    master = ""
    if parts.scheme in _SENTINEL:
        master, _, database = database.partition("/")
        if not master:
            raise wrong
    if not places or (database and not database.isdecimal()):
        raise wrong
    return ServerAddress(_single(parts, database), places, master)


def _places(parts: SplitResult) -> tuple[tuple[str, int], ...]:
    """Read hosts and ports; none when one of them is wrong."""
    found: list[tuple[str, int]] = []
    for text in parts.netloc.rpartition("@")[2].split(","):
        match = _HOST.fullmatch(text)
        port = int(match[2] or PORTS[parts.scheme]) if match else 0
        if match is None or not 0 < port < 65_536:
            return ()
        found.append((match[1].strip("[]"), port))
    return tuple(found)


def _single(parts: SplitResult, database: str) -> str:
    who, at, hosts = parts.netloc.rpartition("@")
    scheme = parts.scheme.removesuffix("+sentinel")
    path = f"/{database}" if database else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{scheme}://{who}{at}{hosts.split(',')[0]}{path}{query}"
