"""The report: a table for the terminal, and a page with plots; what we lose stands beside what we win."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

from .book import Book
from .figures import BARS, COMPARED, SECTIONS, Bar, Figure, Section
from .peers import ADAPTERS, OURS, PEERS
from .plots import Line, Row, Value, bars, curves, number

EVEN = 1.1
"""What is nearer than a tenth is called even: rounds differ by as much."""
PAGE, KEPT, WHY = "benchmarks.md", "benchmarks.json", "benchmarks-why.md"
HEAD = """\
# Beside other libraries

Written by `make bench-peers`; every sample is in `benchmarks.json`. Nothing here was edited by hand.

- {date}, commit {commit}, {rounds} rounds ({scale}), {minutes} minutes. {machine}, Python {python}, {server}
  with an append-only file that is written to disk each second.
- One server program for all, over TCP, started anew for each library and round. Server, workers, client and
  receiver share the cores. Libraries take turns in each round (A B C A B C), so a slow moment hits all.
- Medians of the rounds, least and most in brackets. Slower libraries get fewer jobs: a drain lasts about as
  long for each. "x" is how many times better we are.
"""


def write(book: Book, folder: Path) -> None:
    """Write page, plots and numbers into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    book.save(folder / KEPT)
    drawn = {f"benchmarks-{section.key}.svg": _plot(book, section) for section in SECTIONS}
    for name, plot in drawn.items():
        if plot:
            (folder / name).write_text(plot)
    text = "\n".join(_page(book, {name for name, plot in drawn.items() if plot}, (folder / WHY).exists()))
    (folder / PAGE).write_text(text + "\n")


