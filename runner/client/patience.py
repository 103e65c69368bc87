"""Trying again while the server is away, up to a limit, then saying so in one sentence."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..errors import ServerUnreachable

T = TypeVar("T")

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 1.0


async def patiently(call: Callable[[], Awaitable[T]], *, for_s: float, address: str) -> T:
    """Await a call that is safe to send twice, again and again while the connection fails.

    Raises:
        ServerUnreachable: it still failed after ``for_s`` seconds.
    """
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + for_s
    delay_s = FIRST_DELAY_S
    while True:
        try:
            return await call()
        except (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError) as error:
            if isinstance(error, RedisError) and str(error).startswith(("invalid", "WRONGPASS", "NOAUTH")):
                raise
            if loop.time() + delay_s >= give_up_at:
                msg = f"no answer from the server at {address} for {for_s:g} s ({error}); is it running, is redis.url right?"
                raise ServerUnreachable(msg) from error
        await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
        delay_s = min(LONGEST_DELAY_S, delay_s * 2)
