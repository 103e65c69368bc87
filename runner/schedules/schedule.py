"""Rules and their ticks. Pure: instants in, instants out, in milliseconds since the epoch.

    cron("0 8 * * *", daily_report, args=("daily",), tz="Europe/Berlin")
    every("5m", sync_inventory, expires="280s")

Daylight saving (Debian cron's rules, as cronsim follows them): a wall time that does not exist runs once, at
the first valid moment after the gap; a wall time that comes twice runs once, the first time; rules with ``*``
in the hour follow real time. Intervals are anchored at the epoch, so they do not drift and every worker
agrees on them.
"""

import hashlib
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Literal, Protocol

from cronsim import CronSim, CronSimError

from ..errors import InvalidTask
from ..settings.units import parse_duration, spell_duration

CatchUp = Literal["latest", "all", "none"]
Overlap = Literal["skip", "buffer_one", "allow"]

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
SECOND = ("second", "0-59")
FIELDS = (
    ("minute", "0-59"),
    ("hour", "0-23"),
    ("day of month", "1-31, L for the last"),
    ("month", "1-12 or JAN-DEC"),
    ("day of week", "0-7 (0 and 7 are Sunday) or SUN-SAT"),
)
"""Each with what it may hold; beside that *, lists (1,2), ranges (1-5) and steps (*/15)."""
NEVER_AFTER = timedelta(days=366 * 9)
"""An expression without a tick in nine years has none: a 29 February may be eight away."""


class Rule(Protocol):
    """Something that ticks."""

    @property
    def spec(self) -> str:
        """The rule as text; another text is another rule."""
        ...

    def after(self, at_ms: int) -> int | None:
        """Give the first tick after this instant; None when there is none."""
        ...

    def words(self) -> str:
        """Say it for people."""
        ...


@dataclass(frozen=True, slots=True)
class CronRule:
    """A cron expression (five fields, or six with seconds first) in a time zone."""

    expression: str
    tz: str

    @property
    def spec(self) -> str:
        return f"{self.expression} {self.tz}"

    def after(self, at_ms: int) -> int | None:
        start = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zoneinfo.ZoneInfo(self.tz))
        found = next(CronSim(self.expression, start), None)
        return None if found is None or found - start > NEVER_AFTER else round(found.timestamp() * 1000)

    def words(self) -> str:
        return f"{CronSim(self.expression, datetime.now(UTC)).explain()} ({self.tz})"


