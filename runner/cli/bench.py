"""``runner bench``: how fast this machine runs jobs, beside others."""

import json
import signal
import sys
from collections.abc import Callable, Collection
from typing import Annotated, Any, cast, get_args

import typer

from ..bench.options import Options
from ..bench.peers import PEERS
from ..bench.report import Sample
from ..bench.run import BENCHES, run_bench
from ..local_server import AppendFsync

FSYNC = get_args(AppendFsync)

app = typer.Typer(rich_markup_mode=None, add_completion=False)


def _one_of(known: Collection[str]) -> Callable[[Any], Any]:
    """Make a check that says what there is, for one value or a list."""

    def check(given: Any) -> Any:
        for value in given if isinstance(given, list) else [given]:
            if value is not None and value not in known:
                msg = f"{value!r} is none of {', '.join(known)}"
                raise typer.BadParameter(msg)
        return given

    return check


@app.command()
def bench(
    name: Annotated[str, typer.Argument(callback=_one_of(BENCHES), metavar="|".join(BENCHES))],
    jobs: Annotated[int | None, typer.Option(min=1, help="How many; each bench has its own number.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="In flight in one process.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, help="Repetitions, of which the median is told.")] = 3,
    versus: Annotated[
        list[str] | None,
        typer.Option(
            callback=_one_of(PEERS), metavar="|".join(PEERS), help="Measure this library too, in turns."
        ),
    ] = None,
    fsync: Annotated[
        str, typer.Option(callback=_one_of(FSYNC), metavar="|".join(FSYNC), help="Disk writes of the server.")
    ] = "everysec",
    as_json: Annotated[bool, typer.Option("--json", help="The report as one object.")] = False,
) -> None:
    """Measure, on a server and workers of its own: rates, latencies, and processor time a job."""
    signal.signal(signal.SIGTERM, _end)
    measured = BENCHES[name]
    options = Options(
        jobs=jobs or measured.jobs,
        concurrency=concurrency or measured.concurrency,
        processes=processes,
        versus=tuple(versus or ()),
    )

    def tell(number: int, _: Sample) -> None:
        print(f"{name}: {number} of {repeat} done", file=sys.stderr)

    report = run_bench(name, options, repeat=repeat, fsync=cast("AppendFsync", fsync), on_repetition=tell)
    print(json.dumps(report.plain(), indent=2) if as_json else "\n".join(report.lines()))


def _end(number: int, _: Any) -> None:
    """End in order: the server and the workers must not outlive the bench."""
    raise SystemExit(128 + number)
