"""Whether a row of samples grows: by the median of slopes, which a single outlier does not move."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

WARM_UP = 1 / 3
"""This share of a run, at its beginning, is not judged: caches and pools fill."""
MOST = 200
HOUR_S = 3600
GROWTH_AN_HOUR = 0.01


@dataclass(frozen=True, slots=True)
class Trend:
    """What a row of samples does.

    Attributes:
        level: its median.
        per_hour: how much it grows in an hour.
        growth: how much it grew over the time that is judged.
        allowed: how much it might.
        told_from: growth an hour, as a share of the level, from which this run would have told it.
        flat: whether it grew by no more.
    """

    level: float
    per_hour: float
    growth: float
    allowed: float
    told_from: float = 0.0

    @property
    def flat(self) -> bool:
        return self.growth <= self.allowed

    @property
    def share_an_hour(self) -> float:
        """Growth an hour as a share of the level."""
        return self.per_hour / self.level if self.level else 0.0


def is_flat(samples: Sequence[tuple[float, float]], *, slack: float) -> Trend:
    """Judge samples of (seconds, value) after the warm-up.

    It is flat when it grew by no more than 1 % an hour, or no more than its own noise (twice the median
    distance from the line), or than the slack: in a short run 1 % an hour is less than any noise.

    Args:
        samples: in order of time.
        slack: growth that says nothing, in the unit of the values.
    """
    judged = list(samples[int(len(samples) * WARM_UP) :])
    judged = judged[:: max(1, len(judged) // MOST)]
    if len(judged) < 3:
        return Trend(judged[-1][1] if judged else 0.0, 0.0, 0.0, slack)
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for number, earlier in enumerate(judged)
        for later in judged[number + 1 :]
        if later[0] > earlier[0]
    ]
    slope, level = median(slopes), median(value for _, value in judged)
    start = median(value - slope * at for at, value in judged)
    noise = median(abs(value - start - slope * at) for at, value in judged)
    span = judged[-1][0] - judged[0][0]
    allowed = max(level * GROWTH_AN_HOUR * span / HOUR_S, 2 * noise, slack)
    told_from = allowed * HOUR_S / (span * level) if span and level else 0.0
    return Trend(level, slope * HOUR_S, slope * span, allowed, told_from)
