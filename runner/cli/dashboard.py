"""``runner dashboard``: the dashboard by itself."""

import importlib
import os
import socket
import sys
from typing import Annotated, Any

import typer

from ..app import Runner
from ..errors import MissingExtra, RunnerError, SettingsError
from .connected import run

try:
    from ..dashboard import dashboard as make_dashboard
    from ..dashboard.access import is_loopback
    from ..dashboard.serve import serve
except ImportError:
    raise MissingExtra("the dashboard", "ui") from None

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def dashboard(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than localhost need --authorize.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 for any that is free.")] = 8787,
    authorize: Annotated[
        str,
        typer.Option(metavar="MODULE:FUNCTION", help="Gets each request, gives read, operate or nothing."),
    ] = "",
) -> None:
    """Serve the dashboard until Ctrl-C; without --authorize to this machine only."""
    if not authorize and not is_loopback(host):
        msg = (
            f"the dashboard is not opened to {host} without --authorize MODULE:FUNCTION: whoever reaches it "
            "could replay and cancel jobs. Leave --host out, or say who may come in (docs/dashboard.md)"
        )
        raise SettingsError(msg)
    allowed = _function(authorize) if authorize else None
    listening = _listen(host, port)

    async def serving(runner: Runner) -> None:
        name = f"[{host}]" if ":" in host else host
        print(f"dashboard at http://{name}:{listening.getsockname()[1]}/", file=sys.stderr, flush=True)
        await serve(make_dashboard(runner, authorize=allowed), listening)

    with listening:
        run(serving)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        msg = f"--host {host} --port {port} cannot be listened on: {error.strerror or error}"
        raise RunnerError(msg) from None


def _function(name: str) -> Any:
    """Import what ``--authorize`` names."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"--authorize {name}: expected MODULE:FUNCTION that can be imported here: {error}"
        raise SettingsError(msg) from None
    if not callable(found):
        msg = f"--authorize {name}: it is no function, but {type(found).__name__}"
        raise SettingsError(msg)
    return found
