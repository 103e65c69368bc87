"""The command ``runner``: its root, which knows the commands by name and imports only the one that is called.

Exit codes: 0 done; 1 failed, or not healthy; 2 usage or settings; 3 the server cannot be reached; 4 not
found; 5 refused: not confirmed, more than ``--limit``, or a job that cannot be changed; 130 Ctrl-C. Data
goes to stdout, all else to stderr.
"""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Annotated, Any, NamedTuple

from ..errors import (
    ChangeRefused,
    InvalidJob,
    InvalidTask,
    MissingExtra,
    NotDead,
    ReplayRefused,
    RunnerError,
    ServerUnreachable,
    SettingsError,
    UnknownJob,
    UnknownQueue,
    UnknownSchedule,
)
from ..workflow.failure import UnknownWorkflow


class Command(NamedTuple):
    """Where a command is: an attribute of a module, a ``typer.Typer``; its help stands here, unimported."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "new": Command("runner.cli.new", "app", "Make a small project that runs."),
    "worker": Command("runner.cli.work", "app", "Run jobs, by settings.toml or an arq settings class."),
    "enqueue": Command("runner.cli.enqueue", "app", "Make a job of a task and JSON arguments."),
    "status": Command("runner.cli.status", "app", "Show queues and workers on one screen."),
    "top": Command("runner.cli.top", "app", "Watch queues and workers, live."),
    "jobs": Command("runner.cli.jobs", "app", "List, show, explain, cancel, retry and edit jobs."),
    "queues": Command("runner.cli.queues", "app", "List, pause, resume, drain and purge queues."),
    "workers": Command("runner.cli.workers", "app", "List workers: what they serve, how busy they are."),
    "dead": Command("runner.cli.dead", "app", "List, replay, delete, export and import dead letters."),
    "limits": Command("runner.cli.limits", "app", "See rate limits, and change them for all workers."),
    "dashboard": Command("runner.cli.dashboard", "app", "Look after all of it in a browser."),
    "doctor": Command("runner.cli.doctor", "app", "Check server, settings, queues, or an arq project."),
    "demo": Command("runner.cli.demo", "app", "Deliver webhooks, kill the worker half-way, lose nothing."),
    "bench": Command("runner.cli.bench", "app", "Measure how fast this machine runs jobs, beside others."),
    "schedules": Command("runner.cli.schedules", "app", "See, add, pause, run and backfill what recurs."),
    "workflows": Command("runner.cli.workflows", "app", "List, draw, retry and cancel workflows."),
    "config": Command("runner.cli.config", "app", "Show the settings that apply, and where each comes from."),
}

EXIT_CODES: dict[type[RunnerError], int] = {
    SettingsError: 2,
    MissingExtra: 2,
    InvalidTask: 2,
    InvalidJob: 2,
    ServerUnreachable: 3,
    NotDead: 4,
    UnknownWorkflow: 4,
    UnknownJob: 4,
    UnknownQueue: 4,
    UnknownSchedule: 4,
    ChangeRefused: 5,
    ReplayRefused: 5,
    RunnerError: 1,
}
"""The first class that fits decides."""


def main() -> None:
    """Run the command line of this process and exit; an error of ours is its text, without a traceback."""
    try:
        _root()(prog_name="runner")
    except RunnerError as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(130)


def exit_code_of(error: RunnerError) -> int:
    """Give the exit code that an error of ours ends in."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


def _root() -> Any:
    """Build the root; typer is an extra, so nothing of it is imported before."""
    try:
        import typer
        from typer.core import TyperGroup
    except ImportError:
        what = "the command line"
        raise MissingExtra(what, "cli") from None

    class Lazy(TyperGroup):
        """Imports a command when it is called, not when it is listed."""

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            command = COMMANDS.get(args[0])
            if command is None:
                return super().resolve_command(ctx, args)
            app = getattr(import_module(command.module), command.attribute)
            return args[0], typer.main.get_command(app), args[1:]

    root = typer.Typer(cls=Lazy, no_args_is_help=True, rich_markup_mode=None, help="Background jobs on arq.")

    @root.callback()
    def options(  # pyright: ignore[reportUnusedFunction]
        _: Annotated[
            bool,
            typer.Option(
                "--version", callback=_print_version, is_eager=True, help="Print versions and exit."
            ),
        ] = False,
    ) -> None: ...

    for name, command in COMMANDS.items():
        root.command(name, help=command.help)(_listed_only)
    return typer.main.get_command(root)


def _listed_only() -> None:
    """Stand for a command in ``--help``; ``Lazy`` puts the real one in its place before it runs."""


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        ours = version("arq-runner")
    except PackageNotFoundError:
        ours = "(not installed)"
    print(f"arq-runner {ours}, arq {version('arq')}, redis {version('redis')}, Python {python_version()}")
    sys.exit(0)
