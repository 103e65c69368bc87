"""How often something may happen: rates, and what a task declares with them.

@task(rate_limit=RateLimit("stripe", "100/s", burst=200))
@task(rate_limit=[RateLimit("host:{url.host}", "10/s"), RateLimit("all hosts", "500/s")])

A bucket holds at most ``burst`` tokens, begins full, and gains ``count`` tokens in every period, evenly. So
in any window of t seconds no more than burst + count/period × t are granted. One token is as many credits as
the period has microseconds; then every number is whole, and below 2^53 exact in Lua too.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, NamedTuple

from .errors import Delay, InvalidArguments, seconds
from .key_names import call, checked_limit, fields_of, name_of, one_or_more, refuse_unknown

EXACT = 2**53
"""Lua's numbers are doubles: whole ones are exact below this."""

_UNIT_US = {"ms": 1000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_RATE = re.compile(r"(\d{1,15})\s*/\s*(\d{0,9})(ms|s|m|h|d)")
_FORM = "such as '100/s', '10/m', '1000/h' or '1/30s'"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many tokens a period, and at most so many at once.

    Attributes:
        count: tokens that come in each period.
        period_us: its length.
        burst: tokens a full bucket holds.
    """

    count: int
    period_us: int
    burst: int

    def __post_init__(self) -> None:
        if min(self.count, self.period_us) < 1:
            msg = f"a rate is above zero, {_FORM}"
            raise ValueError(msg)
        if self.burst < 1:
            msg = f"burst= is 1 or more, not {self.burst}: a bucket that holds nothing grants nothing"
            raise ValueError(msg)
        if self.burst * self.period_us + self.count >= EXACT:
            most = (EXACT - self.count - 1) // self.period_us
            cure = f"the largest is {most}" if most > 0 else "choose a shorter period or fewer tokens"
            msg = f"burst={self.burst} in {self.period_us / 1e6:g} s cannot be counted exactly; {cure}"
            raise ValueError(msg)

    @property
    def capacity(self) -> int:
        """Credits of a full bucket."""
        return self.burst * self.period_us

    def refuse(self, name: str, cost: int) -> None:
        """Refuse a cost that no bucket of this rate ever holds.

        Raises:
            InvalidArguments: with the numbers.
        """
        if cost > self.burst:
            msg = (
                f"limit '{name}': a cost of {cost} is more than its burst of {self.burst}, so it never passes"
            )
            raise InvalidArguments(msg)

    def __str__(self) -> str:
        number, unit = next(
            (self.period_us // us, unit)
            for unit, us in reversed(_UNIT_US.items())
            if self.period_us % us == 0
        )
        return f"{self.count}/{'' if number == 1 else number}{unit}"


def rate_of(text: str, burst: int | None = None) -> Rate:
    """Read a rate: a count, a slash, and a period of ms, s, m, h or d.

    Args:
        text: such as ``100/s`` or ``5/10s``.
        burst: tokens a full bucket holds; None for the count, so that one period's worth may go at once.

    Raises:
        ValueError: it is no rate, or cannot be counted exactly; says why.
    """
    match = _RATE.fullmatch(text.strip()) if isinstance(text, str) else None  # pyright: ignore[reportUnnecessaryIsInstance] - users are not type checkers
    if match is None:
        msg = f"a rate is a whole count and a period, {_FORM}; not {text!r}"
        raise ValueError(msg)
    if burst is not None and isinstance(burst, bool | float):
        msg = f"burst= is a whole number of 1 or more, not {burst!r}"
        raise ValueError(msg)
    count, period_us = int(match[1]), int(match[2] or 1) * _UNIT_US[match[3]]
    return Rate(count, period_us, max(1, count) if burst is None else burst)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A rate that gives way when the other side asks for less, and comes back by itself.

    An answer of 429, of 503 with Retry-After, or one that took longer than ``latency``, cuts the rate to
    ``cut`` times what it is; from there it rises evenly, by the whole rate in ``recover``. Calls that began
    before a cut cause no further one, so a burst of refusals counts once.

    Attributes:
        min: the rate is never cut below this.
        cut: above 0 and below 1.
        recover: how long it takes from nothing to the whole rate.
        latency: a call that took longer cuts, too; None: however long.
    """

    min: str
    _: KW_ONLY
    cut: float = 0.5
    recover: Delay = 60
    latency: Delay | None = None
    least: Rate = field(init=False, repr=False)
    kept: int = field(init=False, repr=False)
    recover_us: int = field(init=False, repr=False)
    latency_s: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            least, kept, recover_us = (
                rate_of(self.min),
                round(self.cut * 1000),
                round(seconds(self.recover) * 1e6),
            )
        except ValueError as error:
            msg = f"Adaptive({self.min!r}): {error}"
            raise ValueError(msg) from None
        latency_s = math.inf if self.latency is None else seconds(self.latency)
        if not 1 <= kept <= 999 or recover_us < 1 or latency_s <= 0:
            msg = f"Adaptive({self.min!r}): cut= is above 0 and below 1, recover= and latency= are above 0 s"
            raise ValueError(msg)
        values = {"least": least, "kept": kept, "recover_us": recover_us, "latency_s": latency_s}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def refuse(self, rate: Rate | None) -> None:
        """Refuse a rate that cannot be cut to the least one.

        Raises:
            ValueError: says why.
        """
        if rate is None:
            return
        if self.least.count * rate.period_us > rate.count * self.least.period_us:
            msg = f"adaptive: min='{self.min}' is more than the rate of {rate}"
            raise ValueError(msg)
        if rate.count == 1:
            msg = f"adaptive: a rate of {rate} cannot be cut in whole tokens; write a longer period, as 60/m"
            raise ValueError(msg)


class Claim(NamedTuple):
    """What one call takes of one limit: the bucket, and how many tokens."""

    limit: "RateLimit"
    bucket: str
    cost: int


@dataclass(frozen=True, slots=True, init=False)
class RateLimit:
    """Jobs start no more often than this, over all workers.

    Attributes:
        name: of the limit, by which it is changed at run time; may hold the task's parameters in braces, then
            each name that comes out has a bucket of its own: ``tenant:{tenant}``, ``host:{url.host}`` (of a
            URL that is text: ``host``, ``port`` and ``scheme``).
        rate: None: settings or run time say it.
        key: gives what tells buckets apart out of the task's arguments, by their names; instead of braces.
        cost: tokens a job takes; a number, or a function as ``key``.
        fallback: what one process lets through while the server is away; None: nothing, jobs wait.
        adaptive: how the rate gives way when the other side asks for less; None: it does not.
    """

    name: str
    rate: Rate | None
    key: Callable[..., Any] | None
    cost: int | Callable[..., int]
    fallback: Rate | None
    adaptive: Adaptive | None

    def __init__(
        self,
        name: str,
        rate: str | None = None,
        *,
        burst: int | None = None,
        key: Callable[..., Any] | None = None,
        cost: int | Callable[..., int] = 1,
        fallback: str | None = None,
        adaptive: Adaptive | None = None,
    ) -> None:
        where = f"RateLimit({name!r})"
        if rate is None and burst is not None:
            msg = f"{where}: burst= goes with a rate"
            raise ValueError(msg)
        try:
            given = None if rate is None else rate_of(rate, burst)
            away = None if fallback is None else rate_of(fallback)
            fields_of(checked_limit(name))
            if adaptive is not None:
                adaptive.refuse(given)
        except ValueError as error:
            msg = f"{where}: {error}"
            raise ValueError(msg) from None
        if key is not None and not callable(key):
            msg = f"{where}: key= is a function of the task's arguments, not {key!r}"
            raise TypeError(msg)
        values = {
            "name": name,
            "rate": given,
            "key": key,
            "cost": cost,
            "fallback": away,
            "adaptive": adaptive,
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)
        if not callable(cost):
            self.checked(cost)

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse fields and functions that ask for what is none of the task's parameters.

        Raises:
            ValueError: names what it asks for, and the parameters.
        """
        refuse_unknown(f"RateLimit({self.name!r})", self.name, (self.key, self.cost), parameters)

    def standing_claim(self) -> Claim | None:
        """Say what every call takes; None where that depends on its arguments."""
        if self.key is not None or callable(self.cost) or fields_of(self.name):
            return None
        return Claim(self, name_of(self.name, None, {}), self.cost)

    def claim(self, task: str, named: Mapping[str, Any]) -> Claim:
        """Say what one call takes.

        Raises:
            InvalidArguments: they give no bucket or no cost, or one above the burst.
        """
        try:
            cost = call(self.cost, named) if callable(self.cost) else self.cost
            return Claim(self, name_of(self.name, self.key, named), self.checked(cost))
        except InvalidArguments:
            raise
        except Exception as error:
            msg = f"task '{task}': rate limit {self.name!r} cannot be made of its arguments: {error}"
            raise InvalidArguments(msg) from error

    def checked(self, cost: Any) -> int:
        """Give a cost, or refuse it.

        Raises:
            InvalidArguments: it is no whole number above zero, or more than the declared burst.
        """
        if not isinstance(cost, int) or isinstance(cost, bool) or cost < 1:
            msg = f"limit '{self.name}': a cost is a whole number of 1 or more, not {cost!r}"
            raise InvalidArguments(msg)
        for rate in (self.rate, self.fallback):
            if rate is not None:
                rate.refuse(self.name, cost)
        return cost


RateLimits = RateLimit | Sequence[RateLimit]


def limits_of(declared: RateLimits) -> tuple[RateLimit, ...]:
    """Give what ``rate_limit=`` names; a TypeError when there is something else among them."""
    return one_or_more("rate_limit", RateLimit, declared)
