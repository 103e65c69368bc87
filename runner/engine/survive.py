"""How long a worker waits for a server that is away; which answers pass, ``wire.passing`` says."""

import random

from ..wire.passing import TROUBLE, is_passing

__all__ = ["TROUBLE", "Patience", "is_passing"]

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 5.0


class Patience:
    """Growing pauses with full jitter while a server is away."""

    __slots__ = ("_failures", "_rng")

    def __init__(self, rng: random.Random | None = None) -> None:
        self._failures = 0
        self._rng = rng or random.Random()

    @property
    def failures(self) -> int:
        """How many failures in a row."""
        return self._failures

    def reset(self) -> None:
        """The server answered."""
        self._failures = 0

    def next_delay_s(self) -> float:
        """Give the pause before the next try: uniform in [0, min(5 s, 50 ms x 2^n)], but at least 10 ms."""
        ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(0.01, self._rng.uniform(0, ceiling))
