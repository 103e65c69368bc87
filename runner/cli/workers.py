"""``runner workers``: who serves what, and how busy they are."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from .connected import run
from .inspecting import WORKER_COLUMNS, worker_row
from .showing import print_json, print_jsonl, print_table

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def workers(
    as_json: Annotated[bool, typer.Option("--json", help="One list.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One object a worker and line.")] = False,
) -> None:
    """List the workers, the living first; what one says of itself is at most a lease old."""
    overview = run(lambda runner: runner.inspector.overview())
    plain = [asdict(worker) for worker in overview.workers]
    if as_json:
        print_json(plain)
    elif as_jsonl:
        print_jsonl(plain)
    else:
        print_table(WORKER_COLUMNS, [worker_row(worker, overview.at_ms) for worker in overview.workers])
        if not plain:
            print("no worker is alive: runner worker starts one", file=sys.stderr)
