"""Payloads, frozen at enqueue."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.http import body_of, freeze

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), PLAIN, max_size=3) | st.lists(PLAIN, max_size=3) | st.text() | st.binary())
def test_what_is_frozen_survives_storage_and_stays_the_same(payload):
    """Through JSON and back, frozen once more by a replay, the bytes to send are the same."""
    stored = json.loads(json.dumps(freeze(payload)))
    assert freeze(stored) == stored
    assert body_of(stored) == body_of(payload)


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        ({"a": 1, "b": ["é"]}, '{"a":1,"b":["é"]}'.encode()),
        ([1, 2], b"[1,2]"),
        ((1, 2), b"[1,2]"),
        ({}, b"{}"),
        ("as it is ", b"as it is "),
        ("", b""),
        (b"bytes\n", b"bytes\n"),
        (b"\xff\x00", b"\xff\x00"),
    ],
)
def test_containers_become_json_and_text_stays(payload, body):
    """Compact JSON in UTF-8, in the order given."""
    assert body_of(freeze(payload)) == body


LOOP: list[object] = []
LOOP.append(LOOP)
DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "payload",
    [None, 1, 1.5, True, object(), {"a": object()}, {"a": float("nan")}, [float("inf")], {(1, 2): 3},
     {"a": b"x"}, "\ud800", {"a": "\ud800"}, LOOP, DEEP],
    ids=lambda payload: type(payload).__name__,
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_in_one_line(payload):
    """At enqueue, and the line names the argument."""
    with pytest.raises(ValueError, match=r"^payload: [^\n]*$"):
        freeze(payload)


def test_broken_base64_is_refused():
    """From a client that writes the stored form by hand."""
    with pytest.raises(ValueError, match="base64"):
        freeze({"$base64": "not*base64"})
