"""Trying again while the server is away, up to a limit, then saying so in one sentence."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import AuthenticationError, ResponseError

from ..errors import QueueFull, ServerError, ServerUnreachable
from ..wire.passing import TROUBLE, is_passing

T = TypeVar("T")

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 1.0


async def patiently(call: Callable[[], Awaitable[T]], *, for_s: float, address: str) -> T:
    """Await a call that is safe to send twice, again and again while the server is away.

    Raises:
        ServerUnreachable: there was no answer for ``for_s`` seconds, nor to a second try: a process that was
            stopped in its first one (a suspended machine) has waited for nobody.
        ServerError: it answered and refuses, as for wrong credentials.
        QueueFull: it is out of memory; that is not waited for.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + for_s
    delay_s, is_first = FIRST_DELAY_S, True
    while True:
        try:
            return await call()
        except QueueFull:
            raise
        except TROUBLE as error:
            if not is_passing(error):
                raise refusal(error, address) from error
            if not is_first and loop.time() + delay_s >= give_up_at:
                raise _gave_up(error, address, for_s) from error
        await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
        delay_s, is_first = min(LONGEST_DELAY_S, delay_s * 2), False


def refusal(error: BaseException, address: str) -> ServerError:
    """Say what the server refuses, and what may help."""
    is_login = isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError)
    cure = "; check user and password in redis.url" if is_login else ""
    return ServerError(f"the server at {address} refuses: {error}{cure}")


def _gave_up(error: BaseException, address: str, for_s: float) -> ServerError:
    if isinstance(error, ResponseError):  # it answers, as a replica or with a full disk
        return ServerError(f"the server at {address} has refused for {for_s:g} s: {error}")
    why = str(error) or type(error).__name__
    what = f"no answer from the server at {address} for {for_s:g} s ({why})"
    return ServerUnreachable(f"{what}; is it running, is redis.url right?")
