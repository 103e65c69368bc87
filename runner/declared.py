"""What the options of a task are checked for."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

from .effects import Idempotency, Lock
from .errors import InvalidArguments
from .unique import Unique

OffLoop = Literal["thread", "process", "fresh"]
Isolation = Literal["loop"] | OffLoop
ISOLATIONS = ("loop", "thread", "process", "fresh")

Prepare = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
"""Called at enqueue with (args, kwargs); gives what is stored, or raises InvalidArguments."""

Upcast = Callable[[list[Any], dict[str, Any], int], tuple[list[Any], dict[str, Any]]]
"""Called with (args, kwargs, version) as plain JSON; gives them as the next version takes them."""

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


def check_body(fn: Any, isolation: Any) -> None:
    """Refuse what cannot run where it is to run.

    Raises:
        ValueError: there is no such isolation.
        TypeError: not a function of the right kind.
    """
    if isolation not in ISOLATIONS:
        msg = f"isolation= is one of {', '.join(ISOLATIONS)}, not {isolation!r}"
        raise ValueError(msg)
    is_plain = inspect.isfunction(fn) and not inspect.isgeneratorfunction(fn) and not _is_async(fn)
    if not inspect.iscoroutinefunction(fn) and (isolation == "loop" or not is_plain):
        msg = f"a task is an 'async def' function, not {_described(fn)}"
        raise TypeError(msg)


def checked_version(version: Any, upcast: Any) -> int:
    """Give a version back.

    Raises:
        TypeError: of the wrong kind.
        ValueError: it is none, or there is nothing to turn into it.
    """
    if type(version) is not int or version < 1:
        msg = f"version= is a whole number from 1, not {version!r}"
        raise ValueError(msg)
    if upcast is not None and not callable(upcast):
        msg = f"upcast= is a function (args, kwargs, version) -> (args, kwargs), not {upcast!r}"
        raise TypeError(msg)
    if upcast is not None and version == 1:
        msg = "upcast= needs a version= above 1: there is nothing older than version 1"
        raise ValueError(msg)
    return version


def upcasted(
    task: Any, args: list[Any], kwargs: dict[str, Any], version: int
) -> tuple[list[Any], dict[str, Any]]:
    """Give the arguments of a job, as plain JSON, in the form that a task takes them now.

    Raises:
        InvalidArguments: they are of a newer version, or its ``upcast`` raised or gave something else.
    """
    if version > task.version:
        msg = f"task '{task.name}': the arguments are of version {version}, and it is {task.version} here"
        raise InvalidArguments(msg)
    upcast: Upcast = task.upcast or (lambda args, kwargs, _: (args, kwargs))
    for each in range(version, task.version):
        try:
            args, kwargs = upcast(args, kwargs, each)
        except Exception as error:
            msg = f"task '{task.name}': upcast from version {each}: {type(error).__name__}: {error}"
            raise InvalidArguments(msg) from error
    return list(args), dict(kwargs)


def awaitable(fn: Any) -> Any:
    """Give the coroutine function itself, or one that calls a plain function, as tests by hand do."""
    if inspect.iscoroutinefunction(fn):
        return fn

    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return call


def _is_async(fn: Any) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)


def _described(fn: Any) -> str:
    """Say what something is that is no coroutine function, and the cure."""
    if inspect.isasyncgenfunction(fn):
        return "an async generator: it must return, not yield"
    if inspect.isfunction(fn):
        return (
            f"the plain function {fn.__qualname__}: put 'async' before its 'def', or give isolation='thread'"
        )
    return f"{type(fn).__name__} {fn!r}"
