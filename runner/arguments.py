"""What a task's signature says about its arguments and its result.

The rule both sides share: a value must survive JSON and come back as what the annotation names. Plain JSON
types are checked by ``isinstance``; richer ones (datetime, Decimal, UUID, bytes, dataclasses, pydantic models
and containers of them) are encoded and decoded again by the annotation, which is exactly what the worker will
do. A parameter without an annotation takes any JSON value and arrives as plain JSON.
"""

import inspect
import logging
import typing
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec

from .errors import InvalidArguments
from .json_values import decode_rich, encode_rich, refuse_inexact
from .results import Results

logger = logging.getLogger("runner")

FED: Any = object()
"""Stands for an argument that is not known yet: the result of an earlier node of a workflow."""

_PLAIN: dict[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (float, int),
    bool: (bool,),
    type(None): (type(None),),
    None: (type(None),),
}


class Converter:
    """Checks and rebuilds values of one annotation."""

    __slots__ = ("kind", "plain")

    def __init__(self, kind: Any) -> None:
        self.kind = kind
        self.plain = _plain_types(kind)

    @property
    def is_untyped(self) -> bool:
        """Whether any JSON value will do."""
        return self.kind is Any

    def check(self, value: Any) -> None:
        """Refuse a value that would not come back as what the annotation says.

        Raises:
            NotEncodable: JSON cannot carry it.
            TypeError: it is not of the annotated type.
        """
        refuse_inexact(value, text_keys=self.plain is not None or self.is_untyped)
        if self.plain is not None:
            if not isinstance(value, self.plain) or (type(value) is bool and bool not in self.plain):
                msg = f"expected {_name(self.kind)}, got {type(value).__name__} {_short(value)}"
                raise TypeError(msg)
        elif not self.is_untyped:
            self.rebuild(msgspec.json.decode(msgspec.json.encode(value, enc_hook=encode_rich)))

    def rebuild(self, value: Any) -> Any:
        """Give the annotated value out of plain JSON.

        Raises:
            TypeError: it does not fit.
        """
        if self.is_untyped or (self.plain is not None and isinstance(value, self.plain)):
            return value
        try:
            return msgspec.convert(value, self.kind, dec_hook=decode_rich, str_keys=True)
        except ValueError as error:
            said = f": {str(error).splitlines()[0]}"
            what = f", got {type(value).__name__}" if self.plain else said
            msg = f"expected {_name(self.kind)}{what}"
            raise TypeError(msg) from error


class ResultsConverter(Converter):
    """That of ``Results[…]``: out of a list, or out of what is read later."""

    __slots__ = ("_item",)

    def __init__(self, kind: Any) -> None:
        super().__init__(list)
        self._item = converter_of(next(iter(typing.get_args(kind)), Any))
        self.kind = kind

    def check(self, value: Any) -> None:
        """Refuse what is no list of the items."""
        super().check(value)
        for each in value:
            self._item.check(each)

    def rebuild(self, value: Any) -> Any:
        """Give Results; each is rebuilt when it is read."""
        results: Any = value if isinstance(value, Results) else Results[Any].of(super().rebuild(value))
        return results.rebuilt(self._item.rebuild)


def _plain_types(kind: Any) -> tuple[type, ...] | None:
    """Give the classes to test for, or None when isinstance is not enough."""
    if kind in (list, dict):
        return (list, tuple) if kind is list else (dict,)
    members = typing.get_args(kind) if typing.get_origin(kind) in _UNIONS else (kind,)
    try:
        found = [_PLAIN[m] for m in members]
    except (KeyError, TypeError):
        return None
    return tuple({t for group in found for t in group})


_UNIONS = (typing.Union, type(int | str))


def converter_of(kind: Any) -> Converter:
    """Make a Converter; an annotation msgspec cannot decode by counts as none."""
    if kind is inspect.Parameter.empty or kind is object:
        return Converter(Any)
    if (typing.get_origin(kind) or kind) is Results:
        return ResultsConverter(kind)
    try:
        msgspec.json.Decoder(kind, dec_hook=decode_rich)
    except (TypeError, NotImplementedError):
        return Converter(Any)
    return Converter(kind)


def result_converter(fn: Callable[..., Any]) -> Converter:
    """Make a Converter of what a function's annotation says it returns."""
    return converter_of(_annotation(fn, "return"))


