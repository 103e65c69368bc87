"""Rate limits: tokens are taken just before the call; who gets none comes back at its time."""

import asyncio
import math
import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..arguments import Parameters
from ..breaker import Breaker
from ..client.patience import patiently
from ..errors import InvalidArguments, ServerError
from ..job import Attempt
from ..key_names import bucket_of, fields_of
from ..outcome import Cancelled, Dead, Failed, NotYet, Outcome, Queued, Snoozed, Succeeded
from ..rates import Claim, Rate, RateLimit
from ..wire.limits import DENIED, FAR_US, GRANTED, NO_RATE, Answer, Cut, LimitScripts, Mode, Take, Want
from ..wire.passing import TROUBLE, is_passing
from .breaker import heard
from .chain import CallNext

IN_PLACE_US = 50_000
"""A shorter wait is slept in the job's slot: coming back through the queue would take as long."""

MOST_NAPS = 20
ANY = Breaker("any")
"""Whoever judges errors as breakers do that name no judge."""

UNSET_MS = 5000
"""A job whose limit has no rate, or a burst that is too small for it, asks again after this."""


class TokenBucket:
    """A bucket in this process, by the same arithmetic as the script's.

    Args:
        rate: at which it fills.
        now_us: of any clock that does not go back.
        credits_: in it; None: it begins full.
    """

    __slots__ = ("_credits", "_last_us", "_rate")

    def __init__(self, rate: Rate, now_us: int, credits_: int | None = None) -> None:
        self._rate = rate
        self._credits = rate.capacity if credits_ is None else min(credits_, rate.capacity)
        self._last_us = now_us

    def take(self, now_us: int, cost: int = 1) -> int:
        """Take tokens; gives 0, or the us after which they are there."""
        self._fill(now_us)
        need = cost * self._rate.period_us
        if self._credits < need:
            return -((self._credits - need) // self._rate.count)
        self._credits -= need
        return 0

    def tokens(self, now_us: int) -> int:
        """Give how many whole tokens are in it."""
        self._fill(now_us)
        return self._credits // self._rate.period_us

    def _fill(self, now_us: int) -> None:
        gained = max(0, now_us - self._last_us) * self._rate.count
        self._credits, self._last_us = min(self._rate.capacity, self._credits + gained), now_us


@dataclass(slots=True)
class Limiter:
    """Takes tokens for the jobs of one process; those of one moment in one script call.

    Attributes:
        scripts: of the server.
        rates: by the limit's name, as settings give them: before the declared ones, after those of run time.
        for_s: how long a take waits for a server that is away, before its job asks again later.
    """

    scripts: LimitScripts
    rates: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    for_s: float = 15.0
    _local: dict[str, TokenBucket] = field(default_factory=dict[str, TokenBucket])

    async def pass_(self, attempt: Attempt, claims: Sequence[Claim]) -> Queued | None:
        """Take the tokens of all claims, or say when to come back; sleeps over short waits.

        Raises:
            ServerError: it is away for longer than ``for_s``.
        """
        mode: Mode = "turn" if attempt.has_turn else "line"
        naps = 0
        while (answer := await self._take(mode, claims)).verdict == DENIED:
            if answer.place_us >= IN_PLACE_US or naps == MOST_NAPS:
                break
            mode, naps = "turn", naps + 1
            await asyncio.sleep(answer.place_us / 1e6)
        return None if answer.verdict == GRANTED else _queued(claims, answer)

    def taking(self, attempt: Attempt, limit: RateLimit, *, bucket: str | None, cost: int) -> "Taking":
        """See ``Context.limit``."""
        name = limit.name if bucket is None else bucket
        if bucket is None and (limit.key is not None or fields_of(name)):
            msg = f"limit '{name}' has many buckets: say which, such as bucket='host:example.com'"
            raise InvalidArguments(msg)
        return Taking(self, attempt, Claim(limit, bucket_of(name), limit.checked(cost)))

    async def _take(self, mode: Mode, claims: Sequence[Claim]) -> Answer:
        wants = [
            Want(bucket, limit.name, cost, self._rate_of(limit), limit.adaptive is not None)
            for limit, bucket, cost in claims
        ]
        entry = Take(mode, wants)
        try:
            return await self.scripts.take.put(entry)
        except TROUBLE as error:
            if any(claim.limit.fallback is None for claim in claims):
                take = partial(self.scripts.take.put, entry)
                return await patiently(take, for_s=self.for_s, address="redis.url")
            if not is_passing(error):
                raise
            return self._take_here(claims)

    def _rate_of(self, limit: RateLimit) -> Rate | None:
        return self.rates.get(limit.name, limit.rate)

    def hear(self, claims: Sequence[Claim], took_s: float, *, is_throttled: bool) -> None:
        """Cut the rates of adaptive limits if a call says so. No job waits for it; a lost cut stays lost."""
        for limit, bucket, _ in claims:
            adaptive = limit.adaptive
            if adaptive is not None and (is_throttled or took_s > adaptive.latency_s):
                took_us = int(took_s * 1e6)
                self.scripts.cut.post(Cut(bucket, limit.name, self._rate_of(limit), adaptive, took_us))

    def _take_here(self, claims: Sequence[Claim]) -> Answer:
        """Let through at the fallback rates; a limit's buckets share one here, so that it is a bound."""
        now_us = int(asyncio.get_running_loop().time() * 1e6)
        waits_us: list[int] = []
        for limit, _, cost in claims:
            if limit.fallback is not None:
                bucket = self._local.setdefault(limit.name, TokenBucket(limit.fallback, now_us))
                waits_us.append(bucket.take(now_us, cost))
        wait_us = max(waits_us)
        return Answer(DENIED if wait_us else GRANTED, wait_us, wait_us)


@dataclass(slots=True)
class Taking:
    """What ``ctx.limit`` gives: awaited it takes; around a block it takes, and hears how the block went."""

    limiter: Limiter
    attempt: Attempt
    claim: Claim
    began: float = 0.0

    def __await__(self) -> Generator[Any, None, None]:
        return self._take().__await__()

    async def __aenter__(self) -> None:
        await self._take()
        self.began = self.attempt.clock.monotonic()

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        outcome = Failed(error) if isinstance(error, Exception) else Succeeded(None)
        if error is None or isinstance(error, Exception):
            is_throttled = heard(ANY, outcome, self.attempt.ctx.get("health", {})).verdict == "throttled"
            took_s = self.attempt.clock.monotonic() - self.began
            self.limiter.hear([self.claim], took_s, is_throttled=is_throttled)

    async def _take(self) -> None:
        queued = await self.limiter.pass_(self.attempt, [self.claim])
        self.attempt.has_turn = False
        if queued is not None:
            raise NotYet(queued)


def _queued(claims: Sequence[Claim], answer: Answer) -> Queued:
    names = ", ".join(claim.bucket for claim in claims)
    if answer.verdict == NO_RATE:
        return Queued(UNSET_MS, f"limit {names} has no rate: runner limits set NAME 100/s", has_place=False)
    if answer.verdict != DENIED:
        cost = max(claim.cost for claim in claims)
        return Queued(
            UNSET_MS, f"limit {names}: cost {cost} is above the burst of {answer.retry_us}", has_place=False
        )
    if answer.place_us > FAR_US:  # told to ask again later, spread out so that not all ask at once
        delay_us = FAR_US // 2 + random.randrange(FAR_US // 2)
        return Queued(delay_us // 1000, f"limit {names}", has_place=False)
    return Queued(math.ceil(answer.place_us / 1000), f"limit {names}", has_place=True)


@dataclass(frozen=True, slots=True)
class AtARate:
    """Runs the call once the task's limits have granted it.

    Attributes:
        limits: as declared; all or none.
        parameters: the task's.
        standing: what every call takes; empty where that depends on its arguments.
    """

    limits: Sequence[RateLimit]
    parameters: Parameters
    standing: Sequence[Claim]

    @classmethod
    def of(cls, limits: Sequence[RateLimit], parameters: Parameters) -> "AtARate":
        """Make it of what a task declares."""
        standing = [claim for limit in limits if (claim := limit.standing_claim()) is not None]
        return cls(limits, parameters, standing if len(standing) == len(limits) else ())

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        limiter: Limiter = attempt.ctx["limiter"]
        try:
            claims = self.standing or self._claims(attempt)
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        try:
            queued = await limiter.pass_(attempt, claims)
        except ServerError as error:
            return Queued(1000, str(error), has_place=attempt.has_turn)
        if queued is not None:
            return queued
        if not any(limit.adaptive for limit in self.limits):
            return await call_next(attempt)
        began = attempt.clock.monotonic()
        outcome = await call_next(attempt)
        if not isinstance(outcome, Queued | Snoozed | Cancelled):
            health = heard(ANY, outcome, attempt.ctx.get("health", {}))
            took_s = attempt.clock.monotonic() - began
            limiter.hear(claims, took_s, is_throttled=health.verdict == "throttled")
        return outcome

    def _claims(self, attempt: Attempt) -> Sequence[Claim]:
        named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
        return [limit.claim(attempt.task, named) for limit in self.limits]
