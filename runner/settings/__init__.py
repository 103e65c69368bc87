"""Settings: typed values out of settings.toml, a folder of secrets and the environment, the later winning."""

from .load import Loaded, load, load_settings
from .model import (
    DeadGroup,
    LimitsGroup,
    LogsGroup,
    PaymentsGroup,
    RedisGroup,
    Settings,
    WebhooksGroup,
    WorkerGroup,
)
from .schedules import ScheduleTable

__all__ = [
    "DeadGroup",
    "LimitsGroup",
    "Loaded",
    "LogsGroup",
    "PaymentsGroup",
    "RedisGroup",
    "ScheduleTable",
    "Settings",
    "WebhooksGroup",
    "WorkerGroup",
    "load",
    "load_settings",
]
