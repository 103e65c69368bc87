"""What can be set: the tables of settings.toml together, and the name of every setting."""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..shards import Shards
from .concurrency import ConcurrencyTables
from .groups import (
    DeadGroup,
    FleetGroup,
    Group,
    HealthGroup,
    LimitsGroup,
    LogsGroup,
    RedisGroup,
    TracesGroup,
    WorkerGroup,
)
from .job_groups import PaymentsGroup, WebhooksGroup
from .queues import QueueTables
from .rate_limits import RateLimitTables
from .schedules import ScheduleTables
from .units import Names


class Settings(BaseSettings):
    """Everything that can be set. ``Settings()`` is the defaults and reads nothing; see ``load_settings``."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    tasks: Names = Field(
        default=("jobs.webhook", "jobs.payment", "jobs.maintenance"),
        description="modules whose tasks a worker runs (dotted names)",
    )
    middleware: Names = Field(default=(), description="your own middleware, outermost first (dotted names)")
    secrets_dir: str = Field(default="", description="folder with a file per secret; empty: none (path)")
    redis: RedisGroup = RedisGroup()
    worker: WorkerGroup = WorkerGroup()
    fleet: FleetGroup = FleetGroup()
    dead: DeadGroup = DeadGroup()
    limits: LimitsGroup = LimitsGroup()
    logs: LogsGroup = LogsGroup()
    health: HealthGroup = HealthGroup()
    traces: TracesGroup = TracesGroup()
    webhooks: WebhooksGroup = WebhooksGroup()
    payments: PaymentsGroup = PaymentsGroup()
    queues: QueueTables = Field(default={})
    rate_limits: RateLimitTables = Field(default={})
    concurrency: ConcurrencyTables = Field(default={})
    schedules: ScheduleTables = Field(default={})

    @property
    def shards(self) -> Shards:
        """How many shards which queues have; with arq's own key names each has one."""
        is_tagged = self.redis.key_layout == "tagged"
        return Shards({name: table.shards for name, table in self.queues.items() if is_tagged})

    def durable_for(self, queues: Iterable[str]) -> str:
        """Say which setting asks for a server that writes each change to disk; empty when none does."""
        if self.payments.url and self.payments.durable == "always":
            return "payments.durable"
        return "worker.durable" if set(self.worker.durable) & set(queues) else ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keep the constructor pure: only ``load_settings`` brings in files and variables."""
        return (init_settings,)


GROUPS: Mapping[str, type[Group]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Group)
}

KEYS: tuple[str, ...] = tuple(name for name in Settings.model_fields if name not in GROUPS) + tuple(
    f"{group}.{name}" for group, model in GROUPS.items() for name in model.model_fields
)
"""Every setting by its dotted name; users name what lies below tables of names."""

SECRETS = "webhooks.secrets"


def setting_of(path: tuple[str, ...]) -> str | None:
    """Give the key of KEYS that a path of names is, or lies below; None when there is none."""
    for length in (1, 2):
        if (key := ".".join(path[:length])) in KEYS and len(path) >= length:
            return key
    return None


def parser_of(key: str) -> object:
    """Give the function of ``units`` that reads a key's values; None when pydantic does alone."""
    *group, name = key.split(".")
    model: type[BaseModel] = GROUPS[group[0]] if group else Settings
    return next((m.func for m in model.model_fields[name].metadata if isinstance(m, BeforeValidator)), None)
