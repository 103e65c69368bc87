"""Figures: what was measured, how often, and what it should reach."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Sample = dict[str, float]
"""One repetition: a value for each figure that was measured."""


class Kind(NamedTuple):
    """What a figure is. ``reach`` is for people: what it should be; empty where there is no promise."""

    unit: str
    reach: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure over all repetitions."""

    name: str
    kind: Kind
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True, slots=True)
class Report:
    """What a bench found out, and on what."""

    bench: str
    options: Mapping[str, Any]
    figures: tuple[Figure, ...]

    def plain(self) -> dict[str, Any]:
        """Give it as JSON-able data."""
        return {
            "bench": self.bench,
            "options": dict(self.options),
            "machine": machine(),
            "figures": {figure.name: _plain(figure) for figure in self.figures},
        }

    def lines(self) -> list[str]:
        """Give it as a table for people."""
        rows = [("", "median", "least", "most", "", "reach")] + [_row(figure) for figure in self.figures]
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        settings = ", ".join(f"{name} {value}" for name, value in self.options.items())
        return [f"{self.bench}: {settings}", *(_line(row, widths) for row in rows)]


def figures_of(kinds: Mapping[str, Kind], samples: Sequence[Sample]) -> tuple[Figure, ...]:
    """Gather repetitions; what was not measured is left out."""
    values = {name: tuple(sample[name] for sample in samples if name in sample) for name in kinds}
    return tuple(Figure(name, kinds[name], found) for name, found in values.items() if found)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def machine() -> dict[str, Any]:
    """Give what a reader must know of where this ran."""
    return {"python": platform.python_version(), "system": platform.system(), "cores": os.cpu_count()}


def _plain(figure: Figure) -> dict[str, Any]:
    return {
        "unit": figure.kind.unit,
        "median": figure.median,
        "min": min(figure.samples),
        "max": max(figure.samples),
        "samples": list(figure.samples),
        "reach": figure.kind.reach,
    }


def _row(figure: Figure) -> tuple[str, str, str, str, str, str]:
    values = (figure.median, min(figure.samples), max(figure.samples))
    median, least, most = (_number(value) for value in values)
    return figure.name, median, least, most, figure.kind.unit, figure.kind.reach


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(row: tuple[str, ...], widths: Sequence[int]) -> str:
    name, *numbers, unit, reach = row
    cells = [number.rjust(width) for number, width in zip(numbers, widths[1:4], strict=True)]
    return "  ".join([name.ljust(widths[0]), *cells, unit.ljust(widths[4]), reach]).rstrip()
