"""An exception as JSON, and back as the class it was: a task's policy judges errors by their classes.

What JSON cannot carry of an error is left out. A class that the worker has not imported, or cannot make
without what was left out, comes as JobFailed with its name and text.
"""

import sys
from typing import Any

import msgspec

from ..errors import JobFailed
from ..wire.codec import describe_error

_PLAIN = str | int | float | bool | None


class Told(msgspec.Struct):
    """An exception.

    Attributes:
        module: of its class.
        name: of its class, qualified.
        message: its text.
        traceback: as text.
        args: None when JSON cannot carry them.
        more: attributes, as far as JSON can carry them.
    """

    module: str
    name: str
    message: str
    traceback: str
    args: list[Any] | None
    more: dict[str, Any]


def tell(error: BaseException) -> Told:
    """Give an exception as JSON."""
    told, kind = describe_error(error), type(error)
    args = list(error.args) if all(isinstance(each, _PLAIN) for each in error.args) else None
    more = {name: value for name, value in vars(error).items() if isinstance(value, _PLAIN)}
    return Told(kind.__module__, kind.__qualname__, told.message, told.traceback, args, more)


def exception_of(told: Told) -> BaseException:
    """Give the exception; its notes hold the traceback of there."""
    try:
        error = _again(told)
    except Exception:  # noqa: BLE001 - whatever a class does when it is made in an unusual way
        name = told.name if told.module == "builtins" else f"{told.module}.{told.name}"
        return JobFailed(name, told.message, told.traceback)
    error.add_note(f"In the process that ran it:\n{told.traceback}")
    return error


def _again(told: Told) -> BaseException:
    found: Any = sys.modules[told.module]
    for name in told.name.split("."):
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, BaseException)) or told.args is None:
        raise TypeError(told.name)
    error = found.__new__(found, *told.args)
    error.args = tuple(told.args)
    vars(error).update(told.more)
    if str(error) != told.message:
        raise ValueError(told.name)
    return error
