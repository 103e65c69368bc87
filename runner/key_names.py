"""Names made out of a call's arguments: of buckets and gates, ``host:{url.host}`` or by a function.

Fields in braces are the task's parameters, their attributes and items; of a URL that is text also ``host``,
``port`` and ``scheme``.
"""

import inspect
import re
import string
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from .errors import InvalidArguments

MAX_BUCKET = 200
"""A bucket whose name is longer in bytes goes by its digest, so keys stay small whatever callers send."""


T = TypeVar("T")
Key = Callable[..., Any]
"""Gives what tells names apart out of the task's arguments, by their names."""


def name_of(template: str, key: Key | None, named: Mapping[str, Any]) -> str:
    """Make the name of one call; raises whatever the arguments make of it."""
    name = _NAMES.vformat(template, (), named) if "{" in template or "}" in template else template
    return bucket_of(name if key is None else f"{name}:{call(key, named)}")


def refuse_unknown(where: str, template: str, functions: Iterable[Any], parameters: Iterable[str]) -> None:
    """Refuse fields and functions that ask for what is none of the task's parameters.

    Raises:
        ValueError: names what it asks for, and the parameters.
    """
    known = list(parameters)
    asked = [re.split(r"[.\[]", field, maxsplit=1)[0] for field in fields_of(template)]
    for function in functions:
        asked += _wanted(function) or () if callable(function) else ()
    if unknown := [name for name in asked if name not in known]:
        has = ", ".join(known) or "none"
        msg = f"{where}: '{unknown[0]}' is not one of the task's parameters ({has})"
        raise ValueError(msg)


def one_or_more(option: str, kind: type[T], declared: object) -> tuple[T, ...]:
    """Give what an option of ``@task`` names: one of a kind, or several.

    Raises:
        TypeError: there is something else among them.
    """
    is_one = isinstance(declared, str) or not isinstance(declared, Iterable)
    given = (declared,) if is_one else tuple(cast("Iterable[object]", declared))
    for each in given:
        if not isinstance(each, kind):
            msg = f"{option}= is a {kind.__name__} or a list of them, not {each!r}"
            raise TypeError(msg)
    return cast("tuple[T, ...]", given)


def checked_limit(name: str) -> str:
    """Refuse what cannot name a limit.

    Raises:
        ValueError: says why.
    """
    if not name or len(name) > MAX_BUCKET or not name.isprintable():
        msg = f"a limit's name is 1 to {MAX_BUCKET} printable characters, not {name[:40]!r}"
        raise ValueError(msg)
    return name


def bucket_of(name: str) -> str:
    """Give the name a bucket has on the server.

    Raises:
        InvalidArguments: it is text that cannot be encoded (a lone surrogate).
    """
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        msg = f"the name of a bucket cannot be encoded: {error}"
        raise InvalidArguments(msg) from error
    return name if len(encoded) <= MAX_BUCKET else f"sha256:{sha256(encoded).hexdigest()}"


class _Names(string.Formatter):
    """Fields of a name: arguments, their attributes and items, and the parts of a URL that is text."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        root, dot, part = field_name.partition(".")
        value = kwargs.get(root)
        if dot and isinstance(value, str) and part in _PARTS:
            found = getattr(urlsplit(value), _PARTS[part])
            if found is None:
                msg = f"'{root}' is no URL with a {part}: {value[:80]!r}"
                raise ValueError(msg)
            return found, root
        return super().get_field(field_name, args, kwargs)


_NAMES = _Names()
_PARTS = {"host": "hostname", "port": "port", "scheme": "scheme"}


def fields_of(name: str) -> list[str]:
    """Give the fields in braces.

    Raises:
        ValueError: a brace is left open, or a field has no name.
    """
    found = [field for _, field, _, _ in string.Formatter().parse(name) if field is not None]
    if any(field == "" or field[0].isdigit() for field in found):
        msg = "name the parameter inside the braces, such as {tenant}"
        raise ValueError(msg)
    return found


def call(function: Callable[..., Any], named: Mapping[str, Any]) -> Any:
    """Call a function with those of the arguments that it takes."""
    wanted = _wanted(function)
    return function(**(named if wanted is None else {name: named[name] for name in wanted}))


def _wanted(function: Callable[..., Any]) -> tuple[str, ...] | None:
    """Give the names a function takes; None for any. Each job asks, so they are kept."""
    try:
        return _names_of(function)
    except TypeError:  # one that cannot be hashed
        return _names_of.__wrapped__(function)


@lru_cache(maxsize=1000)
def _names_of(function: Callable[..., Any]) -> tuple[str, ...] | None:
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None
    return tuple(p.name for p in parameters if p.kind is not inspect.Parameter.VAR_POSITIONAL)
