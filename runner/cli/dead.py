"""``runner dead``: list, show, replay, discard, purge, export and import dead letters.

Data goes to stdout, all else to stderr. What touches many letters counts them and asks; ``--yes`` answers.
"""

import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ..app import Runner
from ..dead_letters import DeadLetters, Edit, Filter, Tally
from ..errors import NotDead, ReplayRefused
from .asking import confirm, refuse_unless
from .connected import actor, run
from .dead_options import (
    All,
    Cursor,
    Destination,
    DryRun,
    Error,
    Host,
    Ids,
    Queue,
    Reason,
    Since,
    Task,
    Text,
    Until,
    Yes,
    filter_of,
    read_edit,
    read_rate,
)
from .dead_view import as_plain, print_letter, print_letters
from .meter import Meter
from .telling import Json, each, tell_tally

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="One object.")]


@app.command("list")
def list_(
    task: Task = "", reason: Reason = "", error: Error = "", host: Host = "", text: Text = "",
    destination: Destination = "", queue: Queue = None, since: Since = None, until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Letters at most.")] = 50,
    look: Annotated[int, typer.Option(min=1, help="Letters to look at, at most.")] = 10_000,
    cursor: Cursor = "",
    oldest: Annotated[bool, typer.Option("--oldest", help="Oldest first.")] = False,
    as_json: AsJson = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One object a letter and line.")] = False,
) -> None:  # fmt: skip
    """List dead letters, of each queue the newest first; prints the cursor to go on with to stderr."""
    wanted = filter_of(task, reason, error, host, text, since, until, destination)

    async def read(dead: DeadLetters) -> None:
        order = "oldest" if oldest else "newest"
        page = await dead.find(wanted, queue=queue, cursor=cursor, limit=limit, look=look, order=order)
        if as_json:
            letters = [as_plain(letter) for letter in page.letters]
            print(json.dumps({"letters": letters, "cursor": page.cursor, "looked": page.looked}))
        elif as_jsonl:
            for letter in page.letters:
                print(json.dumps(as_plain(letter), ensure_ascii=False))
        else:
            print_letters(page.letters, await dead.standings(queue))
        if page.cursor:
            print(f"looked at {page.looked:,}; there is more: --cursor '{page.cursor}'", file=sys.stderr)

    _run(read)


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="ID")], queue: Queue = None, as_json: AsJson = False
) -> None:
    """Show all that is kept of one letter: attempts, errors, arguments."""
    letter = _run(lambda dead: dead.show(job_id, queue=queue))
    if as_json:
        print(json.dumps(as_plain(letter, whole=True), ensure_ascii=False, indent=2))
    else:
        print_letter(letter)


