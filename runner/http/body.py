"""A payload as it is stored: fixed at enqueue, so that every attempt signs and sends the same bytes."""

import base64
import json
from typing import Any

_BYTES = "$base64"


def freeze(payload: Any) -> str | dict[str, str]:
    """Give the payload in the form that is stored.

    A dict, list or tuple becomes JSON text; text stays; bytes become text, or ``{"$base64": …}`` when they
    are not UTF-8. What is frozen already stays as it is.

    Raises:
        ValueError: it is of another type, or JSON cannot carry it.
    """
    match payload:
        case str():
            text = payload
        case bytes():
            try:
                return payload.decode()
            except UnicodeDecodeError:
                return {_BYTES: base64.b64encode(payload).decode()}
        case {"$base64": str()} if len(payload) == 1:
            body_of(payload)
            return payload
        case dict() | list() | tuple():
            text = _json(payload)
        case _:
            msg = f"payload: expected a dict, a list, text or bytes, not {type(payload).__name__}"
            raise ValueError(msg)
    _utf8(text)
    return text


def body_of(payload: Any) -> bytes:
    """Give the bytes to send: from a frozen payload, or from a plain one that nobody froze.

    Raises:
        ValueError: as ``freeze``, or what is called base64 is not.
    """
    match payload:
        case {"$base64": str(coded)} if len(payload) == 1:
            try:
                return base64.b64decode(coded, validate=True)
            except ValueError:
                msg = f"payload: what stands under {_BYTES!r} is not base64"
                raise ValueError(msg) from None
        case str():
            return _utf8(payload)
        case _:
            return body_of(freeze(payload))


def _json(payload: Any) -> str:
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"payload: cannot be JSON: {error}"
        raise ValueError(msg) from None


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        msg = "payload: has half a surrogate pair in it, which UTF-8 cannot carry"
        raise ValueError(msg) from None
