"""Asking what a server may refuse to tell: a refusal is an answer, too."""

from typing import Any

from redis.exceptions import ResponseError

from ..errors import QueueFull, ServerError, ServerUnreachable
from .scripts import Execute


class Refusal(str):
    """What the server says instead of an answer."""

    __slots__ = ()


async def ask(execute: Execute, *command: Any) -> Any:
    """Give the reply to a command, or the Refusal.

    Raises:
        ServerUnreachable: there is no answer at all.
    """
    try:
        return await execute(*command)
    except ServerUnreachable:
        raise
    except (ServerError, ResponseError) as error:
        return Refusal(error)


async def try_script(call: Any) -> Any:
    """Await a script's typed call; give its answer, or the Refusal.

    Raises:
        ServerUnreachable: there is no answer at all.
    """
    try:
        return await call
    except ServerUnreachable:
        raise
    except (QueueFull, ServerError, ResponseError) as error:
        return Refusal(error)


def pairs_of(reply: Any) -> dict[str, str]:
    """Read a flat list of names and values, as CONFIG GET gives it."""
    texts = [part.decode(errors="replace") for part in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def info_of(reply: bytes) -> dict[str, str]:
    """Read the lines of INFO."""
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value for name, _, value in lines if value}
