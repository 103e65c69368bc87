"""The script of rate limits as a typed call that coalesces, and the rates set at run time.

All buckets live under one prefix beside the queues: a limit means the same whichever queue a job came by.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from ..rates import Rate
from .coalesce import Coalesced
from .keys import Layout
from .scripts import Execute, run_script

Mode = Literal["try", "line", "turn"]

FAR_US = 600_000_000
"""No place in line is farther off than 10 minutes: a rate that is raised reaches all who wait by then."""

GRANTED, DENIED, TOO_MUCH, NO_RATE = range(4)


class Want(NamedTuple):
    """Tokens of one bucket; ``rate`` counts where none was set at run time, None: the caller knows none."""

    bucket: str
    limit: str
    cost: int
    rate: Rate | None


class Take(NamedTuple):
    """One take, of all its buckets or of none; ``rate_limit_take.lua`` has the modes."""

    mode: Mode
    wants: Sequence[Want]


class Answer(NamedTuple):
    """What became of a take.

    Attributes:
        verdict: GRANTED, DENIED, TOO_MUCH or NO_RATE.
        retry_us: after which the tokens are there, exactly, if nobody else takes; with TOO_MUCH the burst.
        place_us: until the caller's place in line; beyond FAR_US none is kept.
    """

    verdict: int
    retry_us: int
    place_us: int


class Stored(NamedTuple):
    """A bucket as it was last written."""

    credits: int
    last_us: int
    per_period: int
    period_us: int
    line_us: int
    turn_us: int


class LimitScripts:
    """The script and the rates.

    Args:
        execute: sends one command.
        layout: how keys are named.
    """

    def __init__(self, execute: Execute, *, layout: Layout = "classic") -> None:
        self._execute = execute
        self._prefix = "runner:{limits}:" if layout == "tagged" else "runner:"
        self.take: Coalesced[Take, Answer] = Coalesced(self.take_all)

    async def take_all(self, takes: Sequence[Take], *, now_us: int = 0) -> list[Answer]:
        """Take at once what up to 500 callers want, in their order: one round trip."""
        args: list[Any] = [now_us, FAR_US]
        for (mode, wants), alike in groupby(takes):
            args += (mode, sum(1 for _ in alike), len(wants))
            for bucket, limit, cost, rate in wants:
                given = (0, 1, cost) if rate is None else (rate.count, rate.period_us, rate.burst)
                args += (bucket, limit, cost, *given)
        reply = iter(await run_script(self._execute, "rate_limit_take", (self._prefix,), args))
        return [Answer(*each) for each in zip(reply, reply, reply, strict=True)]

    async def set(self, name: str, rate: Rate) -> None:
        """Set a rate for all workers; the next take sees it."""
        value = f"{rate.count} {rate.period_us} {rate.burst}"
        await self._execute("HSET", self._prefix + "limits", name, value)

    async def remove(self, name: str) -> bool:
        """Forget a rate; False when none was set."""
        return bool(await self._execute("HDEL", self._prefix + "limits", name))

    async def rates(self) -> dict[str, Rate]:
        """Give all that is set at run time."""
        flat = iter(await self._execute("HGETALL", self._prefix + "limits"))
        return {name.decode(): _rate(value) for name, value in zip(flat, flat, strict=True)}

    async def look(self, bucket: str) -> tuple[Stored | None, int]:
        """Give a bucket as stored, and the server's time in us; None means full."""
        stored = await self._execute("GET", f"{self._prefix}bucket:{bucket}")
        seconds, us = await self._execute("TIME")
        now_us = int(seconds) * 1_000_000 + int(us)
        return (None if stored is None else Stored(*map(int, stored.split()))), now_us


def _rate(value: bytes) -> Rate:
    return Rate(*map(int, value.split()))
