"""Putting workflows together: ``chain``, ``group``, ``chord``, nested in any way."""

from collections.abc import Iterable
from typing import Any, TypeVar, overload

from ..errors import InvalidJob
from ..parts import Chain, Group, OnError, Part
from ..tasks import Task

X = TypeVar("X")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
R = TypeVar("R")


@overload
def chain(first: Part[X, A], /) -> Part[X, A]: ...
@overload
def chain(first: Part[X, A], second: Part[A, B], /) -> Part[X, B]: ...
@overload
def chain(first: Part[X, A], second: Part[A, B], third: Part[B, C], /) -> Part[X, C]: ...
@overload
def chain(first: Part[X, A], second: Part[A, B], third: Part[B, C], fourth: Part[C, D], /) -> Part[X, D]: ...
@overload
def chain(
    first: Part[X, A], second: Part[A, B], third: Part[B, C], fourth: Part[C, D], fifth: Part[D, E], /
) -> Part[X, E]: ...
@overload
def chain(
    first: Part[X, A],
    second: Part[A, B],
    third: Part[B, C],
    fourth: Part[C, D],
    fifth: Part[D, E],
    sixth: Part[E, R],
    /,
) -> Part[X, R]: ...
@overload
def chain(
    first: Part[X, Any],
    second: Part[Any, Any],
    third: Part[Any, Any],
    fourth: Part[Any, Any],
    fifth: Part[Any, Any],
    sixth: Part[Any, Any],
    seventh: Part[Any, Any],
    /,
    *parts: Part[Any, Any],
) -> Part[X, Any]: ...
def chain(*parts: Any) -> Part[Any, Any]:
    """Run parts one after the other; each gets the result of the one before as its first argument.

    Raises:
        InvalidJob: there is none, or something is no part.
    """
    if not parts:
        msg = "a chain needs at least one part: there is no result it could have"
        raise InvalidJob(msg)
    return Chain(_checked("chain", parts))


@overload
def group(parts: Iterable[Part[X, R]], /) -> Part[X, list[R]]: ...
@overload
def group(*parts: Part[X, R]) -> Part[X, list[R]]: ...
def group(*parts: Any) -> Part[Any, Any]:
    """Run parts at the same time; the result is the list of theirs, in the order given here.

    Inside a chain each of them gets the result of what comes before. A group of none ends at once, with [].

    Raises:
        InvalidJob: something is no part.
    """
    return Group(_checked("group", parts[0] if len(parts) == 1 and not isinstance(parts[0], Part) else parts))


def chord(header: Iterable[Part[X, A]], callback: Part[Any, R], *, error: OnError = "fail") -> Part[X, R]:
    """Run the header as a group, and then the callback, once, with the list of all results.

    Args:
        header: parts that run at the same time; of none, the callback runs at once with [].
        callback: what follows.
        error: ``fail``: a part of the header that dies fails the workflow; ``collect``: the callback runs all
            the same and gets a NodeOutcome of each, in the header's order.

    Raises:
        InvalidJob: something is no part, or ``error`` is none of the two.
    """
    if error not in ("fail", "collect"):
        msg = f"chord(error=…) is 'fail' or 'collect', not {error!r}"
        raise InvalidJob(msg)
    return Chain((Group(_checked("chord", header), error), *_checked("chord", (callback,))))


def _checked(what: str, parts: Iterable[Any]) -> tuple[Part[Any, Any], ...]:
    made = tuple(parts)
    for number, part in enumerate(made, 1):
        if not isinstance(part, Part):
            cure = "a part is a call, as task.call(…), or made by chain, group or chord"
            said = f"the task {part.name!r}" if isinstance(part, Task) else repr(part)[:200]
            msg = f"part {number} of the {what} is {said}; {cure}"
            raise InvalidJob(msg)
    return made
