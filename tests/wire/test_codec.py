"""Payloads and results: what goes in comes out, and what is no payload is told as what it is."""

import asyncio
import dataclasses
import json
import pickle  # noqa: TID251 - to show that it is refused
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from runner.arguments import Parameters
from runner.errors import JobExpired, JobFailed
from runner.wire import codec, deserialize, serialize
from runner.wire.codec import Meta

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@dataclasses.dataclass
class Point:
    x: int
    when: datetime


class Order(BaseModel):
    number: str
    total: Decimal


@given(st.lists(plain, max_size=4), st.dictionaries(st.text(), plain, max_size=4))
def test_plain_arguments_come_back_as_they_were(args: list[Any], kwargs: dict[str, Any]) -> None:
    """Any JSON value survives, integers of 64 bits and unicode included."""
    payload = codec.decode_job(codec.encode_job("task", tuple(args), kwargs, 1_700_000_000_123, Meta()))
    assert (payload.f, payload.a, payload.k, payload.et) == ("task", args, kwargs, 1_700_000_000_123)
    assert payload.t is None


RICH = [
    (datetime, datetime(2026, 3, 8, 2, 30, 0, 123456, tzinfo=UTC)),
    (date, date(2026, 3, 8)),
    (timedelta, timedelta(days=3, microseconds=5)),
    (Decimal, Decimal("0.10000000000000000000000001")),
    (UUID, UUID("12345678-1234-5678-1234-567812345678")),
    (bytes, bytes(range(256))),
    (Point, Point(7, datetime(2026, 1, 1, tzinfo=UTC))),
    (Order, Order(number="o-17", total=Decimal("19.99"))),
    (list[Order], [Order(number="o-17", total=Decimal("19.99"))]),
    (dict[str, Decimal], {"a": Decimal("1.50")}),
    (int, 2**63 - 1),
]


@pytest.mark.parametrize(("kind", "value"), RICH, ids=[str(kind) for kind, _ in RICH])
def test_rich_values_come_back_by_the_annotation(kind: Any, value: Any) -> None:
    """What JSON has no word for is written as text and made again from the task's annotation."""

    async def task(ctx: Any, value: Any) -> Any: ...

    task.__annotations__ |= {"value": kind, "return": kind}
    parameters = Parameters(task)
    payload = codec.decode_job(codec.encode_job("task", (value,), {}, 1, Meta()))
    [rebuilt], _ = parameters.rebuild("task", payload.a, {})
    assert (rebuilt, type(rebuilt)) == (value, type(value))
    result = codec.decode_result(codec.encode_result({"s": True, "r": value}))
    assert parameters.rebuild_result(result.r) == value


def test_what_we_add_travels_in_one_field() -> None:
    """arq's fields keep their names; ours are all in `m`, and what is not set takes no room."""
    meta = Meta(x=5, n="word", b="bulk")
    data = json.loads(codec.encode_job("task", (1,), {"k": 2}, 3, meta))
    assert data.keys() == {"t", "f", "a", "k", "et", "m"}
    assert data["m"] == {"x": 5, "n": "word", "b": "bulk"}
    assert json.loads(codec.encode_job("task", (), {}, 3, Meta()))["m"] == {}
    assert codec.decode_job(codec.encode_job("task", (), {}, 3, meta)).m == meta


def test_a_payload_of_a_later_version_is_readable() -> None:
    """Fields that this version does not know are passed over: a rolling deploy loses nothing."""
    payload = codec.decode_job(b'{"t":2,"f":"x","a":[],"k":{},"et":1,"m":{"v":9,"new":1},"newer":[]}')
    assert (payload.t, payload.m) == (2, Meta(v=9))


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_unread(protocol: int) -> None:
    """Nothing of it is loaded, and the message says what to do."""
    data = pickle.dumps({"t": None, "f": "task", "a": (), "k": {}, "et": 1}, protocol)
    with pytest.raises(ValueError, match=r"is a pickle.*job_serializer=runner\.wire\.serialize"):
        codec.decode_job(data)
    with pytest.raises(ValueError, match="pickle"):
        deserialize(data)


