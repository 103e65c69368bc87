"""What a task declares about its effects: that they happen once (Idempotency), or one at a time (Lock).

@task(idempotency=Idempotency(key=lambda order_id, amount: order_id, ttl="30d"))
@task(lock=Lock("sync:{user_id}", on_busy="skip"))
"""

import inspect
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from .errors import Delay, InvalidArguments, seconds
from .fingerprint import digest
from .json_values import NotEncodable

Named = Mapping[str, Any]
"""The arguments of a call by their parameters' names, defaults filled in."""

DEFAULT_TTL_S = 30 * 86_400.0
SKIPPED = {"status": "skipped", "reason": "already_running"}
MAX_NAME = 512
_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True, init=False)
class Idempotency:
    """The effect of a call happens once for each key, however many jobs ask for it.

    Attributes:
        key: gives the key out of the task's arguments, by their names; None: the arguments themselves are the
            key. It must give the same for the same effect: no time, no random, nothing of the attempt.
        wanted: the parameters the key function takes; None for all.
        ttl_s: how long a result is remembered, from when it was made. Never shorter than dead letters are
            kept (``dead.keep``): a replay after it would make the effect again.
        wait_s: how long a second caller waits, in its slot, for the first one's result before it is snoozed.
    """

    key: Callable[..., Any] | None
    wanted: tuple[str, ...] | None
    ttl_s: float
    wait_s: float

    def __init__(
        self,
        key: Callable[..., Any] | None = None,
        *,
        ttl: Delay | str = DEFAULT_TTL_S,
        wait: Delay | str = 5.0,
    ) -> None:
        if key is not None and not callable(key):
            msg = f"Idempotency(key=…) is a function of the task's arguments, not {key!r}"
            raise TypeError(msg)
        object.__setattr__(self, "key", key)
        object.__setattr__(self, "wanted", _wanted(key))
        object.__setattr__(self, "ttl_s", _above_zero("Idempotency(ttl=…)", ttl))
        object.__setattr__(self, "wait_s", span(wait))

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse a key function that asks for what is none of the task's parameters.

        Raises:
            ValueError: names what it asks for.
        """
        known = list(parameters)
        if unknown := [name for name in self.wanted or () if name not in known]:
            has = ", ".join(known) or "none"
            msg = (
                f"Idempotency(key=…) takes '{unknown[0]}', which is not one of the task's parameters ({has})"
            )
            raise ValueError(msg)

    def identify(self, task: str, named: Named) -> tuple[str, str]:
        """Give the digest of a call's key, and the fingerprint that other calls of that key must have.

        Raises:
            InvalidArguments: the key function raised or gave nothing, or a value has no canonical form.
        """
        try:
            arguments = digest(task, named)
        except NotEncodable as error:
            msg = f"task '{task}' is idempotent by its arguments, and one of them has no exact form: {error}"
            raise InvalidArguments(msg) from error
        if self.key is None:
            return arguments, ""  # the arguments are the key: nothing can differ
        try:
            key = self.key(**(named if self.wanted is None else {name: named[name] for name in self.wanted}))
        except Exception as error:
            msg = f"task '{task}': its idempotency key function raised {type(error).__name__}: {error}"
            raise InvalidArguments(msg) from error
        return digest_of_key(task, key), arguments


@dataclass(frozen=True, slots=True, init=False)
class Lock:
    """Jobs whose lock has the same name run one at a time.

    Attributes:
        name: may hold the task's parameters in braces: ``sync:{user_id}``.
        on_busy: ``skip`` ends the job as succeeded with SKIPPED as its result;
            ``snooze`` tries again later and leaves its slot; ``wait`` waits in its slot, in turn.
        wait_s: longest wait before ``wait`` becomes a snooze.
    """

    name: str
    on_busy: Literal["skip", "snooze", "wait"]
    wait_s: float

    def __init__(
        self, name: str, *, on_busy: Literal["skip", "snooze", "wait"] = "wait", wait: Delay | str = 30.0
    ) -> None:
        if on_busy not in ("skip", "snooze", "wait"):
            msg = f"Lock(on_busy=…) is 'skip', 'snooze' or 'wait', not {on_busy!r}"
            raise ValueError(msg)
        object.__setattr__(self, "name", checked_name(name))
        object.__setattr__(self, "on_busy", on_busy)
        object.__setattr__(self, "wait_s", span(wait))

    @property
    def may_wait(self) -> bool:
        """Whether a job waits in its slot."""
        return self.on_busy == "wait" and self.wait_s > 0

    def check(self, parameters: Iterable[str]) -> None:
        """Refuse a name with a field that is none of the task's parameters.

        Raises:
            ValueError: names the field and the parameters.
        """
        known = list(parameters)
        for field in _fields(self.name):
            root = re.split(r"[.\[]", field, maxsplit=1)[0]
            if root not in known:
                has = ", ".join(known) or "none"
                msg = f"Lock({self.name!r}): '{{{field}}}' is not one of the task's parameters ({has})"
                raise ValueError(msg)

    def name_for(self, task: str, named: Named) -> str:
        """Give the name for one call.

        Raises:
            InvalidArguments: it cannot be made of these arguments.
        """
        try:
            return checked_name(self.name.format_map(named))
        except Exception as error:
            msg = f"task '{task}': the lock name {self.name!r} cannot be made of its arguments: {error}"
            raise InvalidArguments(msg) from error


def digest_of_key(scope: str, key: Any) -> str:
    """Give the digest of a key that somebody chose.

    Raises:
        InvalidArguments: it is None or empty, or has no canonical form.
    """
    if key is None or key in ("", b"", ()):
        msg = f"'{scope}': the idempotency key is {key!r}: a key names the one effect, so it cannot be empty"
        raise InvalidArguments(msg)
    try:
        return digest(f"{scope} key", key)
    except NotEncodable as error:
        msg = f"'{scope}': the idempotency key has no exact form: {error}"
        raise InvalidArguments(msg) from error


def checked_name(name: str) -> str:
    """Refuse what cannot name a lock.

    Raises:
        ValueError: says why.
    """
    if not name or len(name) > MAX_NAME or not name.isprintable():
        msg = f"a lock's name is 1 to {MAX_NAME} printable characters, not {name[:40]!r}"
        raise ValueError(msg)
    return name


def span(value: Delay | str) -> float:
    """Give a span in seconds; text is a number and a unit, such as ``30d``.

    Raises:
        ValueError: it is no span.
    """
    if not isinstance(value, str):
        return seconds(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
    if match is None:
        msg = f"a span of time is seconds, a timedelta, or text such as '30d' or '90s', not {value!r}"
        raise ValueError(msg)
    return float(match[1]) * _UNITS[match[2]]


def _above_zero(what: str, value: float | timedelta | str) -> float:
    if (given := span(value)) <= 0:
        msg = f"{what} must be more than 0 seconds"
        raise ValueError(msg)
    return given


def _wanted(key: Callable[..., Any] | None) -> tuple[str, ...] | None:
    if key is None:
        return None
    parameters = inspect.signature(key).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL)


def _fields(name: str) -> list[str]:
    found = [field for _, field, _, _ in string.Formatter().parse(name) if field is not None]
    if any(field == "" or field[0].isdigit() for field in found):
        msg = f"Lock({name!r}): name the parameter inside the braces, such as {{user_id}}"
        raise ValueError(msg)
    return found
