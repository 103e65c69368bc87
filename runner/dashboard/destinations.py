"""The other sides that jobs call: how well they are, what holds calls to them up, what is dead of them."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from ..destinations import Destination
from ..gates import GateState
from ..limits import Limit
from ..wire.destinations import OTHERS, Tally
from . import words
from .asked import Asked, Page
from .rules import alike

MOST_GATES = 1000
STRIPS = 30
"""Strips of two minutes in the small picture of an hour."""


async def destinations(asked: Asked) -> Page:
    """All that were called within a day, those that failed last first."""
    text = asked.text("text")
    listing, gates = await asyncio.gather(
        asked.doors.destinations.list(text), asked.doors.limits.states(most=MOST_GATES)
    )
    held = {gate.key: gate for gate in gates}
    values = {
        "rows": [_row(each, held.get(each.key)) for each in listing.found],
        "total": listing.total,
        "text": text,
        "others": OTHERS,
    }
    return Page("destinations", "Destinations", values)


def _row(each: Destination, gate: GateState | None) -> dict[str, Any]:
    hour, day = each.hour, each.day
    halves = len(each.minutes) // STRIPS
    strips = [each.minutes[n : n + halves] for n in range(0, len(each.minutes), halves)]
    counts = [(sum(t.calls for t in some), sum(t.failed for t in some)) for some in strips]
    return {
        "key": each.key,
        "gate": gate,
        "hour": hour,
        "day": day,
        "p50": words.within(hour.within_ms(0.5)),
        "p95": words.within(hour.within_ms(0.95)),
        "bars": bars(counts, width=120, height=22),
    }


async def destination(asked: Asked) -> Page:
    """One: the last hour and the last day, its gates and limits, and what recovers the failed."""
    key = asked.needed("key")
    found, gates, rates = await asyncio.gather(
        asked.doors.destinations.get(key), asked.doors.limits.states(key), asked.doors.limits.list()
    )
    limits = [limit for limit in rates if _may_be_of(limit, key)]
    standings = await asyncio.gather(*(asked.doors.limits.standing(x.name, bucket=key) for x in limits))
    values = {
        "key": key,
        "spans": [_span("Last hour", found.minutes, 60), _span("Last day", found.hours, 3600)],
        "gates": alike(gates),
        "rates": [(limit, each) for limit, each in zip(limits, standings, strict=True) if each is not None],
        "is_others": key == OTHERS,
    }
    return Page("destination", f"Destination {key[:80]}", values)


def _may_be_of(limit: Limit, key: str) -> bool:
    """Whether a bucket of a limit, as ``host:{url.host}``, may have that name."""
    parts = re.split(r"\{[^{}]*\}", limit.name)
    return re.fullmatch(".+".join(map(re.escape, parts)), key) is not None


def _span(name: str, tallies: Sequence[Tally], each_s: int) -> dict[str, Any]:
    total = [sum(tally.calls for tally in tallies), sum(tally.failed for tally in tallies)]
    took = [sum(column) for column in zip(*(tally.took for tally in tallies), strict=True)]
    throttled = sum(tally.throttled for tally in tallies)
    whole = Tally(total[0] - total[1] - throttled, total[1], throttled, took)
    counts = [(tally.calls, tally.failed) for tally in tallies]
    return {
        "name": name,
        "tally": whole,
        "ago": words.span(len(tallies) * each_s),
        "most": max(calls for calls, _ in counts),
        "each": "minute" if each_s == 60 else "hour",
        "bars": bars(counts, width=600, height=90),
        "within": [
            (f"{share} of 100 took", words.within(whole.within_ms(share / 100))) for share in (50, 95, 99)
        ],
    }


def bars(counts: Sequence[tuple[int, int]], *, width: int, height: int) -> tuple[str, str]:
    """Draw calls, and of these the failed ones, as two paths of an SVG; an empty one where there are none."""
    most = max([calls for calls, _ in counts] + [1])
    step = width / max(1, len(counts))
    drawn: list[list[str]] = [[], []]
    for at, pair in enumerate(counts):
        for path, count in zip(drawn, pair, strict=True):
            if count:
                tall = max(1.5, count / most * height)
                path.append(f"M{at * step:.1f} {height}h{step * 0.75:.1f}v-{tall:.1f}h-{step * 0.75:.1f}z")
    return "".join(drawn[0]), "".join(drawn[1])
