"""The door to limits, for web apps and the command line: take by hand, look, change for all workers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .breaker import Breaker
from .breaker_rules import BreakerRules
from .errors import InvalidArguments
from .key_names import bucket_of, checked_limit
from .lane_rules import NONE_KNOWN
from .middleware.rate_limit import TokenBucket
from .rates import Rate, RateLimit, rate_of
from .wire.keys import Keys, Layout
from .wire.limits import GRANTED, NO_RATE, TOO_MUCH, LimitScripts, Take, Want
from .wire.scripts import Execute

Source = Literal["run time", "settings", "task"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a take; true when it was granted.

    Attributes:
        granted: whether the tokens were taken.
        retry_after_s: when they are there if nobody else takes, to the microsecond; 0 when granted.
    """

    granted: bool
    retry_after_s: float

    def __bool__(self) -> bool:
        return self.granted


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and where its rate comes from.

    Attributes:
        name: of the limit, or of one bucket that has a rate of its own.
        rate: None: a task names it, and nobody has given it a rate.
        source: who says so; run time goes before settings, and settings before the task.
    """

    name: str
    rate: Rate | None
    source: Source


@dataclass(frozen=True, slots=True)
class Standing:
    """How full a bucket is.

    Attributes:
        tokens: in it now, whole ones.
        line_s: how long the line before it is; 0 for none.
        rate: at which it fills now; below the limit's while an adaptive one gives way.
    """

    tokens: int
    line_s: float
    rate: Rate


class Limits(BreakerRules):
    """Takes tokens, changes rates, how many run at once, weights and breakers, and opens and closes gates.

    Args:
        execute: sends one command.
        layout: how keys are named.
        settings: rates by the limit's name.
        declared: limits of tasks.
        queues: whose lanes and gates are meant.
        concurrency: as ``known_limits`` gives it.
        breakers: of tasks.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        layout: Layout = "classic",
        settings: Mapping[str, Rate] | None = None,
        declared: Iterable[RateLimit] = (),
        queues: Iterable[Keys] = (),
        concurrency: Mapping[str, tuple[int | None, bool]] = NONE_KNOWN,
        breakers: Iterable[Breaker] = (),
    ) -> None:
        super().__init__(execute, queues, concurrency, breakers)
        self._scripts = LimitScripts(execute, layout=layout)
        limits = list(declared)
        self._adaptive = {each.name for each in limits if each.adaptive is not None}
        self._known = {each.name: Limit(each.name, each.rate, "task") for each in limits}
        self._known |= {name: Limit(name, rate, "settings") for name, rate in (settings or {}).items()}

    async def take(self, name: str, *, bucket: str | None = None, cost: int = 1) -> Taken:
        """Take tokens now or not at all: ``if not await runner.limits.take("stripe"): …``.

        One round trip. Stands in no line: jobs that wait do not hold it up, and it may pass them.

        Args:
            name: of the limit.
            bucket: of it, where there are several: ``host:example.com`` of ``host:{url.host}``.
            cost: tokens.

        Raises:
            InvalidArguments: no rate is known, or it costs more than the burst.
        """
        if cost < 1:
            msg = f"limit '{name}': a cost is a whole number of 1 or more, not {cost!r}"
            raise InvalidArguments(msg)
        known = self._known.get(name)
        want = Want(
            bucket_of(bucket or name), name, cost, known.rate if known else None, name in self._adaptive
        )
        [answer] = await self._scripts.take_all([Take("try", [want])])
        if answer.verdict == NO_RATE:
            msg = (
                f"limit '{name}' has no rate: runner limits set {name} 100/s, or a table [rate_limits.{name}]"
            )
            raise InvalidArguments(msg)
        if answer.verdict == TOO_MUCH:
            msg = f"limit '{name}': a cost of {cost} is above its burst of {answer.retry_us}: never granted"
            raise InvalidArguments(msg)
        return Taken(answer.verdict == GRANTED, answer.retry_us / 1e6)

    async def set(self, name: str, rate: str, *, burst: int | None = None) -> Limit:
        """Set a rate for all workers; the next take sees it.

        Args:
            name: of a limit as its task names it, braces and all; or of one of its buckets, for that alone.
            rate: such as ``50/s``.
            burst: None for the rate's count.

        Raises:
            ValueError: it is no rate, or no name.
        """
        given = rate_of(rate, burst)
        await self._scripts.set(checked_limit(name), given)
        return Limit(name, given, "run time")

    async def remove(self, name: str) -> bool:
        """Take back what was set: settings, or the task, say the rate again. False when nothing was set."""
        return await self._scripts.remove(name)

    async def get(self, name: str) -> Limit | None:
        """Give a limit; None when there is none of that name."""
        return (await self._all()).get(name)

    async def list(self) -> list[Limit]:
        """Give all limits by name: of tasks, of settings, and those set at run time."""
        return sorted((await self._all()).values(), key=lambda limit: limit.name)

    async def standing(self, name: str, *, bucket: str | None = None) -> Standing | None:
        """Say how full a bucket is; None when no rate is known. Takes nothing."""
        everything = await self._all()
        limit = everything.get(bucket or name) or everything.get(name)
        if limit is None or limit.rate is None:
            return None
        stored, eased, now_us = await self._scripts.look(bucket_of(bucket or name))
        rate = limit.rate if eased is None else replace(limit.rate, count=eased.now(limit.rate, now_us))
        if stored is None:
            return Standing(rate.burst, 0.0, rate)
        here = TokenBucket(rate, stored.last_us, stored.credits // stored.period_us * rate.period_us)
        return Standing(here.tokens(now_us), max(0, stored.line_us - now_us) / 1e6, rate)

    async def _all(self) -> dict[str, Limit]:
        set_now = await self._scripts.rates()
        return self._known | {name: Limit(name, rate, "run time") for name, rate in set_now.items()}
