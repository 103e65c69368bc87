"""What a task declares about jobs that would do the same: one of them is enough.

@task(unique=Unique())                                            one at a time for each set of arguments
@task(unique=Unique("until_started", key="account:{account}"))    one waits; a running one does not count
@task(unique=Unique.throttle("1h", key="user:{user}"))            the first in an hour runs, the others do not
@task(unique=Unique.debounce("10s", max_wait="60s", key="doc:{doc}"))   the last of a burst runs

It decides at enqueue, in the step that makes the job, and holds within one queue. While it runs a job is kept
from others by ``Lock``; that an effect happens once is the promise of ``Idempotency``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .effects import span
from .errors import Delay, InvalidArguments
from .fingerprint import digest
from .json_values import NotEncodable
from .key_names import call, name_of, refuse_unknown

Key = str | Callable[..., Any]
OnConflict = Literal["keep", "replace", "reject"]
Until = Literal["done", "started", "period"]

_CONFLICTS = ("keep", "replace", "reject")
_STATES: dict[str, Until] = {"until_done": "done", "until_started": "started"}


class Sole(NamedTuple):
    """What one call asks for, as ``enqueue_checked.lua`` takes it.

    Attributes:
        digest: of what makes calls the same.
        until: when the next one may come; see Unique.
        on_conflict: what becomes of a call that comes before.
        period_ms: with ``until`` period.
        wait_ms: a call moves the due time so far into the future; 0 leaves it.
        max_wait_ms: but never farther than so long after the first call.
    """

    digest: str
    until: Until
    on_conflict: OnConflict
    period_ms: int
    wait_ms: int
    max_wait_ms: int


@dataclass(frozen=True, slots=True, init=False)
class Unique:
    """Of calls that would do the same only one becomes a job.

    Attributes:
        until: ``done``: the next may come when the job has ended, however that was; ``started``: when its
            first attempt has begun; ``period``: so long after the call, whatever became of the job.
        on_conflict: ``keep``: the call is a duplicate, and its handle points at the job that is there;
            ``replace``: a job that no attempt has begun of gets the new call's arguments and keeps its place;
            ``reject``: DuplicateJob is raised.
        key: what makes calls the same: a template or a function of the task's arguments; None: all of them.
        period_s: with ``until`` period.
        wait_s: debounce; 0 for none.
        max_wait_s: with it.
    """

    until: Until
    on_conflict: OnConflict
    key: Key | None
    period_s: float
    wait_s: float
    max_wait_s: float

    def __init__(
        self, for_: Delay | str = "until_done", *, key: Key | None = None, on_conflict: OnConflict = "keep"
    ) -> None:
        if on_conflict not in _CONFLICTS:
            msg = f"Unique(on_conflict=…) is 'keep', 'replace' or 'reject', not {on_conflict!r}"
            raise ValueError(msg)
        until = _STATES.get(for_, "period") if isinstance(for_, str) else "period"
        _fill(self, until, on_conflict, key, _period("Unique", for_) if until == "period" else 0.0, 0.0, 0.0)

    @classmethod
    def throttle(cls, period: Delay | str, *, key: Key | None = None) -> "Unique":
        """The first call runs; those that follow it within the period are duplicates of it.

        The same as ``Unique(period)``, by the name that people look for.
        """
        return cls(_period("Unique.throttle", period), key=key)

    @classmethod
    def debounce(cls, wait: Delay | str, *, max_wait: Delay | str, key: Key | None = None) -> "Unique":
        """The last call of a burst runs: each puts its arguments in place and moves the due time.

        Args:
            wait: the job is due when so long no call has come.
            max_wait: but at the latest so long after the first, or a steady stream would never run.
            key: what makes calls the same; give one: calls with other arguments are other calls without it.
        """
        made = cls.__new__(cls)
        wait_s, max_wait_s = _period("Unique.debounce", wait), _period("Unique.debounce", max_wait)
        if max_wait_s < wait_s:
            msg = (
                f"Unique.debounce: max_wait ({max_wait_s:g} s) is shorter than the wait itself ({wait_s:g} s)"
            )
            raise ValueError(msg)
        _fill(made, "started", "replace", key, 0.0, wait_s, max_wait_s)
        return made

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse a key that asks for what is none of the task's parameters.

        Raises:
            ValueError: names what it asks for, and the parameters.
        """
        template = self.key if isinstance(self.key, str) else ""
        refuse_unknown("Unique(key=…)", template, (self.key,), parameters)

    def claim(self, task: str, queue: str, named: Mapping[str, Any]) -> Sole:
        """Say what one call asks for.

        Raises:
            InvalidArguments: they give no key, or have no exact form.
        """
        return Sole(
            self._digest(task, queue, named),
            self.until,
            self.on_conflict,
            round(self.period_s * 1000),
            round(self.wait_s * 1000),
            round(self.max_wait_s * 1000),
        )

    def _digest(self, task: str, queue: str, named: Mapping[str, Any]) -> str:
        try:
            if self.key is None:
                return digest(f"{queue}\0{task}\0arguments", named)
            key = call(self.key, named) if callable(self.key) else name_of(self.key, None, named)
            if key is None or key in ("", b"", ()):
                msg = f"it is {key!r}, and would make all calls the same"
                raise ValueError(msg)
            return digest(f"{queue}\0{task}\0key", key)
        except NotEncodable as error:
            msg = f"task '{task}' is unique by what has no exact form: {error}"
            raise InvalidArguments(msg) from error
        except Exception as error:
            msg = f"task '{task}': its Unique(key=…) cannot be made of its arguments: {error}"
            raise InvalidArguments(msg) from error


def _fill(
    made: Unique,
    until: Until,
    on_conflict: OnConflict,
    key: Key | None,
    period_s: float,
    wait_s: float,
    max_wait_s: float,
) -> None:
    if key is not None and not callable(key) and not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        msg = f"Unique(key=…) is a template or a function of the task's arguments, not {key!r}"
        raise TypeError(msg)
    values = (until, on_conflict, key, period_s, wait_s, max_wait_s)
    for name, value in zip(made.__slots__, values, strict=True):
        object.__setattr__(made, name, value)


def _period(where: str, value: Delay | str) -> float:
    """Give a span in seconds that has a millisecond at least."""
    try:
        given = span(value)
    except (TypeError, ValueError):
        is_state = "'until_done', 'until_started', or " if where == "Unique" else ""
        msg = f"{where} takes {is_state}a span of time such as '1h' or '30s', not {value!r}"
        raise ValueError(msg) from None
    if given < 0.001:
        msg = f"{where}: a span of time is a millisecond or more, not {value!r}"
        raise ValueError(msg)
    return given


__all__ = ["OnConflict", "Sole", "Unique", "Until"]
