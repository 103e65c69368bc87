"""``runner enqueue``: make a job of a task and JSON arguments, checked as an app's are."""

import json
import sys
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from ..app import Runner
from ..client import Job
from ..errors import InvalidTask, JobError, ResultTimeout
from ..registry import Registry
from ..settings.units import parse_duration
from ..tasks import Task
from .asking import read_json, refuse_unless
from .completing import queue_names, task_names
from .connected import run
from .showing import print_json

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def enqueue(
    name: Annotated[str, typer.Argument(metavar="TASK", autocompletion=task_names)],
    args: Annotated[
        list[str] | None, typer.Argument(metavar="JSON…", help="Arguments; NAME=JSON for one by name.")
    ] = None,
    queue: Annotated[
        str | None, typer.Option(help="Instead of the task's.", autocompletion=queue_names)
    ] = None,
    key: Annotated[str | None, typer.Option(help="Id of the job: the same key makes no second one.")] = None,
    delay: Annotated[str, typer.Option(metavar="10m", help="Due so much later.")] = "",
    until: Annotated[str, typer.Option(metavar="WHEN", help="Due then: 2026-11-05T10:00Z.")] = "",
    expires: Annotated[str, typer.Option(metavar="1h", help="Not to start later than this.")] = "",
    wait: Annotated[str, typer.Option(metavar="30s", help="Wait so long for the result, and print it.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One object.")] = False,
) -> None:  # fmt: skip
    """Make a job; prints its id. A value that is no JSON is taken as text."""
    delay_s, expires_s, wait_s = _span("--delay", delay), _span("--expires", expires), _span("--wait", wait)
    due = _moment(until)

    async def act(runner: Runner) -> None:
        task = _task(runner.registry, name)
        given, named = _arguments(task, args or [])
        placed = task.using(queue=queue, key=key, delay=delay_s, until=due, expires=expires_s)
        job = await runner.enqueue(placed, *given, **named)
        told: dict[str, Any] = {"id": job.id, "queue": job.queue, "disposition": job.disposition}
        if not as_json:
            print(job.id)
        if job.disposition == "duplicate":
            print("there was a job of that key already", file=sys.stderr)
        if wait_s is not None:
            told |= {"result": await _result(job, wait_s)}
            if not as_json:
                print(json.dumps(told["result"], ensure_ascii=False, default=str))
        if as_json:
            print_json(told)

    run(act)


async def _result(job: Job[Any], wait_s: float) -> Any:
    try:
        await job.result(timeout=wait_s)
    except ResultTimeout:
        raise
    except JobError as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        raise typer.Exit(1) from None
    return (await job.info()).result


def _task(registry: Registry, name: str) -> Task[..., Any]:
    task = registry.get(name)
    if task is None:
        known = sorted(each.name for each in registry)
        close = get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
        msg = f"no task is named '{name}' in the modules of tasks in settings; {hint}"
        raise InvalidTask(msg)
    return task


def _arguments(task: Task[..., Any], texts: list[str]) -> tuple[Any, Any]:
    """Read arguments, and make of plain JSON what the task's annotations say."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if equals and name.isidentifier():
            kwargs[name] = _value(value)
        else:
            refuse_unless(not kwargs, f"{text!r} stands after an argument by name")
            args.append(_value(text))
    return task.parameters.rebuild(task.name, args, kwargs)


def _value(text: str) -> Any:
    """Read JSON; what does not look like it is text, so that nobody has to quote twice."""
    if text[:1] in ("{", "[", '"'):
        return read_json("an argument", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _span(option: str, text: str) -> float | None:
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        msg = f"{option}: {error}"
        raise typer.BadParameter(msg) from None


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        msg = f"--until is a moment as 2026-11-05T10:00Z, not {text!r}"
        raise typer.BadParameter(msg) from None