@dataclass(frozen=True, slots=True)
class IntervalRule:
    """Every so many milliseconds since the epoch, shifted by the anchor."""

    every_ms: int
    anchor_ms: int = 0

    @property
    def spec(self) -> str:
        return f"every {self.every_ms} from {self.anchor_ms}"

    def after(self, at_ms: int) -> int | None:
        return at_ms + self.every_ms - (at_ms - self.anchor_ms) % self.every_ms

    def words(self) -> str:
        return f"every {spell_duration(self.every_ms / 1000)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule, the call it makes, and what to do when things do not go by the clock.

    Attributes:
        name: unique; names the schedule's state on the server.
        rule: when it ticks.
        task: name of the task.
        args: its arguments.
        kwargs: its keyword arguments.
        version: of the task, as declared.
        queue: where its jobs go.
        catch_up: of ticks missed within the grace: the latest, all (at most 100), or none.
        misfire_grace_s: a tick later than this is missed for good.
        overlap: while an earlier tick's job has not ended: skip this one, keep one for afterwards, or allow.
        max_instances: with ``allow``: how many may be there at once; 0 for any number.
        expires_s: a job not started this long after its tick ends as ``expired``; None for never.
        until_ms: no tick after this instant; None for no end.
        count: no more than this many ticks; None for no limit.
        jitter_s: each tick's job is due up to this much later, always the same for one tick.
    """

    name: str
    rule: Rule
    task: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    version: int = 1
    queue: str = "default"
    catch_up: CatchUp = "latest"
    misfire_grace_s: float = 3600.0
    overlap: Overlap = "skip"
    max_instances: int = 0
    expires_s: float | None = None
    until_ms: int | None = None
    count: int | None = None
    jitter_s: float = 0.0

    def after(self, at_ms: int) -> int | None:
        """Give the first tick after this instant, within ``until``; None when there is none."""
        tick = self.rule.after(at_ms)
        return None if tick is None or (self.until_ms is not None and tick > self.until_ms) else tick

    def due_ms(self, tick_ms: int) -> int:
        """Give when the job of a tick is due: the tick plus its own, stable share of the jitter."""
        if self.jitter_s <= 0:
            return tick_ms
        digest = hashlib.blake2b(f"{self.name}:{tick_ms}".encode(), digest_size=8).digest()
        return tick_ms + round(self.jitter_s * 1000 * (int.from_bytes(digest) / 2**64))

    def job_id(self, tick_ms: int) -> str:
        """Give the id of the job of a tick: derived, so that a tick can only be made once."""
        return f"cron:{self.name}:{tick_ms}"

    @property
    def fingerprint(self) -> str:
        """Changes when the rule does; a changed rule goes on from now."""
        return hashlib.blake2b(self.rule.spec.encode(), digest_size=8).hexdigest()


def cron_rule(expression: str, tz: str = "UTC") -> CronRule:
    """Read a cron expression.

    Raises:
        InvalidTask: says which field is wrong, or that it never ticks; an unknown zone gets a suggestion.
    """
    text = ALIASES.get(expression.strip().lower(), " ".join(expression.split()))
    if text.startswith("@"):
        close = get_close_matches(text, ALIASES, 1)
        raise InvalidTask(
            f"'{expression}' is no cron alias" + (f"; did you mean {close[0]}?" if close else "")
        )
    _check_zone(tz)
    _check_fields(text, expression)
    rule = CronRule(text, tz)
    if rule.after(0) is None:
        raise InvalidTask(f"cron '{expression}' never ticks: no date fits it")
    return rule


def interval_rule(every: str | float | timedelta, *, anchor: datetime | None = None) -> IntervalRule:
    """Read an interval, such as "5m", 300 or a timedelta; at least 1 ms.

    Raises:
        InvalidTask: it is not a duration above zero, or the anchor is naive.
    """
    try:
        every_s = every.total_seconds() if isinstance(every, timedelta) else parse_duration(every)
    except ValueError as error:
        raise InvalidTask(f"every({every!r}): {error}") from None
    if round(every_s * 1000) < 1:
        raise InvalidTask(f"every({every!r}): an interval is longer than zero")
    if anchor is not None and anchor.tzinfo is None:
        raise InvalidTask(f"every(anchor={anchor!r}): needs an aware datetime, add a tzinfo")
    return IntervalRule(round(every_s * 1000), 0 if anchor is None else round(anchor.timestamp() * 1000))


def _check_zone(tz: str) -> None:
    try:
        zoneinfo.ZoneInfo(tz)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        close = get_close_matches(tz, zoneinfo.available_timezones(), 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InvalidTask(f"there is no time zone '{tz}'{hint}") from None


def _check_fields(text: str, expression: str) -> None:
    """Say which field is wrong: each is tried alone, with the others left open."""
    parts = text.split()
    if len(parts) not in (5, 6):
        names = ", ".join(name for name, _ in FIELDS)
        raise InvalidTask(
            f"cron '{expression}' has {len(parts)} fields; give 5 ({names}), or 6 with seconds first"
        )
    fields = FIELDS if len(parts) == 5 else (SECOND, *FIELDS)
    wrong: list[str] = []
    for position, ((name, holds), part) in enumerate(zip(fields, parts, strict=True)):
        alone = ["*"] * len(parts)
        alone[position] = part
        if _is_refused(" ".join(alone)):
            wrong.append(f"field {position + 1} ({name}) is {holds}, not '{part}'")
    if wrong:
        raise InvalidTask(f"cron '{expression}': {'; '.join(wrong)}")
    if _is_refused(text):
        raise InvalidTask(f"cron '{expression}' never ticks: no date fits it")


def _is_refused(expression: str) -> bool:
    try:
        CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError:
        return True
    return False
