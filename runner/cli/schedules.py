"""``runner schedules``: what recurs, when it comes next, and what may be done about it."""

import json
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import typer

from ..errors import SettingsError
from ..schedules.door import Schedules, Standing
from .asking import read_json
from .connected import run as run_connected
from .showing import print_table
from .telling import Json, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
T = TypeVar("T")

Name = Annotated[str, typer.Argument(metavar="NAME")]
COLUMNS = ("schedule", "task", "rule", "next", "made", "skipped", "missed")


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List all schedules: rule in words, next tick, counts."""
    standings = _with(lambda door: door.list())
    if as_json:
        print(json.dumps([_plain(each) for each in standings], indent=2))
        return
    if not standings:
        print("no schedules; docs/schedules.md says how to declare one", file=sys.stderr)
    print_table(COLUMNS, [_row(each) for each in standings])


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show all of one schedule."""
    plain = _plain(_with(lambda door: door.show(name)))
    if as_json:
        print(json.dumps(plain, indent=2))
        return
    width = max(map(len, plain))
    for key, value in plain.items():
        print(f"{key:<{width}}  {value}")


@app.command("next")
def next_ticks(
    name: Name, count: Annotated[int, typer.Argument(min=1, max=1000)] = 5, as_json: Json = False
) -> None:
    """Print the next ticks."""
    _print_instants(_with(lambda door: door.next(name, count)), as_json=as_json)


@app.command()
def pause(name: Name, as_json: Json = False) -> None:
    """Stop a schedule until it is resumed."""
    done = _with(lambda door: door.pause(name))
    tell("paused" if done else "it was paused already", as_json=as_json, name=name, done=done)


@app.command()
def resume(name: Name, as_json: Json = False) -> None:
    """Let a paused schedule go on from now."""
    done = _with(lambda door: door.resume(name))
    tell("resumed" if done else "it was not paused", as_json=as_json, name=name, done=done)


@app.command()
def run(name: Name, as_json: Json = False) -> None:
    """Make a job of it now; prints the job's id."""
    job_id = _with(lambda door: door.run_now(name))
    tell(str(job_id), as_json=as_json, name=name, job=job_id)


@app.command()
def add(
    name: Name,
    task: Annotated[str, typer.Option(help="Name of the task.")],
    cron: Annotated[str, typer.Option(help='Such as "0 8 * * *" or @daily.')] = "",
    every: Annotated[str, typer.Option(help="Such as 5m.")] = "",
    tz: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    args: Annotated[str, typer.Option(help="JSON list of arguments.")] = "[]",
    kwargs: Annotated[str, typer.Option(help="JSON object of keyword arguments.")] = "{}",
    options: Annotated[
        str, typer.Option(help='JSON object of other options: {"overlap": "allow", "expires": "5m"}.')
    ] = "{}",
    as_json: Json = False,
) -> None:
    """Make a schedule, or change the one of that name."""
    given = {**read_json("--options", options, dict), "args": read_json("--args", args, list)}
    given["kwargs"] = read_json("--kwargs", kwargs, dict)
    is_new = _with(lambda door: door.upsert(name, task=task, cron=cron, every=every or None, tz=tz, **given))
    tell("added" if is_new else "changed", as_json=as_json, name=name, added=is_new)


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Remove a schedule that was made at run time; jobs it made stay."""
    _with(lambda door: door.remove(name))
    tell("removed", as_json=as_json, name=name, done=True)


@app.command()
def backfill(
    name: Name,
    since: Annotated[str, typer.Option("--from", help="ISO 8601 with zone, such as 2026-03-01T00:00Z.")],
    until: Annotated[str, typer.Option(help="Likewise, not in the future.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print which ticks there are.")] = False,
    as_json: Json = False,
) -> None:
    """Make the jobs of past ticks; prints the ticks."""
    start, end = _instant("--from", since), _instant("--until", until)
    _print_instants(_with(lambda door: door.backfill(name, start, end, dry_run=dry_run)), as_json=as_json)


def _with(act: Callable[[Schedules], Awaitable[T]]) -> T:
    return run_connected(lambda runner: act(runner.schedules))


def _plain(each: Standing) -> dict[str, Any]:
    schedule, state = each.schedule, each.state
    return {
        "name": schedule.name,
        "task": schedule.task,
        "rule": schedule.rule.spec,
        "words": schedule.rule.words(),
        "queue": schedule.queue,
        "declared": each.is_declared,
        "paused": state.is_paused,
        "next": _text(each.next_ms),
        "last": _text(state.last_ms),
        "late_ms": state.late_ms,
        "made": state.made,
        "skipped": state.skipped,
        "missed": state.missed,
        "args": list(schedule.args),
        "kwargs": dict(schedule.kwargs),
        "catch_up": schedule.catch_up,
        "misfire_grace_s": schedule.misfire_grace_s,
        "overlap": schedule.overlap,
        "expires_s": schedule.expires_s,
    }


def _row(each: Standing) -> tuple[str, ...]:
    schedule, state = each.schedule, each.state
    comes = "paused" if state.is_paused else _text(each.next_ms) or "never"
    counts = (str(count) for count in (state.made, state.skipped, state.missed))
    return schedule.name, schedule.task, schedule.rule.words(), comes, *counts


def _print_instants(instants: list[int], *, as_json: bool) -> None:
    texts = [_text(each) for each in instants]
    print(json.dumps(texts) if as_json else "\n".join(str(text) for text in texts))


def _text(at_ms: int | None) -> str | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _instant(option: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"{option}: '{text}' is no instant with a zone, such as 2026-03-01T00:00:00Z"
        raise SettingsError(msg)
    return moment
