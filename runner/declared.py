"""What the options of a task are checked for."""

import inspect
from collections.abc import Mapping
from typing import Any

from .effects import Idempotency, Lock
from .unique import Unique

_KINDS: Mapping[str, type[Idempotency | Lock | Unique]] = {
    "idempotency": Idempotency,
    "lock": Lock,
    "unique": Unique,
}


def check_declared(made: Any) -> None:
    """Refuse what a task declares that is of the wrong kind, or does not go with its parameters or the rest.

    Args:
        made: the task.

    Raises:
        TypeError: of the wrong kind.
        ValueError: does not fit.
    """
    names = made.parameters.names
    for option, kind in _KINDS.items():
        declared = getattr(made, option)
        if declared is not None and not isinstance(declared, kind):
            msg = f"{option}= is made by {kind.__name__}(…), not {declared!r}"
            raise TypeError(msg)
        if declared is not None:
            declared.check(names)
    for each in (made.laning, *made.rate_limits, *made.breakers):
        each.check(names)
    hard_s, soft_s = made.timeout_s, made.soft_timeout_s
    if hard_s is not None and soft_s is not None and soft_s >= hard_s:
        msg = f"soft_timeout ({soft_s:g} s) must be shorter than timeout ({hard_s:g} s)"
        raise ValueError(msg)


def checked_follower(on_dead: Any, kind: type) -> Any:
    """Refuse what cannot follow a death; a TypeError. ``kind`` is what a task is."""
    if on_dead is None:
        return None
    if not isinstance(on_dead, kind):
        msg = f"on_dead= is a task, made by @task, not {on_dead!r}"
        raise TypeError(msg)
    follower: Any = on_dead
    try:
        inspect.signature(follower.fn).bind(None, {})
    except TypeError as error:
        msg = f"on_dead={follower.name} must take one argument after ctx, a dict: {error}"
        raise TypeError(msg) from None
    return follower


def described(fn: Any) -> str:
    """Say what something is that is no coroutine function, and the cure."""
    if inspect.isasyncgenfunction(fn):
        return "an async generator: it must return, not yield"
    if inspect.isfunction(fn):
        return f"the plain function {fn.__qualname__}: put 'async' before its 'def'"
    return f"{type(fn).__name__} {fn!r}"
