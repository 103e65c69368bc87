"""Values to digests: two calls are the same call when their canonical forms are the same bytes.

The canonical form is JSON with sorted keys in which nothing is lost: 1, 1.0, "1" and Decimal("1") differ, so
do Decimal("1.0") and Decimal("1.00"), and a datetime keeps its offset. What JSON has no form for is written
as an object with one key that begins with "$"; a user's own keys that begin so get another "$" in front.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from .json_values import MAX_DEPTH, NotEncodable, encode_rich, refuse_inexact

_AS_TEXT: dict[type, str] = {Decimal: "$decimal", UUID: "$uuid", timedelta: "$timedelta"}
_AS_ISO = (datetime, date, time)
_PLAIN = frozenset({str, int, bool, type(None)})
_encode = msgspec.json.Encoder(order="sorted").encode


def digest(scope: str, value: Any) -> str:
    """Give the SHA-256 of a scope and a value's canonical form, as 64 hex digits.

    Raises:
        NotEncodable: names the type that has no canonical form.
    """
    return hashlib.sha256(b"%s\0%s" % (scope.encode(), canonical(value))).hexdigest()


def canonical(value: Any) -> bytes:
    """Give the canonical form of a value.

    Raises:
        NotEncodable: names the type that has none, or says NaN, infinite, too deep.
    """
    if type(value) is dict:
        for key, item in value.items():
            if type(item) not in _PLAIN or type(key) is not str:
                break
        else:
            form = _encode(
                value
            )  # the arguments of most calls: nothing to translate, unless a key needs its "$"
            if b'"$' not in form:
                return form
    return _encode(_exact(value, 0))


def _exact(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        msg = f"nested deeper than {MAX_DEPTH}"
        raise NotEncodable(msg)
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        refuse_inexact(value)
        return value
    if kind in _AS_TEXT:
        return {_AS_TEXT[kind]: str(value)}
    if kind in _AS_ISO:
        return {f"${kind.__name__}": value.isoformat()}
    if kind in (bytes, bytearray):
        return {"$bytes": value.hex()}
    return _exact_container(value, kind, depth + 1)


def _exact_container(value: Any, kind: type, depth: int) -> Any:
    if kind in (list, tuple):
        return [_exact(item, depth) for item in value]
    if isinstance(value, Mapping):
        return _exact_mapping(value, depth)
    if isinstance(value, set | frozenset):
        return {"$set": sorted(_encode(_exact(item, depth)).decode() for item in value)}
    if isinstance(value, Enum):
        content = value.value
    elif is_dataclass(kind):
        content = {field.name: getattr(value, field.name) for field in fields(kind)}
    elif isinstance(value, msgspec.Struct):
        content = {name: getattr(value, name) for name in kind.__struct_fields__}
    else:
        content = encode_rich(value)
    return {f"$class {kind.__qualname__}": _exact(content, depth)}


def _exact_mapping(value: Mapping[Any, Any], depth: int) -> Any:
    if all(type(key) is str for key in value):
        return {"$" + key if key[:1] == "$" else key: _exact(item, depth) for key, item in value.items()}
    pairs = ([_encode(_exact(key, depth)).decode(), _exact(item, depth)] for key, item in value.items())
    return {"$map": sorted(pairs, key=lambda pair: pair[0])}
