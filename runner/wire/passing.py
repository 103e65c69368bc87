"""Which answers of a server pass by themselves: one table for workers and clients."""

import asyncio

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..errors import QueueFull

BROKEN = (RedisError, OSError, RuntimeError)
"""What a broken connection raises; RuntimeError is uvloop's word for writing to one that it has closed."""

TROUBLE = (RedisError, OSError, asyncio.TimeoutError, QueueFull)
"""What a call to the server can raise; whether it passes by itself, ``is_passing`` says."""

_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)
_PASSING_WORDS = (
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "READONLY",
    "BUSY",
    "MISCONF",
    "NOREPLICAS",
    "OOM",
    "UNBLOCKED",
)


def is_passing(error: BaseException) -> bool:
    """Say whether waiting helps: a broken link; a server that restarts, loads, fails over, is full or busy.

    Credentials, missing permissions and wrong types do not pass by themselves; redis-py wraps what is refused
    while connecting in a ConnectionError.
    """
    if isinstance(error, _REFUSALS) or isinstance(error.__cause__, _REFUSALS):
        return False
    if isinstance(
        error, RedisConnectionError | RedisTimeoutError | BusyLoadingError | ReadOnlyError | QueueFull
    ):
        return True
    if isinstance(error, ResponseError):
        return str(error).startswith(_PASSING_WORDS)
    return isinstance(error, OSError | asyncio.TimeoutError) and not isinstance(error, RedisError)
