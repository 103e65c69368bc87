"""``runner status``: queues and workers on one screen."""

from typing import Annotated

import typer

from .connected import run
from .inspecting import QUEUE_COLUMNS, overview_plain, queue_row, totals_line
from .showing import print_json, print_table

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="One object.")] = False) -> None:
    """Show how each queue stands, and what the workers do together."""
    overview = run(lambda runner: runner.inspector.overview())
    if as_json:
        print_json(overview_plain(overview))
        return
    print_table(QUEUE_COLUMNS, [queue_row(queue) for queue in overview.queues])
    print(totals_line(overview))
