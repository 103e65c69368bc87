"""Plots as inline SVG: bars and lines, without a library and without anything fetched."""

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 220, 64, 34, 16
INK, BAR, MARK, GRID = "#333", "#3b7dd8", "#d33", "#ddd"


def bars(title: str, labels: Sequence[str], heights: Sequence[int], *, mark: int | None = None) -> str:
    """Draw a histogram; ``mark`` draws a line behind the bar of that number: a bound."""
    most = max([*heights, 1])
    step = (WIDTH - LEFT) / max(1, len(heights))
    parts = [_text(LEFT, 12, title, anchor="start", weight="bold")]
    for number, (label, height) in enumerate(zip(labels, heights, strict=True)):
        x, tall = LEFT + number * step, (HEIGHT - BOTTOM - TOP - 12) * height / most
        y = HEIGHT - BOTTOM - tall
        parts.append(
            f'<rect x="{x + 2:.1f}" y="{y:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" fill="{BAR}"/>'
        )
        if height:
            parts.append(_text(x + step / 2, y - 3, str(height), size=10))
        parts.append(_text(x + step / 2, HEIGHT - BOTTOM + 14, label, size=10))
    if mark is not None:
        x = LEFT + (mark + 1) * step
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP + 8}" y2="{HEIGHT - BOTTOM}" stroke="{MARK}"'
            ' stroke-dasharray="4 3"/>'
        )
    return _svg(title, parts)


def line(
    title: str,
    points: Sequence[tuple[float, float]],
    *,
    unit: str = "",
    spells: Sequence[tuple[float, float]] = (),
) -> str:
    """Draw values over seconds; ``spells`` are shaded: outages."""
    parts = [_text(LEFT, 12, title, anchor="start", weight="bold")]
    if not points:
        return _svg(title, [*parts, _text(WIDTH / 2, HEIGHT / 2, "no samples")])
    last = max(max(x for x, _ in points), 1.0)
    high = max(y for _, y in points) * 1.1 or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        tall = HEIGHT - BOTTOM - TOP
        return LEFT + x / last * (WIDTH - LEFT - 8), HEIGHT - BOTTOM - y / high * tall

    for begin, end in spells:
        left, right = place(begin, 0)[0], place(end, 0)[0]
        parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(1.0, right - left):.1f}"'
            f' height="{HEIGHT - BOTTOM - TOP}" fill="{MARK}" opacity="0.12"/>'
        )
    for share in (0, 0.5, 1):
        y = place(0, high * share)[1]
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
        parts.append(_text(LEFT - 4, y + 4, f"{high * share:.3g}{unit}", anchor="end", size=10))
        parts.append(_text(place(last * share, 0)[0], HEIGHT - BOTTOM + 14, f"{last * share:.0f} s", size=10))
    path = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in points)
    parts.append(f'<polyline points="{path}" fill="none" stroke="{BAR}" stroke-width="1.5"/>')
    return _svg(title, parts)


def _svg(title: str, parts: Sequence[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"'
        f' xmlns="http://www.w3.org/2000/svg">\n{inside}\n</svg>'
    )


def _text(
    x: float, y: float, words: str, *, anchor: str = "middle", size: int = 12, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
        f' fill="{INK}" font-family="sans-serif">{escape(words)}</text>'
    )