def lines(book: Book) -> list[str]:
    """Give all medians as tables for a terminal."""
    told: list[str] = []
    for section in SECTIONS:
        rows = [["", *(f"{figure.title} ({figure.unit})" for figure in section.figures)]]
        rows += [[peer, *(_short(book, peer, figure) for figure in section.figures)] for peer in _peers(book)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        told += ["", section.title]
        told += [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
    told += ["", *_judged(book), "", *(f"- {line}" for line in _bars(book)), *_absent(book)]
    return told


def standing(book: Book, figure: Figure) -> tuple[str, float] | None:
    """Give the best other library at a figure, and how many times better we are than it; None without one."""
    ours = book.median(OURS, figure.name)
    found = {peer: book.median(peer, figure.name) for peer in _peers(book) if peer != OURS}
    theirs = {peer: value for peer, value in found.items() if value}
    if not ours or not theirs:
        return None
    best = (max if figure.more_is_better else min)(theirs, key=lambda peer: theirs[peer])
    return best, ours / theirs[best] if figure.more_is_better else theirs[best] / ours


def _peers(book: Book) -> list[str]:
    return [name for name in PEERS if name in book.samples]


def _short(book: Book, peer: str, figure: Figure) -> str:
    middle = book.median(peer, figure.name)
    return "–" if middle is None else number(middle)


def _judged(book: Book) -> Iterator[str]:
    """Give what we lose, what is even and what we win, against the best of the others each time."""
    found = [(figure, said) for figure in COMPARED if (said := standing(book, figure))]
    named = {figure: f"{_section_of(figure).title.lower()}, {figure.title}" for figure, _ in found}
    groups = {
        "We lose at": [(f, s) for f, s in found if s[1] < 1 / EVEN],
        "Even (within a tenth)": [(f, s) for f, s in found if 1 / EVEN <= s[1] <= EVEN],
        "We win at": [(f, s) for f, s in found if s[1] > EVEN],
    }
    for title, group in groups.items():
        yield f"**{title}** ({len(group)} of {len(found)}):"
        yield ""
        yield from (f"- {named[figure]}: {_told(book, figure, *said)}" for figure, said in group)
        yield "- nothing" if not group else ""


def _told(book: Book, figure: Figure, best: str, times: float) -> str:
    ours, theirs = (_short(book, peer, figure) for peer in (OURS, best))
    ratio = f"{times:.2f} x" if times < 10 else f"{times:.0f} x"
    return f"we {ours} {figure.unit}, best of the others {best} {theirs}: {ratio} as good"


def _bars(book: Book) -> Iterator[str]:
    for bar in BARS:
        value = bar.value(book)
        wanted = f"{'>=' if bar.is_least else '<='} {number(bar.bar)}"
        if value is None:
            yield f"{bar.title}: not measured (bar {wanted})"
        else:
            told = "met" if _is_met(bar, value) else "NOT MET"
            yield f"{bar.title}: {number(value)} (bar {wanted}): {told}"


def _is_met(bar: Bar, value: float) -> bool:
    return value >= bar.bar if bar.is_least else value <= bar.bar


def _absent(book: Book) -> list[str]:
    found = [f"- {peer} is missing: it {why}" for peer, why in book.missing.items()]
    found += [f"- {peer}, {trouble}" for peer, troubles in book.troubles.items() for trouble in troubles]
    return ["", "Missing or failed:", *found] if found else []


def _page(book: Book, plots: set[str], has_why: bool) -> Iterator[str]:
    yield HEAD.format(**{"minutes": "?", "server": "valkey"} | book.about)
    yield from ("## What we lose, what we win", "")
    yield from _judged(book)
    yield from ("## Our own bars", "")
    yield from (f"- {line}" for line in _bars(book))
    if has_why:
        yield from ("", f"What stands in the way of those that are not met: [{WHY}]({WHY}).")
    for section in SECTIONS:
        yield from _table(book, section, plots)
    yield from _how(book)


def _table(book: Book, section: Section, plots: set[str]) -> Iterator[str]:
    yield from ("", f"## {section.title}", "", section.words, "")
    if (plot := f"benchmarks-{section.key}.svg") in plots:
        yield from (f"![{section.title}]({plot})", "")
    yield "| | " + " | ".join(f"{figure.title}, {figure.unit}" for figure in section.figures) + " |"
    yield "| --- |" + " ---: |" * len(section.figures)
    for peer in _peers(book):
        cells = " | ".join(_cell(book, peer, figure) for figure in section.figures)
        yield f"| {f'**{peer}**' if peer == OURS else peer} | {cells} |"
    if section.key in ("drain", "webhooks"):
        yield from ("", f"Jobs in a measured drain of one process, median: {_counts(book, section.key)}.")
    if section.key == "drain":
        yield from ("", f"Without a queue: {_floor(book, 'bare commands')}.")
    if section.key == "webhooks":
        yield from ("", f"Without a queue: {_floor(book, 'bare post')}; {_floor(book, 'bare exchange')}.")
        if unequal := list(_unequal(book)):
            yield from ("", "Drains that did not run each job once, though nothing was killed:", "", *unequal)


def _cell(book: Book, peer: str, figure: Figure) -> str:
    values, middle = book.values(peer, figure.name), book.median(peer, figure.name)
    ours = book.median(OURS, figure.name)
    if middle is None:
        return "–"
    told = number(middle)
    if len(values) > 1:
        told += f" [{number(min(values))}–{number(max(values))}]"
    if peer != OURS and ours and middle:
        told += f" {ours / middle if figure.more_is_better else middle / ours:.2g} x"
    return told


def _counts(book: Book, name: str) -> str:
    found = {peer: book.median(peer, f"{name}, 1 process, jobs") for peer in _peers(book)}
    return ", ".join(f"{peer} {number(count)}" for peer, count in found.items() if count)


def _floor(book: Book, name: str) -> str:
    found = {figure: book.floor_median(figure) for figure in book.floor if figure.startswith(name)}
    told = (f"{figure.partition(', ')[2]} {number(value)}" for figure, value in found.items() if value)
    return f"{name}: {', '.join(told)}"


def _unequal(book: Book) -> Iterator[str]:
    """Give whose drains did not run each job once, though nothing was killed."""
    for peer, figures in book.samples.items():
        for figure in figures:
            name, _, what = figure.rpartition(", ")
            if what == "enqueued":
                pairs = zip(figures[figure], figures[f"{name}, ran"], strict=True)
                yield from (
                    f"- {peer}, {name}: {ran:,.0f} of {put:,.0f} ran" for put, ran in pairs if ran != put
                )


def _how(book: Book) -> Iterator[str]:
    yield from ("", "## How each was set up", "", "Versions are pinned in `benchmarks/requirements/`.", "")
    for name, version in book.versions.items():
        if name in book.samples:
            yield f"- **{name}** ({version}). {_docstring(PEERS[name].adapter)}"
    yield from _absent(book)


def _docstring(adapter: str) -> str:
    text = (ADAPTERS / adapter).read_text()
    if adapter.endswith(".py"):
        return " ".join((ast.get_docstring(ast.parse(text)) or "").split())
    return " ".join(line.removeprefix("//").strip() for line in text.splitlines() if line.startswith("//"))


def _plot(book: Book, section: Section) -> str:
    if section.key == "backlog":
        return _backlog_plot(book)
    chosen = section.figures[: section.plotted]
    rows = [Row(peer, [_value(book.values(peer, figure.name)) for figure in chosen]) for peer in _peers(book)]
    rows = [row for row in rows if any(row.values)]
    title = f"{section.title}, {chosen[0].unit} ({'more' if chosen[0].more_is_better else 'less'} is better)"
    return bars(title, [figure.title for figure in chosen], rows, is_log=section.is_log) if rows else ""


def _backlog_plot(book: Book) -> str:
    found = []
    for peer in _peers(book):
        points = [
            (long["jobs"], _middle([look["drain, jobs/s"] for look in long["looks"]]))
            for long in book.backlog.get(peer, [])
        ]
        found += [Line(peer, points)] if points else []
    return curves("Drain of a long queue, 1 process", found, "jobs/s, over waiting jobs") if found else ""


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _value(values: Sequence[float]) -> Value | None:
    return Value(_middle(values), min(values), max(values)) if values else None


def _section_of(figure: Figure) -> Section:
    return next(section for section in SECTIONS if figure in section.figures)
