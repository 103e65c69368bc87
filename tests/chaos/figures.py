"""Counts that add up over runs, and what they prove.

Nothing seen in n tries means less than 3/n, at 95 %: (1 - 3/n)^n is about e^-3, 5 %.
"""

import datetime as dt
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from .judge import Outcome

EDGES = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 17, 18, 20, 25, 30, 60)
"""Upper ends in seconds of the histograms' bars; what is longer stands in one more."""


def bound(seen: int, out_of: int) -> str:
    """Say what a count proves about the share behind it."""
    if not out_of:
        return "-"
    return f"< {3 / out_of:.2g}" if not seen else f"{seen / out_of:.2g}"


def histogram(samples: list[float]) -> list[int]:
    """Count samples by EDGES."""
    bars = [0] * (len(EDGES) + 1)
    for each in samples:
        bars[sum(each > edge for edge in EDGES)] += 1
    return bars


class Counts:
    """What all runs so far have come to, by scenario; kept in a file.

    Args:
        path: read when it is there; written by `add`, whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, outcome: Outcome) -> None:
        """Add the outcome of one scenario."""
        today = dt.datetime.now(dt.UTC).date().isoformat()
        entry = self.held.setdefault(name, {"runs": 0, "broken": 0, "first": today, "figures": {}})
        entry["runs"] += 1
        entry["broken"] += bool(outcome.broken)
        entry["last"] = today
        entry["figures"] = dict(sorted((Counter(entry["figures"]) + _above_zero(outcome.figures)).items()))
        for kind, samples in outcome.samples.items():
            before = entry.setdefault(kind, [0] * (len(EDGES) + 1))
            entry[kind] = [a + b for a, b in zip(before, histogram(samples), strict=True)]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.held, indent=1) + "\n")
        os.replace(fresh, self.path)

    def figures(self, *, without: tuple[str, ...] = ()) -> Counter[str]:
        """Give the sums over all scenarios but some."""
        total = Counter[str]()
        for name, entry in self.held.items():
            if name not in without:
                total += Counter(entry["figures"])
        return total

    def bars(self, kind: str, name: str = "") -> list[int]:
        """Give a histogram, of one scenario or of all."""
        total = [0] * (len(EDGES) + 1)
        for each, entry in self.held.items():
            if name in ("", each) and kind in entry:
                total = [a + b for a, b in zip(total, entry[kind], strict=True)]
        return total


def _above_zero(figures: Counter[str]) -> Counter[str]:
    return Counter({name: count for name, count in figures.items() if count > 0})