@app.command()
def replay(
    ids: Ids = None,
    task: Task = "", reason: Reason = "", error: Error = "", host: Host = "", text: Text = "",
    destination: Destination = "", queue: Queue = None, since: Since = None, until: Until = None,
    everything: All = False,
    edit: Annotated[
        list[str] | None, typer.Option(metavar="NAME=JSON", help="Another value for an argument.")
    ] = None,
    args: Annotated[str | None, typer.Option(metavar="JSON", help="All positional arguments anew.")] = None,
    kwargs: Annotated[str | None, typer.Option(metavar="JSON", help="All keyword arguments anew.")] = None,
    rate: Annotated[str, typer.Option(metavar="N/s", help="At most so many: 50/s, 100/m.")] = "50/s",
    dry_run: DryRun = False, cursor: Cursor = "", yes: Yes = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Make dead letters jobs again: by id, or all that a filter wants, oldest first."""
    changes, pace = read_edit(edit, args, kwargs), read_rate(rate)
    wanted = filter_of(task, reason, error, host, text, since, until, destination)
    if ids:
        act_on = partial(_replay_one, queue=queue, edit=changes)
        _run(lambda dead: _each(ids, partial(act_on, dead), "replayed", as_json))
        return
    if changes != Edit():
        msg = "--edit, --args and --kwargs change the letters that are named by id"
        raise typer.BadParameter(msg)
    refuse_unless(everything or queue is not None or wanted != Filter(), "name ids, a filter, or --all")

    async def act(dead: DeadLetters) -> None:
        counts = await dead.replay_many(wanted, queue=queue, cursor=cursor, dry_run=True)
        if dry_run or not (total := counts.matched):
            _tell_none(counts, "replay", dry_run, as_json)
            return
        confirm(f"Replay {total} dead letters?", yes=yes)
        with Meter("replayed", total, resume="the same command and --cursor '{}'") as meter:
            tally = await dead.replay_many(
                wanted, queue=queue, cursor=cursor, rate=pace, on_progress=meter.advance
            )
        _close(tally, "replayed", as_json)

    _run(act)


@app.command()
def discard(
    ids: Annotated[list[str], typer.Argument(metavar="ID…")],
    queue: Queue = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete single dead letters for good."""
    confirm(f"Delete {len(ids)} dead letters for good?", yes=yes)
    _run(lambda dead: _each(ids, lambda one: dead.discard(one, queue=queue), "discarded", as_json))


@app.command()
def purge(
    task: Task = "", reason: Reason = "", error: Error = "", host: Host = "", text: Text = "",
    destination: Destination = "", queue: Queue = None, since: Since = None, until: Until = None,
    everything: All = False, dry_run: DryRun = False, cursor: Cursor = "", yes: Yes = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Delete all dead letters that a filter wants for good; the count has to be typed back."""
    wanted = filter_of(task, reason, error, host, text, since, until, destination)
    refuse_unless(everything or queue is not None or wanted != Filter(), "name a filter, or --all")

    async def act(dead: DeadLetters) -> None:
        counts = await dead.purge(wanted, queue=queue, cursor=cursor, dry_run=True)
        if dry_run or not (total := counts.matched):
            _tell_none(counts, "delete", dry_run, as_json)
            return
        confirm(
            f"{total} dead letters will be deleted for good. Type their number:", yes=yes, answer=str(total)
        )
        with Meter("deleted", total, resume="the same command and --cursor '{}'") as meter:
            tally = await dead.purge(wanted, queue=queue, cursor=cursor, on_progress=meter.advance)
        _close(tally, "deleted", as_json)

    _run(act)


@app.command()
def export(
    file: Annotated[Path | None, typer.Argument(help="Must not exist yet; none: stdout.")] = None,
    task: Task = "", reason: Reason = "", error: Error = "", host: Host = "", text: Text = "",
    destination: Destination = "", queue: Queue = None, since: Since = None, until: Until = None,
) -> None:  # fmt: skip
    """Write dead letters as lines of JSON, payloads byte for byte, oldest first."""
    wanted = filter_of(task, reason, error, host, text, since, until, destination)
    refuse_unless(file is None or not file.exists(), f"{file} is there already")

    async def act(dead: DeadLetters) -> int:
        count = 0
        with Meter("exported") as meter, _opened(file) as out:
            async for line in dead.export(wanted, queue=queue):
                out.write(line + "\n")
                count += 1
                meter.advance(Tally(matched=count, done=count))
        return count

    print(f"{_run(act)} exported", file=sys.stderr)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Of runner dead export.")],
    as_json: Json = False,
) -> None:
    """Put exported dead letters back; a broken file is refused whole, with the number of its line."""

    def lines() -> Iterator[bytes]:
        with file.open("rb") as opened:
            yield from opened

    async def act(dead: DeadLetters) -> None:
        with Meter("imported") as meter:
            tally = await dead.restore(lines, name=str(file), on_progress=meter.advance)
        _close(tally, "imported", as_json)

    _run(act)


@app.command()
def log(
    queue: Queue = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Entries at most.")] = 50,
) -> None:
    """Print who replayed, discarded, purged or imported what, newest first, as lines of JSON."""
    for entry in _run(lambda dead: dead.audit(queue=queue, limit=limit)):
        ids = entry["ids"].split("\n")
        print(json.dumps({**entry, "at": int(entry["at"]), "ids": ids}, ensure_ascii=False))


def _run(act: Callable[[DeadLetters], Awaitable[T]]) -> T:
    """Do it to the dead letters, in the name of who sits here."""

    async def inside(runner: Runner) -> T:
        dead = runner.dead
        dead.by = actor()
        return await act(dead)

    return run(inside)


async def _replay_one(dead: DeadLetters, job_id: str, *, queue: str | None, edit: Edit) -> None:
    await dead.replay(job_id, queue=queue, edit=edit)


async def _each(ids: list[str], act: Callable[[str], Awaitable[None]], done: str, as_json: bool) -> None:
    async def one(job_id: str) -> str:
        await act(job_id)
        return f"{job_id} {done}"

    await each(ids, one, (NotDead, ReplayRefused), as_json=as_json)


def _tell_none(counts: Tally, verb: str, dry_run: bool, as_json: bool) -> None:
    """Say how many there would be, or that there are none."""
    past = {"replay": "replayed", "delete": "deleted"}[verb]
    said = f"{counts.matched} would be {past}" if dry_run else f"nothing to {verb}"
    tell_tally(counts, said, as_json=as_json, dry_run=dry_run)


def _close(tally: Tally, done: str, as_json: bool) -> None:
    tell_tally(tally, f"{tally.done} {done}", as_json=as_json)
    if tally.gone:
        print(f"{tally.gone} left out: there already, or somebody else was faster", file=sys.stderr)
    if tally.refused:
        why = "a job of that id is alive, or the payload is gone"
        print(f"{tally.refused} not {done}: {why}", file=sys.stderr)
        raise typer.Exit(1)


def _opened(file: Path | None) -> Any:
    return (
        contextlib.nullcontext(sys.stdout) if file is None else file.open("x", encoding="utf-8", newline="\n")
    )
