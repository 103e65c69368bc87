"""What a server holds: keys with their values and times to live, on a clock that is handed in.

Only what our scripts, the engine and the client send. Each command is a function of the keyspace and byte
strings, and answers in Python's words: bytes, int, None, list, ``Ok``. The types are plain: a string is
bytes, a hash a dict, a set a dict without values: both keep the order in which they were filled.
"""

from bisect import bisect_left, insort
from collections.abc import Callable
from random import Random
from typing import Any

NEVER = float("inf")
WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"


class Refused(Exception):
    """An error reply."""


class Ok(bytes):
    """A status reply."""


OK = Ok(b"OK")


class Members(dict[bytes, None]):
    """A set."""


class Stream(list[tuple[bytes, list[bytes]]]):
    """Entries with their names, oldest first."""


class ZSet:
    """Members by score, then by name."""

    __slots__ = ("ranked", "scores")

    def __init__(self) -> None:
        self.scores: dict[bytes, float] = {}
        self.ranked: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self.ranked)

    def put(self, member: bytes, score: float) -> None:
        if member in self.scores:
            self.remove(member)
        self.scores[member] = score
        insort(self.ranked, (score, member))

    def remove(self, member: bytes) -> bool:
        score = self.scores.pop(member, None)
        if score is None:
            return False
        del self.ranked[bisect_left(self.ranked, (score, member))]
        return True

    def span(self, low: bytes, high: bytes) -> tuple[int, int]:
        """Give where the scores between two bounds stand: ``(5`` leaves 5 out."""
        return self._from(low, is_end=False), self._from(high, is_end=True)

    def _from(self, bound: bytes, *, is_end: bool) -> int:
        is_open = bound[:1] == b"("
        score = float(bound[1:] if is_open else bound)
        after = is_open is not is_end  # behind all members of that score
        return bisect_left(self.ranked, (score, b"")) if not after else self._behind(score)

    def _behind(self, score: float) -> int:
        place = bisect_left(self.ranked, (score, b""))
        while place < len(self.ranked) and self.ranked[place][0] == score:
            place += 1
        return place


class Keyspace:
    """All keys of a server.

    Args:
        now_ms: its clock; it stands still while a command runs.
        rng: what SRANDMEMBER and HRANDFIELD draw from.
    """

    def __init__(self, now_us: Callable[[], int], rng: Random) -> None:
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}
        self.changed: dict[bytes, None] = {}
        self.published: list[tuple[bytes, bytes]] = []
        self.rng = rng
        self._clock = now_us
        self._next_expiry: float = NEVER
        self.now_us = 0
        self.tick()

    @property
    def now_ms(self) -> int:
        return self.now_us // 1000

    def tick(self) -> None:
        """Begin a command: read the clock, once, and let go what has expired by it."""
        self.now_us = self._clock()
        now = self.now_us // 1000
        if now >= self._next_expiry:
            for key in [key for key, at in self.expires.items() if at <= now]:
                self.drop(key)
            self._next_expiry = min(self.expires.values(), default=NEVER)

    def get(self, key: bytes, kind: type) -> Any:
        value = self.values.get(key)
        if value is not None and type(value) is not kind:
            raise Refused(WRONGTYPE)
        return value

    def make(self, key: bytes, kind: type) -> Any:
        """Give a key's value to be written to; an empty one if there is none."""
        value = self.values.get(key)
        self.changed[key] = None
        if value is None:
            value = self.values[key] = kind()
        elif type(value) is not kind:
            raise Refused(WRONGTYPE)
        return value

    def put(self, key: bytes, value: Any) -> None:
        """Write a key anew, without its time to live."""
        self.values[key] = value
        self.expires.pop(key, None)
        self.changed[key] = None

    def drop(self, key: bytes) -> bool:
        self.expires.pop(key, None)
        if self.values.pop(key, None) is None:
            return False
        self.changed[key] = None
        return True

    def tidy(self, key: bytes, value: Any) -> None:
        """Take away a key whose last member has gone."""
        if not value:
            self.drop(key)

    def expire_at(self, key: bytes, at_ms: int) -> None:
        self.changed[key] = None
        if at_ms <= self.now_ms:
            self.drop(key)
            return
        self.expires[key] = at_ms
        self._next_expiry = min(self._next_expiry, at_ms)


def integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused("ERR value is not an integer or out of range") from None


def number(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise Refused("ERR value is not a valid float") from None


def text_of(score: float) -> bytes:
    """Write a score as the server does: whole numbers without a point."""
    if score == score // 1 and abs(score) < 1 << 52:
        return b"%d" % score
    return repr(score).encode()
