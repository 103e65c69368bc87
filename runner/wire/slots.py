"""Which slot of a cluster a command belongs to, and which node serves a slot."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from redis.crc import key_slot

from .connecting import Place

SLOTS = 16_384

_SCRIPTS = frozenset({"EVAL", "EVALSHA"})
_WITHOUT_KEY = frozenset(
    {
        "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DBSIZE", "ECHO", "EXEC", "INFO", "LATENCY", "MULTI",
        "PING", "PUBLISH", "ROLE", "SCRIPT", "SLOWLOG", "TIME",
    }
)  # fmt: skip


def first_key(command: Sequence[Any]) -> str | bytes | None:
    """Give the key that says where a command belongs; None: any node can answer."""
    word = command[0]
    if word in _SCRIPTS:
        return command[3] if int(command[2]) else None
    if word in _WITHOUT_KEY or len(command) == 1:
        return None
    return command[2 if word in ("OBJECT", "MEMORY") else 1]


def slot_of(key: str | bytes) -> int:
    """Give the slot of a key, by its hash tag if it has one."""
    text = key if isinstance(key, bytes) else key.encode()
    begin = text.find(b"{")
    end = text.find(b"}", begin + 1)
    return _slot(text[begin + 1 : end] if 0 <= begin < end - 1 else text)


@lru_cache(maxsize=4096)
def _slot(hashed: bytes) -> int:
    return key_slot(hashed)


def unless_it_moves(command: Sequence[Any]) -> Sequence[Any]:
    """Give a script call that a node refuses while the slot is moving, before it does anything.

    A script reaches more keys than it names. While a slot moves key by key, some of them lie here and some
    there, and a script that meets one that is away would end in its middle. One named key that never exists
    makes the node answer TRYAGAIN instead. A slot that moves whole (Valkey 9) is never in that state.
    """
    if command[0] not in _SCRIPTS or not int(command[2]):
        return command
    word, script, count, *rest = command
    key = rest[0] if isinstance(rest[0], str) else rest[0].decode()
    begin, end = key.find("{"), key.find("}")
    tag = key[begin + 1 : end] if 0 <= begin < end - 1 else key
    count = int(count)
    return (word, script, count + 1, *rest[:count], f"runner:{{{tag}}}:never", *rest[count:])


def slot_map(reply: Sequence[Any], asked: Place) -> list[Place | None]:
    """Read CLUSTER SLOTS: the master of each slot; a node without an address is the one that was asked."""
    places: list[Place | None] = [None] * SLOTS
    for begin, end, master, *_ in reply:
        host = (master[0] or b"").decode()
        place = (host if host not in ("", "?") else asked[0], int(master[1]))
        places[begin : end + 1] = [place] * (end + 1 - begin)
    return places


def redirected(error: str, asked: Place) -> Place:
    """Read where MOVED or ASK says to go."""
    host, _, port = error.split()[2].rpartition(":")
    return host.strip("[]") or asked[0], int(port)
