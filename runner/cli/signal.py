"""``runner jobs signal``: hand data to a job that waits for it, or will."""

from typing import Annotated, Any

import typer

from ..app import Runner
from .asking import read_json
from .connected import run
from .dead_options import Queue
from .telling import Json, tell


def signal(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Argument(help="As the task's ctx.wait_for names it.")],
    data: Annotated[str, typer.Argument(metavar="[JSON]", help="What the task gets.")] = "null",
    queue: Queue = None,
    key: Annotated[str | None, typer.Option(help="Names this signal: the same again is one.")] = None,
    as_json: Json = False,
) -> None:
    """Hand a signal to a job; one that waits for it goes on at once."""
    given: Any = read_json("the data", data)

    async def send(runner: Runner) -> None:
        held_in = queue or (await runner.inspector.job(job_id)).info.queue
        await runner.signal(job_id, name, given, queue=held_in, key=key)

    run(send)
    tell(f"{job_id} has signal '{name}'", as_json=as_json, id=job_id, signal=name, done=True)
