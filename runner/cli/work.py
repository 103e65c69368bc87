"""``runner worker``: a worker process, by settings.toml or by a user's own arq settings class."""

import logging
import sys
from difflib import get_close_matches
from signal import SIGINT, Signals
from typing import Annotated

import typer

from ..app import Runner
from ..arq_settings import configure_arq_logging, import_settings, run, worker_of
from ..engine.worker import Worker
from ..errors import SettingsError
from ..logs import configure_logging
from ..settings import Settings
from ..worker_settings import use_uvloop, worker_parameters

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
) -> None:
    """Run jobs until SIGTERM or Ctrl-C; running jobs then get the grace to end, and the rest is given back.

    Without an argument it is what 'arq runner.WorkerSettings' runs.
    """
    if settings_class in {"", "runner.WorkerSettings"}:
        _serve_ours(
            [name.strip() for name in queues.split(",") if name.strip()], burst=burst, metrics=metrics
        )
        return
    if queues:
        msg = "--queues chooses among the queues of settings.toml; an arq settings class has its queue_name"
        raise SettingsError(msg)
    if metrics:
        msg = "--metrics is for workers by settings.toml; an arq settings class has no metrics"
        raise SettingsError(msg)
    configure_arq_logging()
    _serve(worker_of(import_settings(settings_class), burst=burst))


def _serve_ours(queues: list[str], *, burst: bool | None, metrics: int | None) -> None:
    runner = Runner.from_settings()
    if metrics is not None:
        health = runner.settings.health.model_copy(update={"port": metrics})
        runner.settings = runner.settings.model_copy(update={"health": health})
    _check_queues(queues, runner.settings)
    configure_logging(runner.settings.logs)
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
