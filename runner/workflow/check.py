"""Whether the parts of a workflow fit together, before anything of it is written.

What a part gives must be what the next one takes. Types are compared by the JSON they travel as, and only
what can never fit is refused: what is not annotated fits everything.
"""

import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from ..arguments import FED
from ..errors import InvalidArguments, InvalidJob, InvalidTask
from ..parts import Chain, Group, Part, Saga, Step
from ..registry import Registry
from ..results import Results
from ..tasks import Task

_SORTS: Mapping[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (float,),
    "text": (str, bytes, datetime, date, time, timedelta, UUID, Decimal),
    "array": (list, tuple, set, frozenset, Results),
    "object": (Mapping,),
}
"""The sorts of JSON that values travel as."""


class Given(NamedTuple):
    """What comes before a part: its annotation, and what to call it in errors."""

    kind: Any
    name: str


def check_parts(part: Part[Any, Any], registry: Registry, before: Given | None = None) -> Given:
    """Check every call of a workflow; gives what the workflow gives.

    A registry of none is that of a process which only starts workflows: workers say whether they know a task.

    Raises:
        InvalidTask: a call is of something that is no task, or of none that is registered where any is.
        InvalidArguments: arguments do not fit, or a result does not fit the task that would get it.
        InvalidJob: a placement that a node cannot have.
    """
    match part:
        case Step() as call:
            return _check_call(call, registry, before)
        case Chain(parts):
            for each in parts[:-1]:
                before = check_parts(each, registry, before)
            return check_parts(parts[-1], registry, before)
        case Group(parts, error):
            given = [check_parts(each, registry, before) for each in parts]
            kinds = {each.kind for each in given if _is_hashable(each.kind)}
            is_one = error == "fail" and len(kinds) == 1
            name = given[0].name if is_one else "none"
            return Given(list[next(iter(kinds))] if is_one else list, f"a group of {name}")
        case Saga():
            msg = "a saga is a workflow of its own, no part of another: let a step of one start the other"
            raise InvalidJob(msg)
        case _:
            msg = f"{part!r} is no part of a workflow: use task.call(…), chain, group and chord"
            raise InvalidJob(msg)


def _check_call(call: Step[Any, Any], registry: Registry, before: Given | None) -> Given:
    task: Any = call.task
    if not isinstance(task, Task):
        msg = f"a workflow calls tasks, not {task!r}: put @task above its 'async def'"
        raise InvalidTask(msg)
    if len(registry) and registry.get(task.name) is None:
        cure = "name its module in settings.toml, tasks = […], or pass Runner(tasks=[…])"
        msg = f"task '{task.name}' is not registered: {cure}"
        raise InvalidTask(msg)
    if task.placement.key is not None:
        cure = "leave key= out, and give start(…, id=…)"
        msg = f"task '{task.name}': a node's id is made of its workflow's; {cure}"
        raise InvalidJob(msg)
    if before is None or call.is_fixed:
        task.check(call.args, call.kwargs)
    else:
        _check_fed(task, call, before)
    return Given(task.parameters.converters["return"].kind, f"task '{task.name}'")


def _check_fed(task: Task[..., Any], call: Step[Any, Any], before: Given) -> None:
    if task.prepare is not None:
        why = "its arguments are prepared when it is enqueued"
        msg = f"task '{task.name}' cannot take the result of {before.name}: {why}; use .call(…).fixed()"
        raise InvalidArguments(msg)
    try:
        task.parameters.check(task.name, (FED, *call.args), call.kwargs)
    except InvalidArguments as error:
        cure = f"its first argument is the result of {before.name}; use .fixed() if it shall not be passed on"
        raise InvalidArguments(f"{error} ({cure})") from error
    first = task.parameters.names[0]
    wanted = task.parameters.converters[first].kind
    if not fits(before.kind, wanted):
        gives, takes = f"{before.name} gives {_name(before.kind)}", f"takes {_name(wanted)} as '{first}'"
        msg = f"{gives}, but task '{task.name}' after it {takes}"
        raise InvalidArguments(msg)


def fits(given: Any, wanted: Any) -> bool:
    """Say whether a value of one annotation may be one of another, after JSON and back."""
    if given is Any or wanted is Any or given == wanted:
        return True
    if _is_union(wanted) or _is_union(given):
        return any(fits(g, w) for g in _members(given) for w in _members(wanted))
    if _json(given) is None or _json(wanted) is None:
        return True
    if _json(given) != _json(wanted):
        return (given, wanted) == (int, float)
    if _json(given) == "array" and (g := _item(given)) is not None and (w := _item(wanted)) is not None:
        return fits(g, w)
    if _is_record(given) and _is_record(wanted):
        return issubclass(given, wanted) or issubclass(wanted, given)
    return True


def _json(kind: Any) -> str | None:
    """Give the sort of JSON an annotation travels as; None when that is not known."""
    kind = typing.get_origin(kind) or kind
    if kind is None or kind is type(None):
        return "null"
    if not isinstance(kind, type) or issubclass(kind, Enum):
        return None
    for name, kinds in _SORTS.items():
        if issubclass(kind, kinds):
            return name
    return "object" if _is_record(kind) else None


def _is_record(kind: Any) -> bool:
    marks = ("__dataclass_fields__", "__struct_fields__", "model_fields")
    return isinstance(kind, type) and any(hasattr(kind, mark) for mark in marks)


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if _is_union(kind) else (kind,)


def _item(kind: Any) -> Any:
    arguments = typing.get_args(kind)
    is_many = len(arguments) == 1 or (len(arguments) == 2 and arguments[1] is ...)
    return arguments[0] if is_many else None


def _is_hashable(kind: Any) -> bool:
    try:
        hash(kind)
    except TypeError:
        return False
    return True


def _name(kind: Any) -> str:
    is_plain = isinstance(kind, type) and not typing.get_args(kind)
    return kind.__name__ if is_plain else str(kind).replace("typing.", "")
