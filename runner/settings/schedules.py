"""The tables ``[schedules.NAME]``. What they mean together is checked where tasks are known: at start."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from .units import Count, Duration, parse_list

SCHEDULES = "schedules"

_NAME = re.compile(r"[\w-]+")


class ScheduleTable(BaseModel):
    """One schedule of settings.toml; ``cron`` or ``every``, and a task, are needed."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    task: str = Field(default="", description="name of a task of the modules in tasks (name)")
    cron: str = Field(default="", description="five fields, six with seconds first, or @daily (expression)")
    every: Duration | None = Field(default=None, description="instead of cron: the interval (duration)")
    tz: str = Field(default="UTC", description="time zone of cron, such as Europe/Berlin (name)")
    anchor: datetime | None = Field(default=None, description="an instant that every counts from (date-time)")
    args: Annotated[tuple[Any, ...], BeforeValidator(parse_list)] = Field(
        default=(), description="arguments of the task (list)"
    )
    kwargs: Mapping[str, Any] = Field(default={}, description="its keyword arguments (table)")
    queue: str = Field(default="", description="where its jobs go; empty: the task's own (name)")
    catch_up: Literal["latest", "all", "none"] = Field(
        default="latest", description="which ticks that were missed run after all"
    )
    misfire_grace: Duration = Field(
        default=3600.0, description="a tick later than this is missed for good (duration)"
    )
    overlap: Literal["skip", "buffer_one", "allow"] = Field(
        default="skip", description="what a tick does while the job before it has not ended"
    )
    max_instances: Count | None = Field(
        default=None, description="with overlap = allow: jobs at once; left out: any number (count)"
    )
    expires: Duration | None = Field(
        default=None, description="a job not started so long after its tick ends as expired (duration)"
    )
    until: datetime | None = Field(default=None, description="no tick after this instant (date-time)")
    count: Count | None = Field(default=None, description="no more ticks than this (count)")
    jitter: Duration = Field(default=0.0, description="each job is due up to this much later (duration)")
    enabled: bool = Field(default=True, description="false turns it off")


ScheduleTables = Annotated[
    Mapping[str, ScheduleTable],
    Field(description="a table [schedules.NAME] for each; docs/schedules.md has its options"),
]


def is_schedule_setting(path: tuple[str, ...]) -> bool:
    """Say whether a path of names is an option of a schedule: schedules, NAME, option."""
    return len(path) == 3 and path[0] == SCHEDULES and _NAME.fullmatch(path[1]) is not None
