"""Changes to a job's arguments on replay, checked as at enqueue."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from ..declared import upcasted
from ..errors import InvalidArguments
from ..json_values import encode_rich
from ..registry import Registry
from ..tasks import Task
from ..wire import codec
from .letter import parse


class Editable(Protocol):
    """A letter, or a job that waits; attributes as ``Letter`` has them."""

    @property
    def id(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def payload(self) -> bytes | None: ...
    @property
    def args(self) -> Sequence[Any] | None: ...
    @property
    def kwargs(self) -> Mapping[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Edit:
    """What changes; all values are plain JSON and are checked against the task's types.

    Attributes:
        values: new values of single parameters, by name.
        args: all positional arguments anew; None to keep them.
        kwargs: all keyword arguments anew; None to keep them.
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None


def edited_payload(letter: Editable, edit: Edit, registry: Registry) -> bytes:
    """Give the payload with changed arguments; all its other fields stay as they are.

    Raises:
        InvalidArguments: the task is not known here, or the arguments do not fit it.
    """
    task = registry.get(letter.task)
    if task is None:
        known = ", ".join(sorted(t.name for t in registry)) or "none"
        msg = f"task '{letter.task}' is not known here, so its arguments cannot be checked; known: {known}"
        raise InvalidArguments(msg)
    if letter.payload is None or letter.args is None:
        msg = f"the payload of job '{letter.id}' cannot be read, so it cannot be edited"
        raise InvalidArguments(msg)
    meta = _raw(letter.payload, "m")
    args, kwargs = list(letter.args), dict(letter.kwargs or {})
    if edit.args is None or edit.kwargs is None:
        args, kwargs = upcasted(task, args, kwargs, meta.get("r", 1))
    args = args if edit.args is None else list(edit.args)
    kwargs = kwargs if edit.kwargs is None else dict(edit.kwargs)
    args, kwargs = _changed(task, args, kwargs, edit.values)
    rebuilt, named = task.parameters.rebuild(task.name, args, kwargs)
    checked, checked_named = task.check(tuple(rebuilt), named)
    return _with(
        letter.payload,
        a=msgspec.json.encode(list(checked), enc_hook=encode_rich),
        k=msgspec.json.encode(checked_named, enc_hook=encode_rich),
        **({"m": msgspec.json.encode({**meta, "r": task.version})} if task.version > 1 else {}),
    )


def without_expiry(payload: bytes | None) -> bytes:
    """Give the payload without its ``expires``, or nothing when it has none or is unreadable."""
    try:
        job = codec.decode_job(payload or b"")
    except ValueError:
        return b""
    if payload is None or job.m is None or not job.m.x:
        return b""
    meta = {name: value for name, value in _raw(payload, "m").items() if name != "x"}
    return _with(payload, m=msgspec.json.encode(meta))


def _changed(
    task: Task[..., Any], args: list[Any], kwargs: dict[str, Any], values: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Put single values in place by the names of their parameters."""
    if not values:
        return args, kwargs
    signature = _signature(task)
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError as error:
        msg = f"task '{task.name}' takes {signature}: {error}; give all arguments anew"
        raise InvalidArguments(msg) from None
    kinds = {p.kind: p.name for p in signature.parameters.values()}
    rest = kinds.get(inspect.Parameter.VAR_KEYWORD)
    singles = [p.name for p in signature.parameters.values() if p.kind not in _VARIADIC]
    for name, value in values.items():
        if name in singles:
            bound.arguments[name] = value
        elif rest is not None:
            bound.arguments.setdefault(rest, {})[name] = value
        else:
            msg = f"task '{task.name}' has no parameter '{name}'; it takes {signature}"
            raise InvalidArguments(msg)
    return list(bound.args), dict(bound.kwargs)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _signature(task: Task[..., Any]) -> inspect.Signature:
    parameters = list(inspect.signature(task.fn).parameters.values())
    takes_ctx_by_star = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
    return inspect.Signature(parameters if takes_ctx_by_star else parameters[1:])


def _raw(payload: bytes, name: str) -> dict[str, Any]:
    return parse(bytes(msgspec.json.decode(payload, type=dict[str, msgspec.Raw])[name]))


def _with(payload: bytes, **parts: bytes) -> bytes:
    fields = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**fields, **{name: msgspec.Raw(part) for name, part in parts.items()}})
