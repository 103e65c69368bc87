"""``runner worker``: a worker process, by settings.toml or by a user's own arq settings class."""

import logging
import os
import sys
from difflib import get_close_matches
from signal import SIGINT, Signals
from typing import Annotated

import typer

from ..app import Runner
from ..arq_settings import configure_arq_logging, import_settings, run, worker_of
from ..engine.worker import Worker
from ..errors import SettingsError
from ..fleet.beat import beat_while_serving, pipe_of, place_of
from ..logs import configure_logging
from ..settings import FleetGroup, Settings
from ..worker_settings import use_uvloop, worker_parameters
from . import fleet

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def worker(
    settings_class: Annotated[
        str, typer.Argument(metavar="MODULE.CLASS", help="An arq settings class; none: settings.toml.")
    ] = "",
    queues: Annotated[
        str, typer.Option(metavar="A,B", help="Only these of the queues in settings.toml.")
    ] = "",
    burst: Annotated[
        bool | None, typer.Option("--burst/--no-burst", help="End when the queues are empty.")
    ] = None,
    metrics: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="Metrics and health here; for health.port."),
    ] = None,
    processes: Annotated[
        str, typer.Option(metavar="N|auto", help="Worker processes; auto: one for each core.")
    ] = "",
) -> None:
    """Run jobs until SIGTERM or Ctrl-C; running jobs then get the grace to end, and the rest is given back.

    Without an argument it is what 'arq runner.WorkerSettings' runs. With several processes the parent starts,
    watches and replaces them: SIGHUP restarts one after another, SIGTTIN and SIGTTOU add and take away one.
    """
    if settings_class not in {"", "runner.WorkerSettings"}:
        _refuse_with_arq("queues", queues, "has its queue_name")
        _refuse_with_arq("metrics", metrics, "has none")
        settings = import_settings(settings_class)  # what is wrong is said once, not by each process
        if fleet.is_wanted(FleetGroup(), processes):
            fleet.supervise(None, fleet.arguments(settings_class, "", burst, None), processes, burst)
        configure_arq_logging(speaker=fleet.speaker())
        _serve(worker_of(settings, burst=burst))
        return
    runner = Runner.from_settings()
    wanted = [name.strip() for name in queues.split(",") if name.strip()]
    _check_queues(wanted, runner.settings)
    port = runner.settings.health.port if metrics is None else metrics
    if fleet.is_wanted(runner.settings.fleet, processes):
        fleet.supervise(runner, fleet.arguments("", queues, burst, metrics), processes, burst, port)
    _set_port(runner, port)
    _serve_ours(runner, wanted, burst=burst)


def _refuse_with_arq(option: str, value: object, why: str) -> None:
    if value:
        msg = f"--{option} is for workers by settings.toml; an arq settings class {why}"
        raise SettingsError(msg)


def _set_port(runner: Runner, port: int) -> None:
    """Let it answer at this port; in a fleet each process has its own, the number of its place added."""
    health = runner.settings.health.model_copy(update={"port": port and port + place_of(os.environ)})
    runner.settings = runner.settings.model_copy(update={"health": health})


def _serve_ours(runner: Runner, queues: list[str], *, burst: bool | None) -> None:
    configure_logging(runner.settings.logs, speaker=fleet.speaker())
    _log_arq_as_ours()
    if runner.settings.worker.uvloop:
        use_uvloop()
    try:
        parameters = worker_parameters(runner, runner.server_url(), queues=queues)
        _serve(Worker(**parameters, burst=bool(burst)))
    finally:
        runner.detach()


def _serve(worker: Worker) -> None:
    """Run it; after Ctrl-C, once everything is given back, exit with 130."""
    if (pipe := pipe_of(os.environ)) is not None:
        beat_while_serving(worker, pipe)
    signals: list[Signals] = []
    worker.on_stop = signals.append
    run(worker)
    if SIGINT in signals:
        sys.exit(130)


def _log_arq_as_ours() -> None:
    """Let the engine's lines, which go to arq's logger, have the form that the settings ask for."""
    logging.getLogger("arq").setLevel(logging.getLogger("runner").level)


def _check_queues(queues: list[str], settings: Settings) -> None:
    known = settings.worker.queues
    for name in queues:
        if name not in known:
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
            msg = f"--queues: worker.queues has no '{name}'; {hint}"
            raise SettingsError(msg)
