"""Before something is done: whether it is meant, and whether it is not too much."""

import json
import sys
from typing import Any, NoReturn

import typer

REFUSED = 5


def refuse_unless(condition: bool, message: str) -> None:
    """Refuse a command line that cannot be meant.

    Raises:
        typer.BadParameter: the condition is not met.
    """
    if not condition:
        raise typer.BadParameter(message)


def refuse(message: str) -> NoReturn:
    """End with exit code 5: it was understood, and is not done."""
    print(message, file=sys.stderr)
    raise typer.Exit(REFUSED)


def confirm(question: str, *, yes: bool, answer: str = "") -> None:
    """Let a person confirm with y, or with ``answer`` when given; a script has to say ``--yes``."""
    if yes:
        return
    if not sys.stdin.isatty():
        refuse(f"{question} Say --yes where nobody can be asked")
    typer.echo(f"{question} " + ("" if answer else "[y/N] "), nl=False, err=True)
    given = sys.stdin.readline().strip()
    if given != answer if answer else given.lower() not in {"y", "yes"}:
        refuse("nothing was done")


def within(total: int, limit: int | None) -> None:
    """Refuse to touch more than ``--limit``; None for no limit."""
    if limit is not None and total > limit:
        refuse(f"{total:,} would be touched, more than --limit {limit:,}; nothing was done")


def read_json(option: str, text: str, kind: type | None = None) -> Any:
    """Read JSON off the command line; ``kind`` list or dict when it has to be one.

    Raises:
        typer.BadParameter: it is none; says how text is written.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        msg = f"{option} takes JSON, so text stands in double quotes: '\"Ann\"'; {text!r} is none ({error})"
        raise typer.BadParameter(msg) from None
    if kind is not None and not isinstance(value, kind):
        msg = f"{option} is a JSON {'list' if kind is list else 'object'}, not {text}"
        raise typer.BadParameter(msg)
    return value
