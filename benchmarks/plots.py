"""Plots as SVG: plain, readable on light and dark, without a library."""

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

WIDTH, LEFT, RIGHT, TOP, BAR, GAP = 760, 110, 90, 54, 13, 9
STYLE = """
text { font: 12px sans-serif; fill: #444; } .title { font-size: 14px; font-weight: bold; }
.ours { font-weight: bold; } .number { font-size: 10.5px; }
line { stroke: #999; stroke-width: 1; } .grid { stroke-opacity: .3; }
.s0 { fill: #2b7bba; } .s1 { fill: #e08214; } .s2 { fill: #4d9a52; } .s3 { fill: #9467bd; }
polyline { fill: none; stroke-width: 1.5; } .thick { stroke-width: 3.5; }
@media (prefers-color-scheme: dark) { text { fill: #ccc; } line { stroke: #888; } }
"""
HUES = (205, 28, 130, 270, 355, 60, 180, 310, 90, 235)


class Value(NamedTuple):
    """A median with the least and the most of its samples."""

    median: float
    least: float
    most: float


class Row(NamedTuple):
    """One library's values, one a series; None where it has none."""

    name: str
    values: Sequence[Value | None]


class Line(NamedTuple):
    """One library's points."""

    name: str
    points: Sequence[tuple[float, float]]


def bars(title: str, series: Sequence[str], rows: Sequence[Row], *, is_log: bool = False) -> str:
    """Draw a group of bars a library, with whiskers from least to most."""
    found = [value for row in rows for value in row.values if value]
    most, least = max(v.most for v in found), min(v.least for v in found)
    low = 10 ** math.floor(math.log10(least)) if is_log else 0.0

    def x(value: float) -> float:
        share = math.log(value / low) / math.log(most / low) if is_log else value / most
        return LEFT + max(0.0, share) * (WIDTH - LEFT - RIGHT)

    step = BAR * len(series) + GAP
    height = TOP + step * len(rows) + 12
    body = [_text(LEFT, 18, title, "title"), *_legend(series)]
    for number, row in enumerate(rows):
        top = TOP + number * step
        body.append(_text(LEFT - 8, top + (step - GAP) / 2 + 4, row.name, "" if number else "ours", "end"))
        for n, value in enumerate(row.values):
            if value:
                body += _bar(x, value, top + n * BAR, n)
    body.append(f'<line x1="{LEFT}" y1="{TOP - 4}" x2="{LEFT}" y2="{height - 10}"/>')
    return _svg(height, body)


def curves(title: str, lines: Sequence[Line], unit: str) -> str:
    """Draw lines over a scale of powers of ten both ways, the first one thick."""
    points = [point for line in lines for point in line.points]
    xs, ys = [math.log10(x) for x, _ in points], [math.log10(y) for _, y in points]
    x_low, x_high, y_low, y_high = (
        math.floor(min(xs)),
        math.ceil(max(xs)),
        math.floor(min(ys)),
        math.ceil(max(ys)),
    )
    height, bottom = 400, 360

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / max(1, x_high - x_low)
        up = (math.log10(y) - y_low) / max(1, y_high - y_low)
        return 70 + across * (WIDTH - 190), bottom - up * (bottom - TOP)

    body = [_text(70, 18, title, "title"), _text(70, 36, unit)]
    for power in range(y_low, y_high + 1):
        y = at(10**x_low, 10**power)[1]
        body += [f'<line class="grid" x1="70" y1="{y:.1f}" x2="{WIDTH - 120}" y2="{y:.1f}"/>']
        body.append(_text(62, y + 4, f"{10**power:,}", "number", "end"))
    for power in range(x_low, x_high + 1):
        body.append(_text(at(10**power, 10**y_low)[0], bottom + 18, f"{10**power:,}", "number", "middle"))
    for number, line in enumerate(lines):
        body += _curve(line, [at(*point) for point in line.points], number)
    return _svg(height, body)


def number(value: float) -> str:
    """Write a number as a person would."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _bar(x: Callable[[float], float], value: Value, top: float, series: int) -> list[str]:
    left, middle, right = x(value.least), x(value.median), x(value.most)
    y, width = top + BAR / 2, max(1.0, middle - LEFT)
    return [
        f'<rect class="s{series}" x="{LEFT}" y="{top + 1:.1f}" width="{width:.1f}" height="{BAR - 2}"/>',
        f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>',
        _text(max(middle, right) + 5, top + BAR - 3, number(value.median), "number"),
    ]


def _curve(line: Line, points: Sequence[tuple[float, float]], place: int) -> list[str]:
    color = f"hsl({HUES[place % len(HUES)]},65%,50%)"
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    thick = "" if place else ' class="thick"'
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
    x, y = points[-1]
    return [
        f'<polyline{thick} points="{told}" stroke="{color}"/>',
        *marks,
        _text(x + 7, y + 4, line.name, "" if place else "ours"),
    ]


def _legend(series: Sequence[str]) -> list[str]:
    found, x = [], float(LEFT)
    for n, name in enumerate(series):
        found.append(f'<rect class="s{n}" x="{x:.0f}" y="29" width="10" height="10"/>')
        found.append(_text(x + 15, 38, name))
        x += 40 + 7 * len(name)
    return found


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(height: float, body: Sequence[str]) -> str:
    size = f'width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f"<style>{STYLE}</style>", *body, "</svg>", ""])
