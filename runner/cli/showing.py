"""How things look: tables that fit the terminal, moments, spans; what strangers wrote steers no terminal."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from ..settings.units import spell_duration


def clean(text: str) -> str:
    """Keep what strangers wrote from steering the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def moment(at_ms: Any) -> str:
    """Write epoch milliseconds for people; ``?`` for what is no moment."""
    try:
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (TypeError, ValueError, OverflowError, OSError):
        return "?"


def span(seconds: float) -> str:
    """Write a span in one or two units, as ``3m12s`` or ``850ms``."""
    if seconds >= 86_400:
        return spell_duration(seconds // 3600 * 3600)
    return spell_duration(round(seconds, 3) if seconds < 1 else float(round(seconds)))


def brief(value: Any, width: int = 60) -> str:
    """Write a value as JSON, cut to so many characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    text = clean(text.partition("\n")[0])
    return text if len(text) <= width else text[: width - 1] + "…"


def print_json(value: Any) -> None:
    """Print one value, for programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_jsonl(values: Iterable[Any]) -> None:
    """Print one value a line, for programs."""
    for value in values:
        print(json.dumps(value, ensure_ascii=False, default=str))


def print_facts(facts: dict[str, str]) -> None:
    """Print names and values below each other; empty values are left out."""
    width = max(map(len, facts))
    for name, text in facts.items():
        if text:
            print(f"{name:<{width}}  {clean(text)}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows: aligned for pipes, in a frame on a terminal, as a block each where that is too narrow."""
    rows = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    if not sys.stdout.isatty():
        for row in [columns, *rows] if rows else []:
            print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    elif min(sum(widths), 80) + 3 * len(widths) > shutil.get_terminal_size().columns:
        for row in rows:
            print_facts(dict(zip(columns, row, strict=True)))
            print()
    else:
        _print_framed(columns, rows)


def _print_framed(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
