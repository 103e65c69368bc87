"""The door to destinations: how well the other sides are that jobs call, and what is dead of them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .wire.destinations import DestinationScripts, Tally, summed
from .wire.keys import Keys
from .wire.scripts import Execute

MOST_READ = 100


@dataclass(frozen=True, slots=True)
class Destination:
    """What workers heard of the other side behind one key of a breaker, over all queues.

    Attributes:
        key: as ``host:example.com``; ``(others)`` stands for those beyond a thousand a queue.
        minutes: of the last hour, the oldest first, the one that runs included.
        hours: of the last day likewise.
    """

    key: str
    minutes: Sequence[Tally]
    hours: Sequence[Tally]

    @property
    def hour(self) -> Tally:
        """All of the last hour."""
        return summed(self.minutes)

    @property
    def day(self) -> Tally:
        """All of the last day."""
        return summed(self.hours)


@dataclass(frozen=True, slots=True)
class Destinations:
    """Some of the destinations.

    Attributes:
        found: those that failed in the last hour first, by how often; then by calls.
        total: how many the text fits.
    """

    found: Sequence[Destination]
    total: int


class DestinationDoor:
    """Reads what workers told of their calls; they do so once a lease, so it is some 15 s behind.

    Args:
        execute: sends one command.
        queues: their keys.
    """

    def __init__(self, execute: Execute, queues: Iterable[Keys]) -> None:
        self._execute = execute
        self._queues = [DestinationScripts(execute, keys) for keys in queues]

    async def list(self, text: str = "", *, limit: int = MOST_READ) -> Destinations:
        """Give those heard of within a day: first the ones that failed last, then the ones heard of last.

        Two round trips, however many there are.

        Args:
            text: stands in the key, in any case; empty for all.
            limit: to give at most; of a thousand in each queue.
        """
        reading = asyncio.gather(*(each.names() for each in self._queues))
        now_ms, names = await asyncio.gather(self._now_ms(), reading)
        keys = dict.fromkeys(key for _, failed in names for key in failed)
        keys |= dict.fromkeys(key for heard, _ in names for key in heard)
        wanted = [key for key in keys if text.casefold() in key.casefold()]
        found = await asyncio.gather(*(self._read(key, now_ms) for key in wanted[:limit]))
        return Destinations(sorted(found, key=_weight), len(wanted))

    async def get(self, key: str) -> Destination:
        """Give one; all of it is empty when nobody has heard of it within a day. Two round trips."""
        return await self._read(key, await self._now_ms())

    async def _read(self, key: str, now_ms: int) -> Destination:
        heard = await asyncio.gather(*(each.heard(key, now_ms=now_ms) for each in self._queues))
        minutes = [summed(some) for some in zip(*(each.minutes for each in heard), strict=True)]
        return Destination(
            key, minutes, [summed(some) for some in zip(*(x.hours for x in heard), strict=True)]
        )

    async def _now_ms(self) -> int:
        seconds, us = await self._execute("TIME")
        return int(seconds) * 1000 + int(us) // 1000


def _weight(each: Destination) -> tuple[int, int, str]:
    hour = each.hour
    return (-hour.failed, -hour.calls, each.key)
