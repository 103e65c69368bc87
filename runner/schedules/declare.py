"""What users write: ``schedules = [cron(…), every(…)]`` beside their tasks."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, TypeVar, Unpack

from ..errors import InvalidArguments, InvalidTask
from ..placement import checked_key, checked_queue
from ..settings.units import parse_duration
from ..tasks import Task
from ..wire import codec
from .schedule import CatchUp, Overlap, Rule, Schedule, cron_rule, interval_rule

Duration = str | float | timedelta
T = TypeVar("T")


class ScheduleOptions(TypedDict, total=False):
    """What a schedule may say beside its rule and task; times as "5m", seconds or timedelta. See Schedule."""

    name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    queue: str
    catch_up: CatchUp
    misfire_grace: Duration
    overlap: Overlap
    max_instances: int
    expires: Duration
    until: datetime
    count: int
    jitter: Duration


def cron(
    expression: str, task: Task[..., Any], *, tz: str = "UTC", **options: Unpack[ScheduleOptions]
) -> Schedule:
    """Declare a schedule by a cron expression: five fields, six with seconds first, or an alias as @daily.

    Raises:
        InvalidTask: a line for each thing that is wrong: the expression, the zone, options, or arguments
            that do not fit the task.
    """
    return declare(lambda: cron_rule(expression, tz), task, options)


def every(
    interval: Duration,
    task: Task[..., Any],
    *,
    anchor: datetime | None = None,
    **options: Unpack[ScheduleOptions],
) -> Schedule:
    """Declare a schedule by an interval, anchored at the epoch or at ``anchor``: it does not drift.

    Raises:
        InvalidTask: a line for each thing that is wrong: the interval, options, or arguments that do not fit
            the task.
    """
    return declare(lambda: interval_rule(interval, anchor=anchor), task, options)


def declare(rule: Callable[[], Rule], task: Task[..., Any], options: ScheduleOptions) -> Schedule:
    """Make a schedule of a rule, a task and options; raises as ``cron`` does."""
    if not isinstance(task, Task):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidTask(f"a schedule takes a task, not {task!r}: put @task above its 'async def'")
    name = options.get("name", task.name)
    report = _Report(f"schedule '{name}'")
    made_rule = report.take(rule)
    call = report.take(lambda: _call(task, options))
    values = report.values(name, options)
    queue = report.take(
        lambda: checked_queue(options.get("queue") or task.placement.queue or task.queue), task.queue
    )
    if report.problems:
        raise InvalidTask("\n".join(report.problems))
    return Schedule(
        name=name,
        rule=made_rule,
        task=task.name,
        args=call[0],
        kwargs=call[1],
        version=task.version,
        queue=queue,
        **values,
    )


def _call(task: Task[..., Any], options: ScheduleOptions) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = task.check(tuple(options.get("args", ())), dict(options.get("kwargs", {})))
    codec.encode_job(task.name, args, kwargs, 0, codec.Meta())
    return args, kwargs


class _Report:
    """Gathers everything that is wrong with one schedule."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.problems: list[str] = []

    def take(self, make: Callable[[], T], otherwise: Any = None) -> T:
        """Give what ``make`` gives; note why it could not, and give the other."""
        try:
            return make()
        except (InvalidTask, InvalidArguments, ValueError, TypeError) as error:
            self.problems.append(f"{self._where}: {error}")
            return otherwise

    def values(self, name: str, options: ScheduleOptions) -> dict[str, Any]:
        """Give Schedule's attributes of the options."""
        self.take(lambda: checked_key(name))
        until = options.get("until")
        if until is not None and until.tzinfo is None:
            self.problems.append(f"{self._where}: until={until!r} needs an aware datetime, add a tzinfo")
        return {
            "catch_up": self._one_of(
                "catch_up", options.get("catch_up", "latest"), ("latest", "all", "none")
            ),
            "misfire_grace_s": self._seconds("misfire_grace", options.get("misfire_grace", 3600)),
            "overlap": self._one_of(
                "overlap", options.get("overlap", "skip"), ("skip", "buffer_one", "allow")
            ),
            "max_instances": self._least("max_instances", options.get("max_instances", 0), 0),
            "expires_s": self._seconds("expires", options.get("expires")),
            "until_ms": None if until is None else round(until.timestamp() * 1000),
            "count": self._least("count", options.get("count"), 1),
            "jitter_s": self._seconds("jitter", options.get("jitter", 0)),
        }

    def _seconds(self, option: str, value: Duration | None) -> float | None:
        if isinstance(value, timedelta):
            value = value.total_seconds()
        try:
            return None if value is None else parse_duration(value)
        except ValueError as error:
            self.problems.append(f"{self._where}: {option}={value!r}: expected {error}")
            return None

    def _one_of(self, option: str, value: Any, words: tuple[str, ...]) -> Any:
        if value not in words:
            self.problems.append(f"{self._where}: {option}={value!r} is none of {', '.join(words)}")
        return value

    def _least(self, option: str, value: int | None, least: int) -> int | None:
        if value is not None and value < least:
            cure = "leave it out for no limit"
            self.problems.append(f"{self._where}: {option}={value} is less than {least}; {cure}")
        return value
