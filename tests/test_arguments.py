"""What a signature says of arguments and results, on both sides of the wire."""

import enum
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from runner.arguments import Parameters
from runner.errors import InvalidArguments
from runner.json_values import MAX_DEPTH, NotEncodable, encode_rich, refuse_inexact

if TYPE_CHECKING:
    from somewhere import Missing


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Money:
    amount: Decimal
    currency: str = "EUR"


class Order(pydantic.BaseModel):
    id: int
    at: datetime


def across(kind: Any, value: Any) -> Any:
    """Give the value as a worker sees it whose task annotates it so."""

    async def carry(ctx: Any, value: Any) -> None: ...

    carry.__annotations__["value"] = kind
    parameters = Parameters(carry)
    parameters.check("carry", (value,), {})
    sent = msgspec.json.encode([value], enc_hook=encode_rich)
    args, _ = parameters.rebuild("carry", msgspec.json.decode(sent), {})
    return args[0]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "a"),
        (int, 2**53),
        (float, 0.1),
        (float, 3),
        (bool, True),
        (None, None),
        (str | None, None),
        (int | str, "a"),
        (list[int], [1, 2]),
        (tuple[int, str], (1, "a")),
        (set[str], {"a", "b"}),
        (dict[str, float], {"a": 0.5}),
        (dict[int, str], {1: "a"}),
        (datetime, datetime(2030, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)),
        (datetime, datetime(2030, 1, 2)),
        (Decimal, Decimal("10.10")),
        (UUID, UUID(int=7)),
        (bytes, b"\x00\xff"),
        (Colour, Colour.RED),
        (Money, Money(Decimal("9.99"))),
        (list[Money], [Money(Decimal(1), "USD")]),
        (Order, Order(id=1, at=datetime(2030, 1, 1, tzinfo=UTC))),
        (dict[str, Order | None], {"a": Order(id=1, at=datetime(2030, 1, 1, tzinfo=UTC)), "b": None}),
        (Any, {"a": [1, "b", None, {"c": True}]}),
    ],
)
def test_what_is_enqueued_is_what_arrives(kind: Any, value: Any) -> None:
    """A value that passes the check comes out of JSON as the annotation says, equal and of the same type."""
    arrived = across(kind, value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        (str, 1, "expected str, got int 1"),
        (int, "1", "expected int, got str '1'"),
        (int, True, "expected int, got bool True"),
        (int, 1.5, "expected int, got float 1.5"),
        (int | None, "x", "expected int | None, got str 'x'"),
        (list[int], [1, "a"], "expected list[int]: Expected `int`, got `str`"),
        (datetime, "tomorrow", "expected datetime: Invalid RFC3339"),
        (Money, {"amount": "x"}, "expected Money: Invalid decimal string"),
        (Order, {"id": 1}, "expected Order: 1 validation error"),
        (float, float("nan"), "nan has no JSON form"),
        (float, float("-inf"), "-inf has no JSON form"),
        (Any, {"a": [float("inf")]}, "inf has no JSON form"),
        (Any, [object()], "object"),
        (Any, {1: "a"}, "the key 1 would arrive as text"),
        (dict, {"a": {None: 1}}, "the key None would arrive as text"),
    ],
)
def test_what_would_arrive_otherwise_is_refused(kind: Any, value: Any, complaint: str) -> None:
    """The check names the task, the argument and what was expected; nothing is changed in silence."""
    with pytest.raises(InvalidArguments) as refused:
        across(kind, value)
    assert str(refused.value).startswith("task 'carry', argument 'value': ")
    assert complaint in str(refused.value)


def test_a_number_that_is_none_is_found_in_any_value() -> None:
    """NaN inside a dataclass or a model would become null: it is refused as well."""

    @dataclass
    class Reading:
        celsius: float

    class Model(pydantic.BaseModel):
        celsius: float

    for value in (Reading(float("nan")), [Reading(float("inf"))], {"a": {1.0, float("nan")}}):
        with pytest.raises(NotEncodable, match="has no JSON form"):
            refuse_inexact(value)
    refuse_inexact([Reading(1.0), Model(celsius=2.0), {3.0}])


