"""One reading for all who look on, and what was seen before: charts begin when somebody begins to look."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..inspector import Inspector, Overview

EVERY_S = 2.0
"""How often the server is asked, however many look on."""
KEPT = 900
"""Readings that are kept: half an hour of looking."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one reading adds to the charts."""

    at_ms: int
    done_s: float
    failed_s: float
    ready: int
    running: int
    oldest_s: float

    @property
    def plain(self) -> list[float]:
        """As the charts take it: seconds since the epoch, then the series."""
        return [self.at_ms / 1000, self.done_s, self.failed_s, self.ready, self.running, self.oldest_s]


class Watch:
    """Reads how all stands, at most once in two seconds.

    Args:
        inspector: gives the door that reads.
    """

    def __init__(self, inspector: Callable[[], Inspector]) -> None:
        self._inspector = inspector
        self._seen: Overview | None = None
        self._seen_at = 0.0
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._rates: tuple[Overview, float, float] | None = None
        self._turn = asyncio.Lock()

    @property
    def points(self) -> Sequence[Point]:
        """What was seen, oldest first."""
        return self._points

    async def look(self, *, max_age_s: float = EVERY_S) -> Overview:
        """Give how all stands; at most so old."""
        loop = asyncio.get_running_loop()
        async with self._turn:
            if self._seen is None or loop.time() - self._seen_at >= max_age_s:
                self._seen = await self._inspector().overview()
                self._seen_at = loop.time()
                self._note(self._seen)
            return self._seen

    def _note(self, seen: Overview) -> None:
        done_s, failed_s = self._rates_of(seen)
        running = sum(queue.running for queue in seen.queues)
        ready = sum(queue.ready for queue in seen.queues)
        oldest_s = max((queue.oldest_ready_s for queue in seen.queues), default=0.0)
        self._points.append(Point(seen.at_ms, done_s, failed_s, ready, running, oldest_s))

    def _rates_of(self, seen: Overview) -> tuple[float, float]:
        """Give jobs a second that succeeded and failed: between two words of the workers, which come slowly.

        A worker that began anew or left takes its count along: that counts as nothing, not as less.
        """
        if self._rates is None:
            self._rates = (seen, 0.0, 0.0)
        before, done_s, failed_s = self._rates
        passed_s = (seen.at_ms - before.at_ms) / 1000
        done, failed = (
            max(0, seen.totals.completed - before.totals.completed),
            max(0, seen.totals.failed - before.totals.failed),
        )
        has_news = seen.totals != before.totals
        if passed_s > 0 and (has_news or passed_s > 2 * _TELL_S):
            done_s, failed_s = done / passed_s, failed / passed_s
            self._rates = (seen, done_s, failed_s)
        return done_s, failed_s


_TELL_S = 15.0
"""How often a worker tells of itself."""
