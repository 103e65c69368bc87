"""The scripts of rate limits as typed calls that coalesce, and the rates set at run time.

All buckets live under one prefix beside the queues: a limit means the same whichever queue a job came by.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Literal, NamedTuple

from ..rates import Adaptive, Rate
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
    is_adaptive: bool = False


class Cut(NamedTuple):
    """The other side of a bucket of an adaptive limit asked for less; ``took_us``: how long that call was."""

    bucket: str
    limit: str
    rate: Rate | None
    adaptive: Adaptive
    took_us: int


class Eased(NamedTuple):
    """What an adaptive limit was cut to, and when."""

    per_period: int
    period_us: int
    since_us: int
    recover_us: int

    def now(self, rate: Rate, at_us: int) -> int:
        """Give the tokens a period that the script grants; ``lib/eased.lua`` has the same."""
        risen = self.per_period * (rate.period_us / self.period_us)
        return max(1, min(rate.count, int(risen + rate.count * abs(at_us - self.since_us) / self.recover_us)))


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
    """The scripts and the rates.

    Args:
        execute: sends one command.
        layout: how keys are named.
    """

    def __init__(self, execute: Execute, *, layout: Layout = "classic") -> None:
        self._execute = execute
        self._prefix = "runner:{limits}:" if layout == "tagged" else "runner:"
        self.take: Coalesced[Take, Answer] = Coalesced(self.take_all)
        self.cut: Coalesced[Cut, int] = Coalesced(self.cut_all)

    async def take_all(self, takes: Sequence[Take], *, now_us: int = 0) -> list[Answer]:
        """Take at once what up to 500 callers want, in their order: one round trip."""
        args: list[Any] = [now_us, FAR_US]
        for (mode, wants), alike in groupby(takes):
            args += (mode, sum(1 for _ in alike), len(wants))
            for bucket, limit, cost, rate, is_adaptive in wants:
                args += (bucket, limit, cost, _given(rate, cost), int(is_adaptive))
        reply = iter(await run_script(self._execute, "rate_limit_take", (self._prefix,), args))
        return [Answer(*each) for each in zip(reply, reply, reply, strict=True)]

    async def cut_all(self, cuts: Sequence[Cut], *, now_us: int = 0) -> list[int]:
        """Cut up to 500 rates; tokens a period from now on, 0 where nothing was cut. One round trip."""
        args: list[Any] = [now_us]
        for bucket, limit, rate, adaptive, took_us in cuts:
            least = f"{adaptive.least.count} {adaptive.least.period_us}"
            args += (bucket, limit, _given(rate, 1), least, adaptive.kept, adaptive.recover_us, took_us)
        return await run_script(self._execute, "rate_limit_cut", (self._prefix,), args)

    async def set(self, name: str, rate: Rate) -> None:
        """Set a rate for all workers; the next take sees it."""
        await self._execute("HSET", self._prefix + "limits", name, _given(rate, 1))

    async def remove(self, name: str) -> bool:
        """Forget a rate; False when none was set."""
        return bool(await self._execute("HDEL", self._prefix + "limits", name))

    async def rates(self) -> dict[str, Rate]:
        """Give all that is set at run time."""
        flat = iter(await self._execute("HGETALL", self._prefix + "limits"))
        return {name.decode(): _rate(value) for name, value in zip(flat, flat, strict=True)}

    async def look(self, bucket: str) -> tuple[Stored | None, Eased | None, int]:
        """Give a bucket as stored, what it was cut to, and the server's time in us; None: full, whole."""
        stored = await self._execute("GET", f"{self._prefix}bucket:{bucket}")
        eased = await self._execute("GET", f"{self._prefix}adaptive:{bucket}")
        seconds, us = await self._execute("TIME")
        now_us = int(seconds) * 1_000_000 + int(us)
        is_full, is_whole = stored is None, eased is None
        return (
            None if is_full else Stored(*map(int, stored.split())),
            None if is_whole else Eased(*map(int, eased.split())),
            now_us,
        )


def _given(rate: Rate | None, cost: int) -> str:
    return f"0 1 {cost}" if rate is None else f"{rate.count} {rate.period_us} {rate.burst}"


def _rate(value: bytes) -> Rate:
    return Rate(*map(int, value.split()))
