"""All schedules that code and settings declare, checked together."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from types import ModuleType
from typing import Any

from ..errors import InvalidTask, SettingsError
from ..registry import Registry
from ..settings.schedules import ScheduleTable
from .declare import ScheduleOptions, declare
from .schedule import Rule, Schedule, cron_rule, interval_rule

_OPTIONS = ("queue", "expires", "until", "count", "max_instances")
"""Left out of a schedule where a table leaves them out."""


def collect(
    registry: Registry,
    modules: Iterable[ModuleType],
    tables: Mapping[str, ScheduleTable],
    given: Sequence[Schedule] = (),
) -> list[Schedule]:
    """Give the schedules of task modules (their ``schedules = […]``), of settings, and those given.

    Raises:
        SettingsError: a line for each thing that is wrong with any of them.
    """
    problems: list[str] = []
    found = [(schedule, "given to the Runner") for schedule in given]
    for module in modules:
        found += _of_module(module, problems)
    for name, table in tables.items():
        if table.enabled:
            found += _of_table(name, table, registry, problems)
    _check_names(found, problems)
    for schedule, where in found:
        if registry.get(schedule.task) is None:
            problems.append(f"{where}: schedule '{schedule.name}': {unknown_task(registry, schedule.task)}")
    if problems:
        raise SettingsError("\n".join(problems))
    return [schedule for schedule, _ in found]


def unknown_task(registry: Registry, name: str) -> str:
    """Say that there is no such task, which one may be meant, and what to do."""
    names = [task.name for task in registry]
    close = get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]}?" if close else "add its module to tasks in settings.toml"
    return f"no task is named '{name}'; {hint}"


def rule_of(*, cron: str, every: Any, tz: str, anchor: Any) -> Rule:
    """Make a rule of what tables and callers give.

    Raises:
        InvalidTask: neither of cron and every, or both, or the one given is wrong.
    """
    if bool(cron) == (every is not None):
        raise InvalidTask('give one of cron="0 8 * * *" and every="5m"')
    return cron_rule(cron, tz) if cron else interval_rule(every, anchor=anchor)


def _of_module(module: ModuleType, problems: list[str]) -> list[tuple[Schedule, str]]:
    declared = getattr(module, "schedules", ())
    if not isinstance(declared, list | tuple):
        return []
    found: list[tuple[Schedule, str]] = []
    for each in declared:
        if isinstance(each, Schedule):
            found.append((each, f"module {module.__name__}"))
        else:
            wanted = "runner.cron(…) or runner.every(…)"
            problems.append(f"module {module.__name__}: schedules holds {each!r}; expected {wanted}")
    return found


def _of_table(
    name: str, table: ScheduleTable, registry: Registry, problems: list[str]
) -> list[tuple[Schedule, str]]:
    task = registry.get(table.task)
    if task is None:
        problems.append(f"schedules.{name}.task: {unknown_task(registry, table.task)}")
        return []
    options: ScheduleOptions = {
        "name": name,
        "args": table.args,
        "kwargs": table.kwargs,
        "catch_up": table.catch_up,
        "misfire_grace": table.misfire_grace,
        "overlap": table.overlap,
        "jitter": table.jitter,
    }
    for option in _OPTIONS:
        if (value := getattr(table, option)) is not None:
            options[option] = value

    def rule() -> Rule:
        return rule_of(cron=table.cron, every=table.every, tz=table.tz, anchor=table.anchor)

    try:
        made = declare(rule, task, options)
    except InvalidTask as error:
        problems += [f"schedules.{name}: {line}" for line in str(error).splitlines()]
        return []
    return [(made, f"schedules.{name}")]


def _check_names(found: Sequence[tuple[Schedule, str]], problems: list[str]) -> None:
    for name, times in Counter(schedule.name for schedule, _ in found).items():
        if times > 1:
            places = " and ".join(where for schedule, where in found if schedule.name == name)
            problems.append(f"{times} schedules are named '{name}': {places}; give each its own name='…'")