_SIMPLE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameters:
    """The parameters of a task after its ``ctx``, and its result.

    Annotations are resolved at first use, so that a task may name classes defined below it.

    Attributes:
        names: of the parameters.
        are_fixed: whether it takes no others beside these: no ``*args``, no ``**kwargs``.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._signature = inspect.signature(fn)
        parameters = list(self._signature.parameters.values())
        if not parameters or parameters[0].kind not in (*_SIMPLE, inspect.Parameter.VAR_POSITIONAL):
            msg = "a task takes the context as its first parameter: async def task(ctx, …)"
            raise TypeError(msg)
        self._rest = parameters if parameters[0].kind is inspect.Parameter.VAR_POSITIONAL else parameters[1:]
        self._bindable = inspect.Signature(self._rest)
        self.names = tuple(p.name for p in self._rest)
        self._converters: dict[str, Converter] | None = None
        self._simple: list[Converter] | None = None
        self._least = sum(p.default is p.empty for p in self._rest)
        self.are_fixed = all(p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in self._rest)
        self._whole = len(self._rest) if all(p.kind in _SIMPLE for p in self._rest) else -1
        self._known = set(self.names)
        self._defaults = {p.name: p.default for p in self._rest if p.default is not p.empty}
        self._places = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in self._rest)
        self._is_nameable = all(p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in self._rest)

    def check(self, task: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that do not fit.

        Raises:
            InvalidArguments: names the task, the argument and what was expected.
        """
        self._visit(task, args, kwargs, check_only=True)

    def rebuild(self, task: str, args: list[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Give the arguments as annotated, out of plain JSON.

        Raises:
            InvalidArguments: names the task, the argument and what was expected.
        """
        return self._visit(task, args, kwargs, check_only=False)

    def delivered(
        self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """Give checked arguments as a worker will see them, after JSON and back."""
        plain = msgspec.json.decode(msgspec.json.encode((args, kwargs), enc_hook=encode_rich))
        return self.rebuild(task, *plain)

    def named(self, task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give arguments by their parameters' names, defaults filled in: one form however they were passed.

        Raises:
            InvalidArguments: they do not fit.
        """
        if not kwargs and len(args) == self._whole:
            return dict(zip(self.names, args))  # noqa: B905 - of one length; strict= costs half of the call
        if self._is_nameable and len(args) <= self._places:
            given = dict(zip(self.names, args))  # noqa: B905 - the first of them
            found = {**self._defaults, **given, **kwargs}
            if not given.keys() & kwargs.keys() and found.keys() == self._known:
                return {name: found[name] for name in self.names}
        try:
            bound = self._bindable.bind(*args, **kwargs)
        except TypeError as error:
            msg = f"task '{task}' takes {self._bindable}: {error}"
            raise InvalidArguments(msg) from None
        bound.apply_defaults()
        return dict(bound.arguments)

    def rebuild_result(self, value: Any) -> Any:
        """Give the task's result as annotated, out of plain JSON; as it is when that does not fit it."""
        try:
            return self.converters["return"].rebuild(value)
        except TypeError:
            return value

    @property
    def takes_results(self) -> bool:
        """Whether the first of them is annotated ``Results``."""
        return bool(self.names) and isinstance(self.converters[self.names[0]], ResultsConverter)

    @property
    def converters(self) -> dict[str, Converter]:
        """One Converter a parameter, and one named ``return``."""
        if self._converters is None:
            names = self.names
            self._converters = {n: converter_of(_annotation(self._fn, n)) for n in (*names, "return")}
            if all(p.kind in _SIMPLE or p.default is not p.empty for p in self._rest):
                self._simple = [self._converters[p.name] for p in self._rest if p.kind in _SIMPLE]
        return self._converters

    def _visit(
        self, task: str, args: Any, kwargs: dict[str, Any], *, check_only: bool
    ) -> tuple[list[Any], dict[str, Any]]:
        converters = self.converters
        simple = self._simple
        if simple is not None and not kwargs and self._least <= len(args) <= len(simple):
            named = [(p.name, c, v) for p, c, v in zip(self._rest, simple, args, strict=False)]
            return [_apply(task, n, c, v, check_only) for n, c, v in named], kwargs
        try:
            bound = self._bindable.bind(*args, **kwargs)
        except TypeError as error:
            msg = f"task '{task}' takes {self._bindable}: {error}"
            raise InvalidArguments(msg) from None
        for name, value in bound.arguments.items():
            kind, converter = self._bindable.parameters[name].kind, converters[name]
            if kind is inspect.Parameter.VAR_POSITIONAL:
                visited: Any = tuple(_apply(task, name, converter, v, check_only) for v in value)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                visited = {k: _apply(task, k, converter, v, check_only) for k, v in value.items()}
            else:
                visited = _apply(task, name, converter, value, check_only)
            bound.arguments[name] = visited
        return list(bound.args), dict(bound.kwargs)


def _annotation(fn: Callable[..., Any], name: str) -> Any:
    """Resolve one annotation by itself: one that cannot be (see TYPE_CHECKING) costs no other its type."""
    written = getattr(fn, "__annotations__", {})
    if name not in written:
        return Any
    probe = SimpleNamespace(__annotations__={name: written[name]})
    try:
        return typing.get_type_hints(probe, globalns=getattr(inspect.unwrap(fn), "__globals__", {}))[name]
    except (NameError, TypeError, AttributeError) as error:
        where, what = f"{fn.__module__}.{fn.__qualname__}", f"'{name}' is taken as untyped ({error})"
        logger.warning("%s: %s; import what its annotation names outside of TYPE_CHECKING", where, what)
        return Any


def _apply(task: str, name: str, converter: Converter, value: Any, check_only: bool) -> Any:
    if value is FED:
        return value
    try:
        if check_only:
            converter.check(value)
            return value
        return converter.rebuild(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        msg = f"task '{task}', argument '{name}': {error}"
        raise InvalidArguments(msg) from error
    except Exception as error:  # a model of the user's may raise anything
        kind = _name(converter.kind)
        msg = f"task '{task}', argument '{name}': {kind} raised {type(error).__name__}: {error}"
        raise InvalidArguments(msg) from error


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
