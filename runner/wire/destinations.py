"""What workers hear of the other sides that jobs call: counts by destination, each minute and each hour.

A destination is the key of a breaker. A worker counts in memory and tells the server with its word that it
lives, so a call costs no trip. A telling that is sent twice counts twice.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from .keys import Keys
from .scripts import Execute, run_script

BOUNDS_MS = (50, 100, 250, 500, 1000, 2500, 5000, 10_000)
"""How long calls took is counted up to each of these, and above the last."""
KINDS = ("ok", "failed", "throttled")
MOST = 1000
"""Destinations of a queue that the server keeps."""
MOST_TOLD = 500
"""Destinations that one worker tells apart from one telling to the next."""
OTHERS = "(others)"
MINUTES, HOURS = 60, 24
_AT_ONCE = 100
_WIDTH = len(KINDS) + len(BOUNDS_MS) + 1


class Tally(NamedTuple):
    """Calls of some time.

    Attributes:
        ok: the other side was well.
        failed: it was not.
        throttled: it asked for a wait.
        took: how many took up to each of BOUNDS_MS, and longer than the last.
    """

    ok: int
    failed: int
    throttled: int
    took: Sequence[int]

    @property
    def calls(self) -> int:
        """All of them."""
        return self.ok + self.failed + self.throttled

    @property
    def success(self) -> float | None:
        """Share of those that were well; None without any."""
        return self.ok / self.calls if self.calls else None

    def within_ms(self, share: float) -> float | None:
        """Say within how many milliseconds that share of calls ended, to a bound; None before any has.

        Above the last bound it is infinite.
        """
        below, wanted = 0, share * sum(self.took)
        for bound, count in zip((*BOUNDS_MS, float("inf")), self.took, strict=True):
            below += count
            if below >= wanted and below:
                return bound
        return None


def tally_of(counts: Sequence[int]) -> Tally:
    """Make a Tally of counts as they are told."""
    return Tally(counts[0], counts[1], counts[2], tuple(counts[3:]))


NOTHING = tally_of([0] * _WIDTH)


def summed(tallies: Sequence[Tally]) -> Tally:
    """Add tallies up."""
    some = [each for each in tallies if each is not NOTHING]
    if len(some) < 2:
        return some[0] if some else NOTHING
    counts = [(each.ok, each.failed, each.throttled, *each.took) for each in some]
    return tally_of([sum(column) for column in zip(*counts, strict=True)])


class Heard(NamedTuple):
    """What is kept of one destination; minutes and hours oldest first, empty ones included."""

    key: str
    minutes: Sequence[Tally]
    hours: Sequence[Tally]


class DestinationScripts:
    """What one queue keeps of its destinations; ``note`` counts, ``tell`` sends what was counted.

    Args:
        execute: sends one command.
        keys: of the queue.
    """

    def __init__(self, execute: Execute, keys: Keys) -> None:
        self._execute = execute
        self._keys = keys
        self._counts: dict[str, list[int]] = {}

    def note(self, key: str, verdict: str, took_s: float) -> None:
        """Count a call; one that says nothing of the other side is left out."""
        if verdict not in KINDS:
            return
        counts = self._counts.get(key)
        if counts is None:
            key = key if len(self._counts) < MOST_TOLD else OTHERS
            counts = self._counts.setdefault(key, [0] * _WIDTH)
        counts[KINDS.index(verdict)] += 1
        counts[len(KINDS) + bisect_left(BOUNDS_MS, took_s * 1000)] += 1

    async def tell(self, *, now_ms: int = 0) -> None:
        """Send what was counted since the last time; nothing when there is nothing."""
        told, self._counts = list(self._counts.items()), {}
        for start in range(0, len(told), _AT_ONCE):
            some = told[start : start + _AT_ONCE]
            flat = [part for key, counts in some for part in (key, " ".join(map(str, counts)))]
            names = (self._keys.destinations, self._keys.destinations_failed)
            args = (self._keys.destination(""), now_ms, MOST, *flat)
            await run_script(self._execute, "destinations_note", names, args)

    async def names(self) -> tuple[list[str], list[str]]:
        """Give those heard of within a day, and of these those that failed; the last ones first."""
        heard = await self._execute("ZREVRANGE", self._keys.destinations, 0, MOST)
        failed = await self._execute("ZREVRANGE", self._keys.destinations_failed, 0, MOST)
        return [each.decode() for each in heard], [each.decode() for each in failed]

    async def heard(self, key: str, *, now_ms: int) -> Heard:
        """Give what is kept of one destination; all of it is empty when there is nothing."""
        flat = await self._execute("HGETALL", self._keys.destination(key))
        found = {name.decode(): text for name, text in zip(flat[::2], flat[1::2], strict=True)}
        minute, hour = now_ms // 60_000, now_ms // 3_600_000
        return Heard(
            key,
            [_tally(found.get(f"m{n % MINUTES}"), n) for n in range(minute - MINUTES + 1, minute + 1)],
            [_tally(found.get(f"h{n % HOURS}"), n) for n in range(hour - HOURS + 1, hour + 1)],
        )


def _tally(text: bytes | None, number: int) -> Tally:
    """Read a minute or an hour; one of another day, or of another version, counts as empty."""
    if text is None:
        return NOTHING
    at, *counts = map(int, text.split())
    return tally_of(counts) if at == number and len(counts) == _WIDTH else NOTHING
