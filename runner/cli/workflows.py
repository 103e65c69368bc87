"""``runner workflows``: what was started, how far it is, and what may be done about it."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer

from ..app import Runner
from ..workflow.handle import WorkflowInfo
from ..workflow.standing import StepStanding
from ..workflow.tree import Line, tree
from .telling import Json, tell

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, add_completion=False)
T = TypeVar("T")

Id = Annotated[str, typer.Argument(metavar="ID")]


@app.command("list")
def list_some(
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those that failed or were cancelled.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, the newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List workflows, the newest first."""
    infos = _with(lambda runner: runner.workflows.list("failed" if failed else "all", limit=limit))
    if as_json:
        print(json.dumps([asdict(each) for each in infos], indent=2))
        return
    if not infos:
        print("no workflows; docs/workflows.md says how to start one", file=sys.stderr)
    for each in infos:
        print("  ".join((each.id, each.state, _counts(each))))


@app.command()
def show(
    workflow: Id,
    limit: Annotated[int, typer.Option(min=1, help="Nodes drawn at most.")] = 200,
    as_json: Json = False,
) -> None:
    """Draw a workflow with the state of each node; a saga with that of each step and its undo."""

    async def read(runner: Runner) -> tuple[WorkflowInfo, list[StepStanding], list[Line]]:
        handle = runner.workflow(workflow)
        info, steps = await handle.info(), await handle.steps()
        if steps:
            return info, steps, []
        return info, [], tree(await handle.shape(), await handle.nodes(limit=limit))

    info, steps, lines = _with(read)
    if as_json:
        drawn = [{**asdict(line.node), "depth": line.depth} for line in lines if line.node is not None]
        known = {"steps": [asdict(step) for step in steps]} if steps else {"tree": drawn}
        print(json.dumps({**asdict(info), **known}, indent=2))
        return
    print(f"{info.id}  {info.state}  {_counts(info)}")
    for line in lines:
        print("  " * (line.depth + 1) + line.text())
    for step in steps:
        undo = "" if step.undo_node is None else f"  (undo {step.undo_node}: {step.undo})"
        print(f"  {step.node}  {step.task}  {step.state}{undo}")
    if info.state == "needs_attention":
        job = f"{info.id}:{info.failed_node}"
        print(f"see 'runner jobs show {job}'; then 'runner workflows retry {info.id}' tries it again")


@app.command()
def retry(workflow: Id, as_json: Json = False) -> None:
    """Let a workflow that failed or was cancelled go on from there."""
    done = _with(lambda runner: runner.workflow(workflow).retry())
    tell("it goes on" if done else "there is nothing to retry", as_json=as_json, id=workflow, done=done)


@app.command()
def cancel(workflow: Id, as_json: Json = False) -> None:
    """Cancel a workflow: what waits does not begin, what runs is asked to stop; a saga is undone."""

    async def stop(runner: Runner) -> tuple[bool, bool]:
        handle = runner.workflow(workflow)
        return await handle.cancel(), bool(await handle.steps())

    had_to, is_saga = _with(stop)
    done = "cancelled: what has happened is undone" if is_saga else "cancelled"
    text = done if had_to else "it had ended already"
    tell(text, as_json=as_json, id=workflow, done=had_to, undoes=had_to and is_saga)


def _counts(info: WorkflowInfo) -> str:
    failed = f", {info.failed} failed or cancelled" if info.failed else ""
    where = f", first node {info.failed_node}" if info.failed_node else ""
    return f"{info.succeeded} of {info.nodes} done{failed}{where}"


def _with(act: Callable[[Runner], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with Runner.from_settings() as runner:
            return await act(runner)

    return asyncio.run(connected())
