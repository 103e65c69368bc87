"""Which answers of a server pass by themselves, and how long to wait for them."""

import asyncio
import random

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

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 5.0
TROUBLE = (RedisError, OSError, asyncio.TimeoutError, QueueFull)
"""What a call to the server can raise; whether it passes by itself, ``is_passing`` says."""

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

    Credentials, missing permissions and wrong types do not pass by themselves.
    """
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return False
    if isinstance(
        error, RedisConnectionError | RedisTimeoutError | BusyLoadingError | ReadOnlyError | QueueFull
    ):
        return True
    if isinstance(error, ResponseError):
        return str(error).startswith(_PASSING_WORDS)
    return isinstance(error, OSError | asyncio.TimeoutError) and not isinstance(error, RedisError)


class Patience:
    """Growing pauses with full jitter while a server is away."""

    __slots__ = ("_failures", "_rng")

    def __init__(self, rng: random.Random | None = None) -> None:
        self._failures = 0
        self._rng = rng or random.Random()

    @property
    def failures(self) -> int:
        """How many failures in a row."""
        return self._failures

    def reset(self) -> None:
        """The server answered."""
        self._failures = 0

    def next_delay_s(self) -> float:
        """Give the pause before the next try: uniform in [0, min(5 s, 50 ms x 2^n)], but at least 10 ms."""
        ceiling = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 10))
        self._failures += 1
        return max(0.01, self._rng.uniform(0, ceiling))
