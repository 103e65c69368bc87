"""What JSON can carry, and what it would silently change."""

import math
from typing import Any

import msgspec

MAX_DEPTH = 64


class NotEncodable(ValueError):
    """A value that JSON cannot carry, with the path to it."""


def encode_rich(value: Any) -> Any:
    """Turn what msgspec does not know into what it does (pydantic models).

    Raises:
        NotEncodable: nothing here knows the type.
    """
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    msg = f"{type(value).__qualname__} cannot be encoded as JSON"
    raise NotEncodable(msg)


def decode_rich(kind: Any, value: Any) -> Any:
    """Build what msgspec does not know out of plain JSON (pydantic models)."""
    validate = getattr(kind, "model_validate", None)
    if validate is not None:
        return validate(value)
    msg = f"{kind!r} cannot be made from JSON"
    raise TypeError(msg)


def refuse_inexact(value: Any, depth: int = 0, *, text_keys: bool = False) -> None:
    """Refuse what JSON would silently change: NaN and infinities, and nesting beyond MAX_DEPTH.

    Args:
        value: anything.
        depth: how deep it lies.
        text_keys: refuse other keys than text too: nothing says what to make of them at the other end.

    Raises:
        NotEncodable: says what was found.
        TypeError: there is something in it that nothing here can encode.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"{value!r} has no JSON form"
            raise NotEncodable(msg)
        return
    if depth >= MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH}"
        raise NotEncodable(msg)
    if isinstance(value, dict):
        if text_keys:
            _refuse_odd_keys(value)
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        value = (msgspec.to_builtins(value, enc_hook=encode_rich),)
    for item in value:
        refuse_inexact(item, depth + 1, text_keys=text_keys)


def _refuse_odd_keys(value: dict[Any, Any]) -> None:
    for key in value:
        if not isinstance(key, str):
            cure = "use text, or annotate the parameter, as dict[int, str]"
            msg = f"the key {key!r} would arrive as text: {cure}"
            raise NotEncodable(msg)
