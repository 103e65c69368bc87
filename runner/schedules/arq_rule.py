"""The rule of an arq CronJob: arq's meaning of its fields, with daylight saving and an end to looking."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from cronsim import CronSim, CronSimError

LONGEST = timedelta(days=366 * 41)
"""A 29 February that is a Monday may be 40 years away."""
WEEKDAYS = ("mon", "tues", "wed", "thurs", "fri", "sat", "sun")
"""arq's words for its 0 to 6."""

Field = int | str | Collection[int] | None


@dataclass(frozen=True, slots=True)
class ArqRule:
    """When an arq CronJob runs; unlike in cron, a day has to fit both ``day`` and ``weekday``.

    Attributes:
        expression: seconds to months, days of the week left open.
        weekdays: 0 for Monday.
        millisecond: behind the second.
        tz: of the worker.
    """

    expression: str
    weekdays: frozenset[int]
    millisecond: int
    tz: tzinfo

    @property
    def spec(self) -> str:
        return f"{self.expression} {sorted(self.weekdays)} .{self.millisecond:03} {self.tz}"

    def after(self, at_ms: int) -> int | None:
        """Give the first tick after this instant; None when there is none in 41 years."""
        start = datetime.fromtimestamp((at_ms - self.millisecond) // 1000, UTC).astimezone(self.tz)
        end, ticks = start + LONGEST, self._ticks(start)
        while (found := next(ticks, None)) is not None and found <= end:
            if found.weekday() in self.weekdays:
                return round(found.timestamp()) * 1000 + self.millisecond
            ticks = self._ticks(found.replace(hour=23, minute=59, second=59, fold=1))
        return None

    def words(self) -> str:
        """Say it for people."""
        return self.spec

    def _ticks(self, start: datetime) -> CronSim:
        return CronSim(self.expression, start)


def arq_rule(fields: Any, tz: tzinfo | None) -> ArqRule | None:
    """Read an arq CronJob; None when it never runs: no date fits it."""
    tz = tz or UTC
    clock = (fields.second, fields.minute, fields.hour, fields.day, fields.month)
    expression = " ".join([*(_text(field) for field in clock), "*"])
    try:
        CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError:
        return None
    rule = ArqRule(expression, frozenset(_weekdays(fields.weekday)), fields.microsecond // 1000, tz)
    return None if rule.after(0) is None else rule


def _text(field: Field) -> str:
    if field is None:
        return "*"
    return ",".join(map(str, sorted(field))) if isinstance(field, Collection) else str(field)  # pyright: ignore[reportUnknownArgumentType]


def _weekdays(field: Field) -> Collection[int]:
    if field is None:
        return range(7)
    if isinstance(field, str):
        return (WEEKDAYS.index(field.lower()),)
    return (field,) if isinstance(field, int) else field
