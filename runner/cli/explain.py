"""``runner jobs explain``: why a job does not run, and from when on it may."""

from dataclasses import asdict
from typing import Annotated

import typer

from .connected import run
from .dead_options import Queue
from .showing import clean, print_json


def explain(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    queue: Queue = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object.")] = False,
) -> None:
    """Say why a job does not run, and from when on it may: every reason, the most decisive first."""
    explanation = run(lambda runner: runner.explain(job_id, queue=queue))
    if as_json:
        print_json(asdict(explanation))
        return
    for line in str(explanation).splitlines():
        print(clean(line))