BAD = {
    "empty": b"",
    "garbage": b"\xff\xfe\x00garbage",
    "half a payload": b'{"t":null,"f":"x","a":[1,',
    "two payloads": b'{"t":null,"f":"x","a":[],"k":{},"et":1} {}',
    "another shape": b'{"task":"x"}',
    "a list": b"[1,2]",
    "a number": b"17",
    "null": b"null",
    "name of a wrong type": b'{"t":null,"f":7,"a":[],"k":{},"et":1}',
    "arguments of a wrong type": b'{"t":null,"f":"x","a":{},"k":{},"et":1}',
    "keywords of a wrong type": b'{"t":null,"f":"x","a":[],"k":[],"et":1}',
    "time of a wrong type": b'{"t":null,"f":"x","a":[],"k":{},"et":"now"}',
    "NaN": b'{"t":null,"f":"x","a":[NaN],"k":{},"et":1}',
    "infinity": b'{"t":null,"f":"x","a":[1e999],"k":{},"et":1}',
    "broken text": b'{"t":null,"f":"\xc3\x28","a":[],"k":{},"et":1}',
    "deep lists": b'{"t":null,"f":"x","a":' + b"[" * 100_000 + b"]" * 100_000 + b',"k":{},"et":1}',
    "deep objects": b'{"t":null,"f":"x","a":[],"k":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b',"et":1}',
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_is_no_payload_is_told_as_that(data: bytes) -> None:
    """One kind of error, one line, whatever the bytes are."""
    with pytest.raises(ValueError, match="the payload is") as caught:
        codec.decode_job(data)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_do_worse_than_a_value_error(data: bytes) -> None:
    """Reading a payload ends in a payload or in ValueError."""
    try:
        payload = codec.decode_job(data)
    except ValueError:
        payload = None
    assert payload is None or isinstance(payload.f, str)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [1, {"a": float("-inf")}], {"a": (float("nan"),)}]
)
def test_a_result_that_would_change_is_refused(value: Any) -> None:
    """NaN and infinity would arrive as null: they are refused, wherever they are."""
    with pytest.raises(ValueError, match=r"NaN|nan|inf|finite"):
        codec.encode_value(value)
    with pytest.raises(ValueError, match=r"NaN|nan|inf|finite"):
        serialize({"r": value})


@pytest.mark.parametrize("value", [object(), lambda: None, asyncio.Lock, {"a": object()}])
def test_a_value_without_a_json_form_is_refused(value: Any) -> None:
    """An object that nothing can encode is named by its type."""
    with pytest.raises((ValueError, TypeError), match=r"cannot be encoded|unsupported|not serializable"):
        codec.encode_value(value)


def test_an_error_is_kept_as_text_of_bounded_size() -> None:
    """Type, message and traceback, cut to what is worth storing; a broken __str__ costs the message only."""

    class Odd(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    try:
        raise ValueError("x" * 10_000)
    except ValueError as error:
        text = codec.describe_error(error)
    assert (text.type, len(text.message)) == ("ValueError", codec.MESSAGE_CHARS)
    assert len(text.traceback.encode()) <= codec.TRACEBACK_BYTES
    assert codec.describe_error(Odd()).message == "(its text could not be read)"
    assert codec.describe_error(Odd()).type.endswith("Odd")


def test_an_error_passes_through_unchanged() -> None:
    """A remote error that is raised again is described by what it was, not by its carrier."""
    remote = JobFailed("shop.Declined", "no funds", "Traceback …")
    text = codec.describe_error(remote)
    assert (text.type, text.message, text.traceback) == ("shop.Declined", "no funds", "Traceback …")


@pytest.mark.parametrize(
    ("end", "kind"), [("", JobFailed), ("cancelled", asyncio.CancelledError), ("expired", JobExpired)]
)
def test_an_envelope_without_success_is_the_exception_it_stands_for(
    end: str, kind: type[BaseException]
) -> None:
    """Cancelled and expired have exceptions of their own; all others are JobFailed with the remote text."""
    body = {"s": False, "r": codec.error_value(KeyError("k")), "o": end}
    error = codec.exception_of(codec.decode_result(codec.encode_result(body)))
    assert type(error) is kind
    assert "k" in str(error)
    odd = codec.exception_of(codec.decode_result(b'{"s":false,"r":"text"}'))
    assert isinstance(odd, JobFailed)


def test_arqs_client_can_write_and_read_with_us() -> None:
    """serialize and deserialize take arq's own dicts, exceptions and cancellation included."""
    job = {"t": None, "f": "task", "a": (1, "two"), "k": {"three": 3}, "et": 1_700_000_000_000}
    assert deserialize(serialize(job)) == job
    assert codec.decode_job(serialize(job)).a == [1, "two"]
    failed = deserialize(serialize({**job, "s": False, "r": KeyError("gone")}))
    assert isinstance(failed["r"], JobFailed)
    assert failed["r"].type == "KeyError"
    cancelled = deserialize(serialize({**job, "s": False, "r": asyncio.CancelledError()}))
    assert isinstance(cancelled["r"], asyncio.CancelledError)
