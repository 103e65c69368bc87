"""Time is handed in: nothing in this package reads the wall clock except through a Clock.

State on the server is decided by the server's own time; a Clock only serves what stays in this process
(log lines, timestamps of results, HTTP deadlines).
"""

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Where a process reads the time."""

    def now_ms(self) -> int:
        """Give the wall clock in milliseconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Give seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class FixedClock:
    """A clock for tests that moves only when told."""

    at_ms: int = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic(self) -> float:
        return self.at_ms / 1000

    def advance(self, seconds: float) -> None:
        """Move time on by this many seconds."""
        self.at_ms += round(seconds * 1000)


SYSTEM_CLOCK = SystemClock()
