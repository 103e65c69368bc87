"""How long a receiver asks us to wait: the ``Retry-After`` header (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime

DAY_S = 86_400.0

_MONTHS: list[str] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_SHORT_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"

_DATE_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{_SHORT_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"{_SHORT_DAY} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_SECONDS = re.compile(r"\d+", re.ASCII)


def parse_retry_after(value: str | None, *, now_ms: int, cap_s: float = DAY_S) -> float | None:
    """Give the seconds to wait, 0 to ``cap_s``, or None when the header is missing or not understood.

    Args:
        value: the header: digits only, or a date in one of HTTP's three forms. A date gone by is 0.
        now_ms: our wall clock, which the date is compared with.
        cap_s: the most a receiver can ask for.
    """
    text = (value or "").strip(" \t")
    if _SECONDS.fullmatch(text):
        return min(float(text), cap_s)
    moment = _http_date(text, now_ms)
    if moment is None:
        return None
    return min(max(0.0, moment.timestamp() - now_ms / 1000), cap_s)


def _http_date(text: str, now_ms: int) -> datetime | None:
    for form in _DATE_FORMS:
        if found := form.fullmatch(text):
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        year = _full_year(year, datetime.fromtimestamp(now_ms / 1000, UTC).year)
    # A leap second has no place in datetime.
    second = 59 if found["second"] == "60" else int(found["second"])
    try:
        return datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            second,
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _full_year(two_digits: int, this_year: int) -> int:
    """Give the year that ends so: the RFC reads one more than 50 years ahead as the century before."""
    year = this_year - this_year % 100 + two_digits
    return year - 100 if year > this_year + 50 else year
