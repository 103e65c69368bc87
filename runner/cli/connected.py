"""What every command that needs the server begins with: a connected runner, made from settings."""

import asyncio
import getpass
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from ..app import Runner
from ..errors import RunnerError

T = TypeVar("T")


def run(act: Callable[[Runner], Awaitable[T]]) -> T:
    """Do it inside a connected runner; a ValueError is the command line's fault.

    Raises:
        typer.BadParameter: a ValueError that is no error of ours.
    """

    async def inside() -> T:
        async with Runner.from_settings() as runner:
            try:
                return await act(runner)
            except ValueError as error:
                if isinstance(error, RunnerError):
                    raise
                raise typer.BadParameter(str(error)) from None

    return asyncio.run(inside())


def actor() -> str:
    """Say who sits at the keyboard."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
