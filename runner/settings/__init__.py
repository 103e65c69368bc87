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

__all__ = [
    "DeadGroup",
    "LimitsGroup",
    "Loaded",
    "LogsGroup",
    "PaymentsGroup",
    "RedisGroup",
    "Settings",
    "WebhooksGroup",
    "WorkerGroup",
    "load",
    "load_settings",
]
