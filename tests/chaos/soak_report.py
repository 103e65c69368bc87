"""What a soak came to, for a terminal and as one HTML page that needs nothing else."""

import datetime as dt
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from .plots import line
from .report import STYLE, machine
from .scenario import quantile
from .slope import GROWTH_AN_HOUR

if TYPE_CHECKING:
    from .soak import Soak

PLOTTED = 400
MIB = 1 << 20


def text(hours: float, seen: "Soak") -> str:
    """Give it for a terminal."""
    heads = (
        f"{'must stay flat':30} {'level':>10} {'growth':>10} {'allowed':>10} {'an hour':>9} {'told from':>10}"
    )
    rows = [heads]
    for name, trend in seen.trends.items():
        level, growth, allowed = (_shown(name, value) for value in (trend.level, trend.growth, trend.allowed))
        verdict = "flat" if trend.flat else "GROWS"
        shares = f"{trend.share_an_hour:>9.1%} {trend.told_from:>10.1%}"
        rows.append(f"{name:30} {level:>10} {growth:>10} {allowed:>10} {shares}  {verdict}")
    lag = sorted(value for _, value in seen.rows.get("worker loop lag, ms", []))
    drained = "never" if seen.drained_s is None else f"{seen.drained_s:.1f} s after the load"
    spells = ", ".join(f"{begin:.0f} to {end:.0f} s" for begin, end in seen.spells)
    lags = f"p50 {quantile(lag, 0.5):.1f} ms, p99 {quantile(lag, 0.99):.1f} ms" if lag else "not measured"
    if unseen := [name for name, trend in seen.trends.items() if trend.told_from > 1.05 * GROWTH_AN_HOUR]:
        rows += ["", f"Too short to show {GROWTH_AN_HOUR:.0%} an hour of: {', '.join(unseen)}."]
        rows.append('There "flat" says only: no growth as fast as in the column "told from".')
    rows += [
        "",
        f"{hours:g} h; receiver and server away in turn: {spells}",
        f"most jobs waiting: {_most_waiting(seen):.0f}; queues empty {drained}",
        f"loop lag of the workers: {lags}",
    ]
    verdict = f"BROKEN: {'; '.join(seen.broken)}" if seen.broken else "flat, and every promise held"
    balance = seen.balance.text if seen.balance is not None else ""
    return "\n".join(rows) + f"\n{balance}{verdict}\n"


def _most_waiting(seen: "Soak") -> float:
    return max((value for _, value in seen.rows.get("backlog", [])), default=0.0)


def _shown(name: str, value: float) -> str:
    return f"{value / MIB:.2f} MiB" if "memory" in name else f"{value:.1f}"


def page(hours: float, seen: "Soak") -> str:
    """Give it as a page."""
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
    plots = [
        line(_title(name), _thinned(_scaled(name, points)), spells=seen.spells)
        for name, points in sorted(seen.rows.items())
    ]
    return "\n".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8><title>Soak</title>",
            f"<style>{STYLE}</style><h1>Soak: {'flat' if not seen.broken else 'BROKEN'}</h1>",
            f"<p>{hours:g} hours, {now}. {escape(machine())}.</p>",
            "<p>Shaded: the receiver is away, then the server.</p>",
            f"<pre>{escape(text(hours, seen))}</pre>",
            *plots,
            "",
        ]
    )


def _title(name: str) -> str:
    return f"{name}, MiB" if "memory" in name else name


def _scaled(name: str, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(at_s, value / MIB) for at_s, value in points] if "memory" in name else list(points)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Keep the highest of each stretch: a plot of hours has no room for every sample."""
    size = max(1, len(points) // PLOTTED)
    parts = (points[at : at + size] for at in range(0, len(points), size))
    return [max(part, key=lambda point: point[1]) for part in parts]
