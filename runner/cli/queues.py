"""``runner queues``: list, pause, resume, drain and purge queues."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from ..app import Runner
from ..inspector import JobFilter, QueueStanding
from ..queues import Queues
from ..settings.units import parse_duration
from .completing import queue_names
from .connected import actor, run
from .dead_options import Cursor, DryRun, Yes
from .inspecting import QUEUE_COLUMNS, SHARD_COLUMNS, queue_plain, queue_row, shard_row
from .jobs import Most, Task, Text, sweep
from .meter import LINE_EVERY_S
from .showing import print_json, print_jsonl, print_table
from .telling import Json, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)

Name = Annotated[str, typer.Argument(metavar="QUEUE", autocompletion=queue_names)]
Names = Annotated[list[str], typer.Argument(metavar="QUEUE…", autocompletion=queue_names)]


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One list.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One object a queue and line.")] = False,
    shards: Annotated[bool, typer.Option("--shards", help="Each shard by itself, with its slot.")] = False,
) -> None:
    """List queues: what waits, runs and is dead, and for how long the first ready job has waited."""

    async def read(runner: Runner) -> list[QueueStanding]:
        door = runner.inspector
        if not shards:
            return await door.queues()
        return [each for name in door.queue_names for each in await door.by_shard(name)]

    standings = run(read)
    plain = [queue_plain(queue) for queue in standings]
    if as_json:
        print_json(plain)
    elif as_jsonl:
        print_jsonl(plain)
    elif shards:
        print_table(SHARD_COLUMNS, [shard_row(shard) for shard in standings])
    else:
        print_table(QUEUE_COLUMNS, [queue_row(queue) for queue in standings])


@app.command()
def pause(names: Names, as_json: Json = False) -> None:
    """Keep jobs of these queues from starting, on all workers; what runs goes on, what comes waits."""
    _each(names, lambda queues, name: queues.pause(name), "paused", "was paused already", as_json)


@app.command()
def resume(names: Names, as_json: Json = False) -> None:
    """Let jobs of these queues start again."""
    _each(names, lambda queues, name: queues.resume(name), "resumed", "was not paused", as_json)


@app.command()
def drain(
    name: Name,
    scheduled: Annotated[bool, typer.Option("--scheduled", help="Wait for jobs due later, too.")] = False,
    timeout: Annotated[str, typer.Option(metavar="5m", help="Give up after so long, with exit code 1.")] = "",
    as_json: Json = False,
) -> None:
    """Wait until no job of a queue is ready or running; says on stderr how far it is."""
    try:
        within_s = parse_duration(timeout) if timeout else None
    except ValueError as error:
        msg = f"--timeout: {error}"
        raise typer.BadParameter(msg) from None

    async def act(runner: Runner) -> None:
        async with asyncio.timeout(within_s):
            await runner.queues.drain(name, scheduled=scheduled, on_progress=_Told())

    try:
        run(act)
    except TimeoutError:
        print(f"{name} is not empty after {timeout}", file=sys.stderr)
        raise typer.Exit(1) from None
    tell(f"{name} is empty", as_json=as_json, queue=name, empty=True)


@app.command()
def purge(
    name: Name, task: Task = "", text: Text = "",
    dry_run: DryRun = False, limit: Most = None, cursor: Cursor = "", yes: Yes = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Cancel all that waits in a queue, or what a filter wants; the count has to be typed back."""
    wanted = JobFilter(task, text)
    sweep(
        name, wanted,
        dry_run=dry_run, limit=limit, cursor=cursor, yes=yes, counted=True, as_json=as_json,
    )  # fmt: skip


class _Told:
    """Says how far a drain is: at first, and now and then."""

    def __init__(self) -> None:
        self._said_at = float("-inf")

    def __call__(self, queue: QueueStanding) -> None:
        if time.monotonic() - self._said_at < LINE_EVERY_S:
            return
        self._said_at = time.monotonic()
        paused = "; it is paused, so nothing starts" if queue.is_paused else ""
        counts = f"{queue.ready:,} ready, {queue.running:,} running, {queue.scheduled:,} scheduled"
        print(f"{queue.queue}: {counts}{paused}", file=sys.stderr)


def _each(
    names: list[str],
    act: Callable[[Queues, str], Awaitable[bool]],
    done: str,
    already: str,
    as_json: bool,
) -> None:
    async def inside(runner: Runner) -> None:
        queues = runner.queues
        queues.by = actor()
        found = [(name, await act(queues, name)) for name in names]
        if as_json:
            print_json([{"queue": name, "done": changed} for name, changed in found])
        else:
            print("\n".join(f"{name} {done if changed else already}" for name, changed in found))

    run(inside)
