"""Canonical forms: equal exactly when the values are."""

import itertools
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fingerprint import canonical, digest


@dataclass
class Point:
    x: Any


class Colour(Enum):
    RED = 1


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIFFERENT = [
    *(None, True, False, 0, 1, 1.0, -0.0, 0.0, "1", "", b"1", Decimal(1), Decimal("1.0"), Decimal("1.00")),
    *([], [1], (1, 2), {}, {"a": 1}, {"a": 1.0}, {"$a": 1}, {1: 1}, {"1": 1}, set(), {1}, {1, 2}),
    *(UUID(int=1), str(UUID(int=1)), NOON, NOON.isoformat(), NOON.replace(tzinfo=None), date(2026, 1, 1)),
    *(NOON.astimezone(timezone(timedelta(hours=1))), timedelta(seconds=1), Point(1), Point(1.0), Colour.RED),
    *({"$decimal": "1"}, {"$$decimal": "1"}, {"$set": []}, {"$map": []}, 2**70, 2**70 + 1, "é", "e\u0301"),
]


def test_values_that_differ_have_forms_that_differ() -> None:
    """1, 1.0, "1" and Decimal("1") are four values, and no look-alike of a tag is the tagged value."""
    for one, other in itertools.combinations(DIFFERENT, 2):
        assert canonical(one) != canonical(other), (one, other)
        assert canonical({"v": one}) != canonical({"v": other}), (one, other)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(json_values, st.randoms())
def test_the_order_of_keys_does_not_matter(value: Any, rng: Any) -> None:
    """A dict is the same whatever order it was filled in, at every depth."""

    def shuffled(value: Any) -> Any:
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {key: shuffled(item) for key, item in items}
        return value

    assert canonical(shuffled(value)) == canonical(value)


@given(json_values, json_values)
def test_forms_are_equal_only_for_equal_values(one: Any, other: Any) -> None:
    """Compared with Python's own repr of sorted values, which tells types apart."""

    def spelled(value: Any) -> str:
        if isinstance(value, dict):
            return repr({key: spelled(value[key]) for key in sorted(value)})
        return repr([spelled(item) for item in value]) if isinstance(value, list) else repr(value)

    assert (canonical(one) == canonical(other)) is (spelled(one) == spelled(other))


def test_the_scope_is_part_of_a_digest() -> None:
    """Two tasks with the same arguments do not share an effect; a scope cannot run into the value."""
    assert digest("charge", {"a": 1}) != digest("refund", {"a": 1})
    assert len(digest("charge", 1)) == 64


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": [object()]}, lambda: None])
def test_what_has_no_form_is_refused(value: Any) -> None:
    """NaN is not equal to itself; an arbitrary object has no value."""
    with pytest.raises(ValueError, match=r"no JSON form|cannot be encoded"):
        canonical(value)


def test_nesting_without_end_is_refused() -> None:
    """A list inside itself is an error, not a crash."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested deeper"):
        canonical(endless)
