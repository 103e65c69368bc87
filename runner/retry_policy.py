"""When and how often a failed job runs again: what ``@task`` declares of it, as one value."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .backoff import Backoff, exponential
from .errors import Delay, seconds

Judge = Callable[[BaseException], bool]
"""Says of an error whether another attempt is worth it."""

Errors = Iterable[type[BaseException]] | type[BaseException]
"""Exception classes, or one of them."""

DEFAULT_BACKOFF = exponential(base=1, cap=600, jitter="full")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how often a failed job runs again.

    Attributes:
        backoff: gives the delay before each retry.
        max_tries: attempts in all, the first included; None for the worker's default.
        max_age_s: no retry would start later than this many seconds after enqueue; None for no limit.
        retry_on: only these errors are retried; empty means every Exception.
        give_up_on: these are never retried; wins over ``retry_on``.
        judge: a function that decides instead of the two above.
        max_snoozes: how often a job may be snoozed before it is dead.
    """

    backoff: Backoff = DEFAULT_BACKOFF
    max_tries: int | None = None
    max_age_s: float | None = None
    retry_on: tuple[type[BaseException], ...] = ()
    give_up_on: tuple[type[BaseException], ...] = ()
    judge: Judge | None = None
    max_snoozes: int = 10_000

    def wants(self, error: BaseException) -> bool:
        """Say whether this error is worth another attempt, attempts left or not."""
        if isinstance(error, self.give_up_on):
            return False
        if self.judge is not None:
            return self.judge(error)
        return isinstance(error, self.retry_on or Exception)


def policy_of(
    *,
    retry: Backoff | None = None,
    max_tries: int | None = None,
    max_age: Delay | None = None,
    retry_on: Errors | Judge = (),
    give_up_on: Errors = (),
    max_snoozes: int = 10_000,
) -> RetryPolicy:
    """Make a policy out of the options of ``@task``.

    Raises:
        ValueError: a number out of range.
        TypeError: ``retry`` is no backoff, or ``retry_on`` or ``give_up_on`` hold what is no exception class.
    """
    if max_tries is not None and max_tries < 1:
        msg = f"max_tries counts the first attempt too, so it is at least 1, not {max_tries}"
        raise ValueError(msg)
    if max_snoozes < 0:
        msg = f"max_snoozes must be 0 or more, not {max_snoozes}"
        raise ValueError(msg)
    if retry is not None and not isinstance(retry, Backoff):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"retry= takes a backoff, as backoff.exponential(), backoff.intervals(10, 60), not {retry!r}"
        raise TypeError(msg)
    judge = retry_on if callable(retry_on) and not isinstance(retry_on, type) else None
    return RetryPolicy(
        backoff=retry or DEFAULT_BACKOFF,
        max_tries=max_tries,
        max_age_s=None if max_age is None else seconds(max_age),
        retry_on=() if judge is not None else _classes("retry_on", retry_on),
        give_up_on=_classes("give_up_on", give_up_on),
        judge=judge,
        max_snoozes=max_snoozes,
    )


def _classes(option: str, errors: Any) -> tuple[type[BaseException], ...]:
    """Give the exception classes; one that is none would otherwise be found out only when a job fails."""
    found = (errors,) if isinstance(errors, type) else tuple(errors)
    for each in found:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            msg = f"{option}= takes exception classes, not {each!r}"
            raise TypeError(msg)
    return found
