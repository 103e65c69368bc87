"""The backoff middleware: a failure becomes another attempt, or is left for the dead letters."""

import logging
from dataclasses import dataclass, field
from random import Random

from ..errors import GiveUp, IdempotencyConflict, InvalidStep, Retry, SignalTimeout, Undecided
from ..job import Attempt
from ..outcome import Dead, Failed, Outcome, Retrying, Snoozed
from ..tasks import RetryPolicy
from .chain import CallNext

logger = logging.getLogger("runner.middleware")

DEFAULT_MAX_TRIES = 5


_FINAL = (
    (GiveUp, "gave_up"),
    (Undecided, "undecided"),
    (IdempotencyConflict, "conflict"),
    (InvalidStep, "invalid_step"),
    (SignalTimeout, "no_signal"),
)
"""Errors of which no attempt would make another."""


def decide(policy: RetryPolicy, attempt: Attempt, error: BaseException, rng: Random) -> Retrying | Dead:
    """Say what follows a failed attempt; draws from ``rng`` only for a delay that is used."""
    if (refusal := refuses(policy, attempt, error)) is not None:
        return Dead(refusal, error)
    asked = error.delay_s if isinstance(error, Retry) else None
    delay_s = policy.backoff.delay(attempt.number, rng, attempt.previous_delay_s) if asked is None else asked
    if delay_s is None:
        return Dead("max_tries", error)
    if policy.max_age_s is not None and attempt.age_s() + delay_s > policy.max_age_s:
        return Dead("max_age", error)
    reason = error.reason if isinstance(error, Retry) else type(error).__name__
    return Retrying(round(delay_s * 1000), reason, error)


def refuses(policy: RetryPolicy, attempt: Attempt, error: BaseException) -> str | None:
    """Give the reason why there is no further attempt, or None. Pure, so that it may be asked twice."""
    for kind, reason in _FINAL:
        if isinstance(error, kind):
            return reason
    if not isinstance(error, Retry) and not _wants(policy, error):
        return "gave_up"
    return "max_tries" if attempt.number >= (policy.max_tries or DEFAULT_MAX_TRIES) else None


def _wants(policy: RetryPolicy, error: BaseException) -> bool:
    """Ask the policy; a judge of the user's that raises has not said no."""
    try:
        return policy.wants(error)
    except Exception:
        logger.exception("the retry_on function raised over %s; the job is retried", type(error).__name__)
        return True


@dataclass(frozen=True, slots=True)
class BackoffRetry:
    """Turns Failed into Retrying or Dead by a task's policy, and bounds its snoozes.

    Attributes:
        policy: the task's.
        rng: where jitter is drawn from; a seeded one makes delays repeatable.
    """

    policy: RetryPolicy
    rng: Random = field(default_factory=Random)

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        outcome = await call_next(attempt)
        match outcome:
            case Failed(error):
                return decide(self.policy, attempt, error, self.rng)
            case Snoozed(reason=reason) if attempt.snoozes >= self.policy.max_snoozes:
                error = RuntimeError(f"snoozed {attempt.snoozes} times, last for: {reason}")
                return Dead("max_snoozes", error)
            case _:
                return outcome