def test_nesting_has_an_end() -> None:
    """64 levels pass, 65 do not, and a list that holds itself is no endless loop."""
    deep: Any = 1
    for _ in range(MAX_DEPTH):
        deep = [deep]
    refuse_inexact(deep)
    with pytest.raises(NotEncodable, match="nested deeper than 64"):
        refuse_inexact([deep])
    deep = []
    deep.append(deep)
    with pytest.raises(NotEncodable, match="nested deeper than 64"):
        refuse_inexact(deep)


def test_one_unresolvable_annotation_costs_no_other_its_type(caplog: pytest.LogCaptureFixture) -> None:
    """A name imported for type checkers only makes its own parameter untyped, with a warning."""

    async def carry(ctx: "Missing", when: datetime, what: "Missing") -> "datetime": ...

    parameters = Parameters(carry)
    with caplog.at_level(logging.WARNING, "runner"):
        args, _ = parameters.rebuild("carry", ["2030-01-01T00:00:00Z", "x"], {})
    assert args == [datetime(2030, 1, 1, tzinfo=UTC), "x"]
    assert parameters.rebuild_result("2030-01-01T00:00:00Z") == datetime(2030, 1, 1, tzinfo=UTC)
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == [
        "'what' is taken as untyped (name 'Missing' is not defined); "
        "import what its annotation names outside of TYPE_CHECKING"
    ]


def test_every_kind_of_parameter_is_bound_and_typed() -> None:
    """Positional-only, keyword-only, defaults, *args and **kwargs all carry their annotations."""

    async def carry(
        ctx: Any, first: int, /, second: Decimal = Decimal(2), *rest: datetime, flag: bool, **more: UUID
    ) -> None: ...

    parameters = Parameters(carry)
    when, ident = datetime(2030, 1, 1, tzinfo=UTC), UUID(int=1)
    parameters.check("carry", (1, Decimal(2), when), {"flag": True, "x": ident})
    args, kwargs = parameters.rebuild("carry", [1, "2", when.isoformat()], {"flag": True, "x": str(ident)})
    assert args == [1, Decimal(2), when]
    assert kwargs == {"flag": True, "x": ident}
    with pytest.raises(InvalidArguments, match="argument 'x': expected UUID"):
        parameters.check("carry", (1,), {"flag": True, "x": "no"})


@pytest.mark.parametrize("args", [[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4]])
def test_positions_that_are_left_out_take_their_defaults(args: list[int]) -> None:
    """As many arguments by position as the signature takes are taken without binding; others are refused."""

    async def by_position(ctx: Any, a: str, b: str = "b", /, c: str = "c", *, d: str = "d") -> None: ...

    async def needs_a_name(ctx: Any, a: str, *, d: str) -> None: ...

    texts, fits = [str(arg) for arg in args], 1 <= len(args) <= 3
    if fits:
        assert Parameters(by_position).rebuild("t", texts, {}) == (texts, {})
    with pytest.raises(InvalidArguments, match="argument 'a'" if fits else "task 't' takes"):
        Parameters(by_position).rebuild("t", args, {})
    with pytest.raises(InvalidArguments, match="task 't' takes"):
        Parameters(needs_a_name).rebuild("t", texts, {})
    with pytest.raises(InvalidArguments, match="task 't' takes"):
        Parameters(by_position).named("t", ["1", "2", "3", "4"], {})


def test_a_result_that_does_not_fit_its_annotation_is_given_as_it_came() -> None:
    """A task that returns something else than it says does not cost its caller the result."""

    async def carry(ctx: Any) -> int: ...

    assert Parameters(carry).rebuild_result({"not": "a number"}) == {"not": "a number"}


def test_a_task_has_the_context_first() -> None:
    """A function without a first parameter is refused when it is declared."""

    async def carry() -> None: ...

    with pytest.raises(TypeError, match=r"async def task\(ctx, …\)"):
        Parameters(carry)
