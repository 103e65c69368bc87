"""What users write: ``schedules = [cron(…), every(…)]`` beside their tasks."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from ..errors import InvalidTask
from ..settings.units import parse_duration
from ..tasks import Task
from .schedule import CatchUp, Overlap, Rule, Schedule, cron_rule, interval_rule

Duration = str | float | timedelta


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
        InvalidTask: the expression, the zone, an option, or arguments that do not fit the task.
    """
    return _declare(cron_rule(expression, tz), task, options)


def every(
    interval: Duration,
    task: Task[..., Any],
    *,
    anchor: datetime | None = None,
    **options: Unpack[ScheduleOptions],
) -> Schedule:
    """Declare a schedule by an interval, anchored at the epoch or at ``anchor``: it does not drift.

    Raises:
        InvalidTask: the interval, an option, or arguments that do not fit the task.
    """
    return _declare(interval_rule(interval, anchor=anchor), task, options)


def _declare(rule: Rule, task: Task[..., Any], options: ScheduleOptions) -> Schedule:
    name = options.get("name", task.name)
    where = f"schedule '{name}'"
    args, kwargs = task.check(tuple(options.get("args", ())), dict(options.get("kwargs", {})))
    until = options.get("until")
    if until is not None and until.tzinfo is None:
        raise InvalidTask(f"{where}: until={until!r} needs an aware datetime, add a tzinfo")
    if options.get("count", 1) < 1:
        raise InvalidTask(f"{where}: count is at least 1; leave it out for no limit")
    expires = options.get("expires")
    return Schedule(
        name=name,
        rule=rule,
        task=task.name,
        args=args,
        kwargs=kwargs,
        queue=options.get("queue") or task.placement.queue or task.queue,
        catch_up=_one_of(where, "catch_up", options.get("catch_up", "latest"), ("latest", "all", "none")),
        misfire_grace_s=_seconds(where, "misfire_grace", options.get("misfire_grace", 3600)),
        overlap=_one_of(where, "overlap", options.get("overlap", "skip"), ("skip", "buffer_one", "allow")),
        max_instances=options.get("max_instances", 0),
        expires_s=None if expires is None else _seconds(where, "expires", expires),
        until_ms=None if until is None else round(until.timestamp() * 1000),
        count=options.get("count"),
        jitter_s=_seconds(where, "jitter", options.get("jitter", 0)),
    )


def _seconds(where: str, option: str, value: Duration) -> float:
    try:
        return value.total_seconds() if isinstance(value, timedelta) else parse_duration(value)
    except ValueError as error:
        raise InvalidTask(f"{where}: {option}={value!r}: {error}") from None


def _one_of(where: str, option: str, value: Any, words: tuple[str, ...]) -> Any:
    if value not in words:
        raise InvalidTask(f"{where}: {option}={value!r} is none of {', '.join(words)}")
    return value
