"""How long to wait before a retry, as small frozen values.

    exponential(base=1, cap=600)                  up to 1, 2, 4 … 600 s, drawn at random ("full")
    intervals(10, 60, 300)                        10 s, 60 s, 300 s, then no more
    constant(5)                                   5 s, for ever
    constant(1).times(3) + exponential(base=10)   three quick ones, then growing

A policy answers one question, ``delay(n, rng, previous)``: the seconds before retry ``n``, counted from 1,
or None when it has run out. It keeps no state and draws only from the ``Random`` it is given, so a seed fixes
every delay. ``repr`` of a policy is the expression that makes it.
"""

import difflib
import operator
from abc import ABC, abstractmethod
from dataclasses import dataclass
from random import Random
from typing import Literal, assert_never, get_args

from .errors import Delay, seconds

Jitter = Literal["full", "equal", "decorrelated", "none"]


class Backoff(ABC):
    """What ``exponential``, ``intervals``, ``constant``, ``+`` and ``times`` give.

    A policy of one's own subclasses this with ``length`` and ``pick``.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def length(self) -> int | None:
        """How many delays there are; None when it never runs out."""

    @abstractmethod
    def pick(self, n: int, rng: Random, previous: float | None, /) -> float:
        """Give the delay before retry ``n``; asked only for 1 <= n <= length."""

    def delay(self, n: int, rng: Random, previous: float | None = None) -> float | None:
        """Give the seconds to wait before retry ``n``, or None when the policy has run out.

        Args:
            n: number of the retry; the first is 1.
            rng: where jitter is drawn from; untouched by a policy without jitter.
            previous: the delay before retry n - 1, which decorrelated jitter grows from; None when it is not
                known, which counts as what it would have been without jitter.

        Raises:
            ValueError: n is below 1.
        """
        if n < 1:
            msg = f"retries are counted from 1, not {n}"
            raise ValueError(msg)
        if self.length is not None and n > self.length:
            return None
        return self.pick(n, rng, previous)

    def times(self, n: int) -> "Backoff":
        """Give this policy cut off after ``n`` delays; n below 1 is a ValueError."""
        if operator.index(n) < 1:
            msg = f"times({n}): expected 1 or more; to never retry, set max_tries=1 on the task"
            raise ValueError(msg)
        return Limited(self, n)

    def __add__(self, after: "Backoff") -> "Backoff":
        """Give the policy that goes on with ``after``, from its first delay, once this one has run out.

        Raises:
            ValueError: this one never runs out, so ``after`` could never begin.
        """
        if self.length is None:
            msg = f"{self!r} never runs out, so nothing can follow it: limit it first with .times(n)"
            raise ValueError(msg)
        return Joined((*_parts(self), *_parts(after)))


def exponential(base: Delay = 1, factor: float = 2, cap: Delay = 600, jitter: Jitter = "full") -> Backoff:
    """Delays that grow by ``factor`` from ``base`` up to ``cap``; never runs out.

    With ``top = min(cap, base * factor ** (n - 1))``, retry n waits

    - ``full``: uniform in [0, top]. Spreads a crowd best; right unless a delay near zero does harm.
    - ``equal``: uniform in [top / 2, top]. Never nearly at once.
    - ``decorrelated``: uniform in [base, (1 + factor) * previous], at most cap; the first previous is base.
      At factor 2 this is the article's ``3 * previous``.
    - ``none``: exactly top.

    Source of the four: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.

    Args:
        base: seconds or timedelta, above zero.
        factor: at least 1.
        cap: seconds or timedelta, at least ``base``.
        jitter: one of the four above.

    Raises:
        ValueError: one of them is out of its range.
    """
    base_s, cap_s = _span("exponential(base=…)", base), _span("exponential(cap=…)", cap)
    if base_s == 0:
        msg = "exponential(base=0) would never grow: give a base above zero, or use constant(0)"
        raise ValueError(msg)
    if cap_s < base_s:
        msg = f"exponential(cap={_plain(cap_s)}) is below base={_plain(base_s)}: raise cap or lower base"
        raise ValueError(msg)
    if not 1 <= factor < float("inf"):
        msg = f"exponential(factor={factor!r}): expected a finite number, 1 or more"
        raise ValueError(msg)
    if jitter not in get_args(Jitter):
        raise ValueError(_unknown_jitter(jitter))
    return Exponential(base_s, float(factor), cap_s, jitter)


def intervals(*delays: Delay, jitter: float = 0.0, max_jitter: Delay | None = None) -> Backoff:
    """Exactly these delays, one after the other; then it has run out.

    Retry n waits ``delays[n - 1]`` and up to ``jitter`` of that, but never more than ``max_jitter``, on top:
    jitter is only ever added, so that a published schedule is a lower bound. The Standard Webhooks
    specification asks senders for a schedule like this, with jitter.

    Args:
        delays: seconds or timedelta, at least one; zero is allowed.
        jitter: fraction of each delay; 0.2 adds up to a fifth.
        max_jitter: seconds or timedelta; None sets no bound.

    Raises:
        ValueError: no delays, or one of the values is out of its range.
    """
    if not delays:
        msg = "intervals() needs at least one delay, as in intervals(10, 60, 300)"
        raise ValueError(msg)
    if not 0 <= jitter < float("inf"):
        msg = f"intervals(jitter={jitter!r}): expected a fraction, 0 or more; 0.2 adds up to a fifth"
        raise ValueError(msg)
    spans = tuple(_span(f"intervals, delay number {i}", delay) for i, delay in enumerate(delays, 1))
    most = None if max_jitter is None else _span("intervals(max_jitter=…)", max_jitter)
    return Intervals(spans, float(jitter), most)


def constant(delay: Delay) -> Backoff:
    """Give the same delay, in seconds or as a timedelta, before every retry; never runs out.

    Raises:
        ValueError: the delay is negative, NaN or infinite.
    """
    return Constant(_span("constant(…)", delay))


@dataclass(frozen=True, slots=True, repr=False)
class Exponential(Backoff):
    """See ``exponential``, which checks the values."""

    base: float
    factor: float
    cap: float
    jitter: Jitter

    @property
    def length(self) -> None:
        return None

    def pick(self, n: int, rng: Random, previous: float | None, /) -> float:
        top = self._top(n)
        match self.jitter:
            case "none":
                return top
            case "full":
                return rng.uniform(0.0, top)
            case "equal":
                return min(top, rng.uniform(top / 2, top))
            case "decorrelated":
                before = self._top(max(1, n - 1)) if previous is None else max(self.base, previous)
                return min(self.cap, rng.uniform(self.base, before * (1 + self.factor)))
            case _:
                assert_never(self.jitter)

    def _top(self, n: int) -> float:
        try:
            return min(self.cap, self.base * self.factor ** (n - 1))
        except OverflowError:
            return self.cap

    def __repr__(self) -> str:
        base, factor, cap = _plain(self.base), _plain(self.factor), _plain(self.cap)
        return f"exponential(base={base}, factor={factor}, cap={cap}, jitter={self.jitter!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Intervals(Backoff):
    """See ``intervals``, which checks the values."""

    delays: tuple[float, ...]
    jitter: float
    max_jitter: float | None

    @property
    def length(self) -> int:
        return len(self.delays)

    def pick(self, n: int, rng: Random, _previous: float | None, /) -> float:
        delay = self.delays[n - 1]
        most = delay * self.jitter
        if self.max_jitter is not None:
            most = min(most, self.max_jitter)
        return delay + rng.uniform(0.0, most) if most else delay

    def __repr__(self) -> str:
        given = [_plain(delay) for delay in self.delays]
        if self.jitter:
            given.append(f"jitter={_plain(self.jitter)}")
        if self.max_jitter is not None:
            given.append(f"max_jitter={_plain(self.max_jitter)}")
        return f"intervals({', '.join(given)})"


@dataclass(frozen=True, slots=True, repr=False)
class Constant(Backoff):
    """See ``constant``, which checks the value."""

    seconds: float

    @property
    def length(self) -> None:
        return None

    def pick(self, _n: int, _rng: Random, _previous: float | None, /) -> float:
        return self.seconds

    def __repr__(self) -> str:
        return f"constant({_plain(self.seconds)})"


@dataclass(frozen=True, slots=True, repr=False)
class Limited(Backoff):
    """The first ``most`` delays of a policy; made by ``Backoff.times``."""

    policy: Backoff
    most: int

    @property
    def length(self) -> int:
        return self.most if self.policy.length is None else min(self.most, self.policy.length)

    def pick(self, n: int, rng: Random, previous: float | None, /) -> float:
        return self.policy.pick(n, rng, previous)

    def __repr__(self) -> str:
        policy = f"({self.policy!r})" if isinstance(self.policy, Joined) else repr(self.policy)
        return f"{policy}.times({self.most})"


@dataclass(frozen=True, slots=True, repr=False)
class Joined(Backoff):
    """Policies one after the other; made by ``+``. Only the last may go on for ever."""

    parts: tuple[Backoff, ...]

    @property
    def length(self) -> int | None:
        last = self.parts[-1].length
        return None if last is None else sum(part.length or 0 for part in self.parts)

    def pick(self, n: int, rng: Random, previous: float | None, /) -> float:
        for part in self.parts[:-1]:
            length = part.length or 0
            if n <= length:
                return part.pick(n, rng, previous)
            n -= length
        # A part that begins knows no previous delay: the one before belongs to another policy.
        return self.parts[-1].pick(n, rng, previous if n > 1 else None)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.parts))


def _parts(policy: Backoff) -> tuple[Backoff, ...]:
    return policy.parts if isinstance(policy, Joined) else (policy,)


def _span(name: str, delay: Delay) -> float:
    try:
        return seconds(delay)
    except (TypeError, ValueError) as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from None


def _unknown_jitter(jitter: str) -> str:
    near = difflib.get_close_matches(str(jitter), get_args(Jitter), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(get_args(Jitter))}"
    return f"exponential(jitter={jitter!r}) is not a kind of jitter: {hint}"


def _plain(number: float) -> str:
    return repr(number).removesuffix(".0")
