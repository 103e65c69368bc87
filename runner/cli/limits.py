"""``runner limits``: see rate limits, and change them for all workers at once."""

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from ..limits import Limit, Limits
from .connected import run

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Name = Annotated[str, typer.Argument(help="Of a limit as its task names it, or of one of its buckets.")]
AsJson = Annotated[bool, typer.Option("--json", help="One object a limit and line.")]


@app.command("set")
def set_(
    name: Name,
    rate: Annotated[str, typer.Argument(help="So many in a period: 50/s, 10/m, 1/30s.")],
    burst: Annotated[int | None, typer.Option(help="At once at most; left out: the rate's count.")] = None,
) -> None:
    """Set a rate for all workers; the next take sees it."""
    limit = _run(lambda limits: limits.set(name, rate, burst=burst))
    print(_line(limit))


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List limits: of tasks, of settings, and those set at run time."""
    for limit in _run(lambda limits: limits.list()):
        print(json.dumps(_plain(limit), ensure_ascii=False) if as_json else _line(limit))


@app.command()
def show(
    name: Name,
    bucket: Annotated[str | None, typer.Option(help="One of its buckets, as host:example.com.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a limit: its rate, who set it, the tokens that are left, how long the line is."""

    async def read(limits: Limits) -> tuple[Limit | None, Any]:
        return await limits.get(name), await limits.standing(name, bucket=bucket)

    limit, standing = _run(read)
    if limit is None:
        _not_found(f"there is no limit '{name}'; runner limits list shows them")
    if as_json:
        tokens, line_s = (None, None) if standing is None else (standing.tokens, standing.line_s)
        print(json.dumps({**_plain(limit), "tokens": tokens, "line_s": line_s}, ensure_ascii=False))
        return
    print(_line(limit))
    if standing is not None:
        print(f"{standing.tokens} tokens left; line: {standing.line_s:.3f} s")


@app.command()
def remove(name: Name) -> None:
    """Take back what was set at run time; settings, or the task, say the rate again."""
    if not _run(lambda limits: limits.remove(name)):
        _not_found(f"nothing was set for '{name}' at run time")
    print(f"{name} removed")


def _run(act: Callable[[Limits], Awaitable[T]]) -> T:
    return run(lambda runner: act(runner.limits))


def _line(limit: Limit) -> str:
    rate = "no rate" if limit.rate is None else f"{limit.rate}, burst {limit.rate.burst}"
    return f"{limit.name}  {rate}  ({limit.source})"


def _plain(limit: Limit) -> dict[str, Any]:
    rate = limit.rate
    return {
        "name": limit.name,
        "rate": None if rate is None else str(rate),
        "burst": None if rate is None else rate.burst,
        "source": limit.source,
    }


def _not_found(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise typer.Exit(4)
