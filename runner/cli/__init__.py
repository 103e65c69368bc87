"""The command ``runner``: its root, which knows the commands by name and imports only the one that is called.

Exit codes: 0 done; 1 failed; 2 usage or settings; 3 the server cannot be reached;
4 not found; 130 Ctrl-C.
"""

import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import Annotated, Any, NamedTuple

from ..errors import InvalidTask, MissingExtra, NotDead, RunnerError, ServerUnreachable, SettingsError


class Command(NamedTuple):
    """Where a command is: an attribute of a module, a ``typer.Typer``; its help stands here, unimported."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "worker": Command("runner.cli.work", "app", "Run jobs, by settings.toml or an arq settings class."),
    "dead": Command("runner.cli.dead", "app", "List, replay, delete, export and import dead letters."),
    "limits": Command("runner.cli.limits", "app", "See rate limits, and change them for all workers."),
    "demo": Command("runner.cli.demo", "app", "Deliver webhooks, kill the worker half-way, lose nothing."),
    "bench": Command("runner.cli.bench", "app", "Measure how fast this machine runs jobs, beside others."),
    "schedules": Command("runner.cli.schedules", "app", "See, add, pause, run and backfill what recurs."),
    "config": Command("runner.cli.config", "app", "Show the settings that apply, and where each comes from."),
}

EXIT_CODES: dict[type[RunnerError], int] = {
    SettingsError: 2,
    MissingExtra: 2,
    InvalidTask: 2,
    ServerUnreachable: 3,
    NotDead: 4,
    RunnerError: 1,
}
"""The first class that fits decides."""


def main() -> None:
    """Run the command line of this process and exit; an error of ours is its text, without a traceback."""
    try:
        _root()(prog_name="runner")
    except RunnerError as error:
        print(str(error) or type(error).__name__, file=sys.stderr)
        sys.exit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))
    except KeyboardInterrupt:
        sys.exit(130)


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
