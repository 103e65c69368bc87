"""What the commands of ``runner dead`` are asked with, and how it is read."""

import re
from typing import Annotated, Any

import typer

from ..clock import SYSTEM_CLOCK
from ..dead_letters import Edit, Filter
from ..settings.units import parse_moment
from .asking import read_json, refuse_unless
from .completing import queue_names

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="These only.")]
Task = Annotated[str, typer.Option(help="Name of the task; * and ? stand for any.")]
Reason = Annotated[str, typer.Option(help="Why it died: max_tries, gave_up, poison, …")]
Error = Annotated[str, typer.Option(help="Class of the last error, with or without module; * and ?.")]
Host = Annotated[str, typer.Option(help="Host of a URL among the arguments; * and ?.")]
Text = Annotated[str, typer.Option(help="Anywhere in id, arguments, error.")]
Destination = Annotated[
    str, typer.Option(metavar="KEY", help="Key of a breaker that the call passes, as host:example.com.")
]
Queue = Annotated[str | None, typer.Option(help="Of this queue only.", autocompletion=queue_names)]
Since = Annotated[
    str | None, typer.Option(metavar="WHEN", help="Died then or later: 2h (ago), 2026-11-05T10:00Z.")
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="Died then or earlier.")]
Cursor = Annotated[str, typer.Option(help="Where an earlier call stopped.")]
All = Annotated[bool, typer.Option("--all", help="Really all.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only count.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/(s|m|h))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, None: 1}


def filter_of(
    task: str,
    reason: str,
    error: str,
    host: str,
    text: str,
    since: str | None,
    until: str | None,
    destination: str = "",
) -> Filter:
    """Make a filter of the options."""
    return Filter(task, reason, error, host, text, _moment(since), _moment(until), destination)


def read_rate(text: str) -> float:
    """Give letters a second for ``50/s``, ``100/m``, ``50``."""
    match = _RATE.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        msg = f"--rate is a number above zero for a second, minute or hour, as 50/s, 100/m; not {text!r}"
        raise typer.BadParameter(msg)
    return float(match[1]) / _SECONDS[match[2]]


def read_edit(values: list[str] | None, args: str | None, kwargs: str | None) -> Edit:
    """Read what changes; every value is JSON."""
    named: dict[str, Any] = {}
    for pair in values or []:
        name, equals, value = pair.partition("=")
        refuse_unless(
            bool(equals and name), f"--edit is NAME=JSON, as amount=5 or name='\"Ann\"'; not {pair!r}"
        )
        named[name] = read_json(f"--edit {name}", value)
    given_args = None if args is None else read_json("--args", args, list)
    given_kwargs = None if kwargs is None else read_json("--kwargs", kwargs, dict)
    return Edit(named, given_args, given_kwargs)


def _moment(text: str | None) -> int:
    """Give epoch milliseconds of a moment, or of a time ago; 0 for none."""
    if text is None:
        return 0
    try:
        return parse_moment(text, now_ms=SYSTEM_CLOCK.now_ms())
    except ValueError as error:
        msg = f"expected {error}, not {text!r}"
        raise typer.BadParameter(msg) from None
