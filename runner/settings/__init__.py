"""Settings: typed values out of settings.toml, a folder of secrets and the environment, the later winning."""

from .groups import DeadGroup, FleetGroup, LimitsGroup, LogsGroup, RedisGroup, WorkerGroup
from .job_groups import PaymentsGroup, WebhooksGroup
from .load import Loaded, load, load_settings
from .model import Settings
from .schedules import ScheduleTable

__all__ = [
    "DeadGroup",
    "FleetGroup",
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
