"""What a command says of what it did: a line for people, or an object for programs."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from ..dead_letters import Tally
from ..errors import RunnerError
from . import exit_code_of
from .showing import print_json

Json = Annotated[bool, typer.Option("--json", help="What was done, as JSON.")]


def tell(text: str, *, as_json: bool, **done: Any) -> None:
    """Print the line, or the object."""
    print_json(done) if as_json else print(text)


def tell_tally(tally: Tally, text: str, *, as_json: bool, dry_run: bool = False) -> None:
    """Say what became of many, or how many there are."""
    counts = {"matched": tally.matched, "done": tally.done, "gone": tally.gone, "refused": tally.refused}
    tell(text, as_json=as_json, **counts, dry_run=dry_run, cursor=tally.cursor)


async def each(
    names: Sequence[str],
    act: Callable[[str], Awaitable[str]],
    passing: tuple[type[RunnerError], ...],
    *,
    as_json: bool,
) -> None:
    """Do it to one after the other; what fails is told and the rest goes on.

    Args:
        names: what it is done to.
        act: gives the line that says what was done.
        passing: errors of one that keep none of the others from being done.
        as_json: print one list at the end.

    Raises:
        typer.Exit: something failed: with the highest of their codes.
    """
    code, told = 0, list[dict[str, Any]]()
    for name in names:
        try:
            said = await act(name)
        except passing as error:
            told.append({"id": name, "done": False, "said": str(error)})
            code = max(code, exit_code_of(error))
            print(error, file=sys.stderr)
        else:
            told.append({"id": name, "done": True, "said": said})
            if not as_json:
                print(said)
    if as_json:
        print_json(told)
    if code:
        raise typer.Exit(code)
