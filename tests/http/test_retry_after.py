"""Retry-After: seconds or a date, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.http import parse_retry_after

NOW_MS = 784_111_777_000 - 60_000
"""One minute before Sun, 06 Nov 1994 08:49:37 GMT, the date HTTP's own examples use."""


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("1", 1), ("120", 120), (" 7\t", 7), ("007", 7)])
def test_digits_are_seconds(value, seconds):
    """The form that receivers use most."""
    assert parse_retry_after(value, now_ms=NOW_MS) == seconds


@pytest.mark.parametrize(
    "value", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_each_of_http_s_three_dates_is_understood(value):
    """Recipients must accept all three (RFC 9110, section 5.6.7)."""
    assert parse_retry_after(value, now_ms=NOW_MS) == 60


@pytest.mark.parametrize("value", ["Sun, 06 Nov 1994 08:48:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_date_gone_by_is_no_wait(value):
    """The receiver's clock may be behind ours."""
    assert parse_retry_after(value, now_ms=NOW_MS) == 0


@pytest.mark.parametrize("value", ["86401", "1000000000", "9" * 5000, "Sun, 06 Nov 2094 08:49:37 GMT"])
def test_no_receiver_can_ask_for_more_than_the_cap(value):
    """A day by default."""
    assert parse_retry_after(value, now_ms=NOW_MS) == 86_400
    assert parse_retry_after(value, now_ms=NOW_MS, cap_s=10) == 10


@pytest.mark.parametrize(
    "value",
    [None, "", "-1", "+1", "1.5", "1e3", "soon", "１２", "1 2", "0x10", "06 Nov 1994 08:49:37",
     "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37 PST",
     "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
     "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 0000 08:49:37 GMT"],
)  # fmt: skip
def test_anything_else_counts_as_not_given(value):
    """Better our own schedule than a guess."""
    assert parse_retry_after(value, now_ms=NOW_MS) is None


def test_a_leap_second_is_a_time():
    """HTTP allows second 60."""
    assert parse_retry_after("Sun, 06 Nov 1994 08:49:60 GMT", now_ms=NOW_MS) == 82


def test_two_digits_of_a_year_mean_the_nearest_past_when_far_ahead():
    """More than 50 years ahead is the century before (RFC 9110, section 5.6.7)."""
    in_2026_ms = 1_790_000_000_000
    assert parse_retry_after("Friday, 06-Nov-77 08:49:37 GMT", now_ms=in_2026_ms) == 0
    assert parse_retry_after("Friday, 06-Nov-76 08:49:37 GMT", now_ms=in_2026_ms) == 86_400


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"))
def test_no_header_breaks_it(value):
    """It comes from a stranger."""
    seconds = parse_retry_after(value, now_ms=NOW_MS)
    assert seconds is None or 0 <= seconds <= 86_400
