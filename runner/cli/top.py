"""``runner top``: queues and workers, live."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from ..app import Runner
from ..inspector import Overview, WorkerStanding
from .connected import run
from .inspecting import QUEUE_COLUMNS, WORKER_COLUMNS, queue_row, totals_line, worker_row
from .showing import clean, moment, print_table

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def top(
    once: Annotated[bool, typer.Option("--once", help="Print one picture and end.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
) -> None:
    """Watch queues and workers until Ctrl-C; where nobody watches (a pipe), print one picture."""
    if once or not sys.stdout.isatty():
        _print(run(lambda runner: runner.inspector.overview()))
        return
    run(lambda runner: _watch(runner, every))


class Rates:
    """Jobs a second, of what workers say of themselves: they say it once a lease."""

    def __init__(self) -> None:
        self._last: dict[str, WorkerStanding] = {}
        self._rates: dict[str, float] = {}

    def note(self, overview: Overview) -> float | None:
        """Take a look into account; jobs a second of all workers together, None before two records of any."""
        living = {worker.name: worker for worker in overview.workers if worker.is_alive}
        for name, worker in living.items():
            last = self._last.get(name)
            if last is None or worker.started_at_ms != last.started_at_ms:
                self._rates.pop(name, None)
            elif worker.seen_at_ms > last.seen_at_ms:
                passed_s = (worker.seen_at_ms - last.seen_at_ms) / 1000
                self._rates[name] = (worker.completed - last.completed) / passed_s
        self._last = living
        known = [rate for name, rate in self._rates.items() if name in living]
        return sum(known) if known else None


def _print(overview: Overview) -> None:
    print_table(QUEUE_COLUMNS, [queue_row(queue) for queue in overview.queues])
    print_table(WORKER_COLUMNS, [worker_row(worker, overview.at_ms) for worker in overview.workers])
    print(totals_line(overview))


async def _watch(runner: Runner, every_s: float) -> None:
    from rich.live import Live

    rates = Rates()
    with Live(screen=True, auto_refresh=False) as live:
        while True:
            overview = await runner.inspector.overview()
            live.update(_picture(overview, rates.note(overview)), refresh=True)
            await asyncio.sleep(every_s)


def _picture(overview: Overview, rate: float | None) -> Any:
    from rich.console import Group
    from rich.text import Text

    queues = [queue_row(queue) for queue in overview.queues]
    workers = [worker_row(worker, overview.at_ms) for worker in overview.workers]
    speed = "" if rate is None else f"; {rate:,.1f} jobs/s"
    head = f"{moment(overview.at_ms)}  {totals_line(overview)}{speed}  (Ctrl-C ends)"
    return Group(Text(head), _table(QUEUE_COLUMNS, queues), _table(WORKER_COLUMNS, workers))


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns)
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    return table
