"""Numbers, times and spans for people."""

from datetime import UTC, datetime

from ..wire.destinations import BOUNDS_MS

LONGEST_MS = BOUNDS_MS[-1]
_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"))


def span(seconds: float) -> str:
    """Say how long, in one unit: ``840 ms``, ``12 s``, ``5 min``, ``3 h``, ``2 d``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds > 0 else "0 s"
    for size, unit in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 10 else f"{seconds:.0f} s"


def utc(at_ms: int | None) -> str:
    """Give an instant as a date and a time; empty where none is known."""
    if not at_ms:
        return ""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"


def since(at_ms: int | None, now_ms: int) -> str:
    """Say how far an instant is away: ``5 min ago``, ``in 3 h``."""
    if not at_ms:
        return ""
    away_s = (at_ms - now_ms) / 1000
    if abs(away_s) < 1:
        return "now"
    return f"in {span(round(away_s))}" if away_s > 0 else f"{span(round(-away_s))} ago"


def count(number: float) -> str:
    """Write a whole number with thin spaces between thousands."""
    return f"{number:,.0f}".replace(",", "\u202f")


def rate(per_s: float) -> str:
    """Write jobs a second; slow ones a minute."""
    if per_s == 0:
        return "0/s"
    return f"{per_s:.0f}/s" if per_s >= 10 else f"{per_s:.1f}/s" if per_s >= 1 else f"{per_s * 60:.1f}/min"


def percent(share: float | None) -> str:
    """Write a share; never 100 when something is missing, never 0 when something is there."""
    if share is None:
        return "–"
    tenths = min(999, max(1, int(share * 1000))) if 0 < share < 1 else round(share * 1000)
    return f"{tenths / 10:.1f}".removesuffix(".0") + "\u202f%"


def within(bound_ms: float | None) -> str:
    """Say within which bound calls ended."""
    if bound_ms is None:
        return "–"
    return f"> {span(LONGEST_MS / 1000)}" if bound_ms > LONGEST_MS else f"≤ {span(bound_ms / 1000)}"


def size(number: int) -> str:
    """Write bytes."""
    return (
        f"{number} B"
        if number < 1024
        else f"{number / 1024:.1f} KiB"
        if number < 1 << 20
        else f"{number / (1 << 20):.1f} MiB"
    )
