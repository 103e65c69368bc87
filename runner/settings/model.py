"""What can be set: the tables of settings.toml, their defaults and their limits.

A field's description is its comment in settings.toml. Durations are held as seconds and sizes as bytes.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .rate_limits import RateLimitTables
from .schedules import ScheduleTable
from .units import (
    Count,
    Duration,
    Durations,
    Name,
    Names,
    Networks,
    QueueNames,
    ServerUrl,
    SigningKeys,
    Size,
    Weights,
)


def _above_zero(value: float) -> float:
    if value <= 0:
        msg = "a duration above zero, such as 5s"
        raise ValueError(msg)
    return value


def _a_second_or_more(value: float) -> float:
    if value < 1:
        msg = "a lease of at least 1s: renewal needs time for three tries"
        raise ValueError(msg)
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


Span = Annotated[Duration, AfterValidator(_above_zero)]
Lease = Annotated[Duration, AfterValidator(_a_second_or_more)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


class Group(BaseModel):
    """A table of settings.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RedisGroup(Group):
    """The server that holds the jobs."""

    url: ServerUrl = Field(
        default="embedded",
        repr=False,  # it may carry a password
        description='redis://, rediss:// or unix:// address; "embedded" starts a local server',
    )
    key_layout: Literal["classic", "tagged"] = Field(
        default="classic", description="classic = arq's own key names; tagged = for Redis Cluster"
    )
    timeout: Span = Field(default=5.0, description="longest wait for one answer of the server (duration)")
    connect_timeout: Span = Field(default=5.0, description="longest wait for a connection (duration)")
    allow_unsafe_server: bool = Field(
        default=False, description="run on a server whose configuration may lose jobs"
    )
    folder: Path = Field(
        default=Path(".runner"), description="data of the embedded server, below the current folder (path)"
    )
    appendfsync: Literal["everysec", "always"] = Field(
        default="everysec", description="disk writes of the embedded server; always for payments"
    )


class WorkerGroup(Group):
    """A worker process."""

    max_jobs: Count = Field(default=100, description="jobs running at once in one process (count)")
    lease: Lease = Field(
        default=15.0, description="a killed worker's job starts again after this; at least 1s (duration)"
    )
    grace: Duration = Field(
        default=25.0, description="time running jobs get to end at shutdown; 0 releases at once (duration)"
    )
    queues: Weights = Field(
        default={"critical": 6, "default": 3, "bulk": 1},
        description="queues served, by weight (whole numbers from 1)",
    )
    durable: QueueNames = Field(
        default=(), description="queues refused on a server that does not write each change to disk (names)"
    )
    strict: bool = Field(default=False, description="empty the heaviest queue first instead of by weight")
    unknown_task_grace: Duration = Field(
        default=600.0, description="how long a job of an unknown task waits for a deploy (duration)"
    )
    keep_result: Duration = Field(
        default=3600.0, description="how long results are kept; 0 keeps none (duration)"
    )
    max_tries: Count = Field(default=5, description="attempts of a job whose task names no number (count)")
    poll: Span = Field(default=5.0, description="safety look at the queues when no push arrives (duration)")
    health_check_interval: Span = Field(
        default=30.0, description="how often a worker writes its health line (duration)"
    )
    uvloop: bool = Field(default=True, description="use uvloop when it is installed")
    name: str = Field(default="", description="shown to people; empty: host:pid (text)")


class DeadGroup(Group):
    """Dead letters: how long they stay. Beyond any limit the oldest of a queue go, and are counted."""

    keep: Span = Field(default=30 * 86_400.0, description="a dead letter goes when it is older (duration)")
    max_count: Count = Field(default=100_000, description="dead letters that stay in a queue (count)")
    max_bytes: Size = Field(default=1024**3, description="bytes of dead letters that stay in a queue (size)")
    keep_forever: QueueNames = Field(
        default=("critical",), description="queues whose dead letters stay: payments are in critical (names)"
    )


class LimitsGroup(Group):
    """The largest things that are taken."""

    payload: Size = Field(default=512 * 1024, description="largest encoded job (size)")
    result: Size = Field(default=512 * 1024, description="largest encoded result (size)")
    depth: Count = Field(default=64, description="deepest nesting of arguments and results (count)")


class LogsGroup(Group):
    """What a worker writes to stderr."""

    level: Level = Field(default="INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    format: Literal["text", "json"] = Field(default="text", description="text for people, json for machines")


class WebhooksGroup(Group):
    """Delivery of webhooks."""

    allow: Networks = Field(
        default=(), description="private networks that may be called, such as 127.0.0.0/8 (CIDRs)"
    )
    timeout: Span = Field(default=15.0, description="one delivery, from name lookup to status (duration)")
    connect_timeout: Span = Field(default=5.0, description="of it, lookup, connect and TLS (duration)")
    max_response: Size = Field(default=4 * 1024, description="excerpt of the answer that is kept (size)")
    read_cap: Size = Field(default=64 * 1024, description="most that is read of an answer (size)")
    max_connections: Count = Field(
        default=1000, description="connections open at once in one process (count)"
    )
    secrets: Mapping[str, SigningKeys] = Field(
        default={}, description='NAME = "whsec_…", or a list while rotating (base64 of 24 to 64 bytes)'
    )
    default_secret: str = Field(
        default="", description="the secret that signs when a job names none; empty: none (name)"
    )

    @field_validator("default_secret")
    @classmethod
    def _is_a_secret(cls, value: str, info: ValidationInfo) -> str:
        secrets = info.data.get("secrets")
        if value and secrets is not None and value not in secrets:
            close = get_close_matches(value, secrets, 1)
            msg = "the name of a secret below webhooks.secrets" + (
                f"; did you mean {close[0]}?" if close else ""
            )
            raise ValueError(msg)
        return value


class PaymentsGroup(Group):
    """Payments through a gateway."""

    url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="where the gateway's /v1 lies; empty: no payments",
    )
    api_key: SecretStr = Field(
        default=SecretStr(""),
        description="from RUNNER_PAYMENTS__API_KEY or a file of that name in secrets_dir, not from here",
    )
    account: str = Field(
        default="", description="tells apart what several systems charge at one gateway; never change it"
    )
    gateway: Name = Field(
        default="jobs.payment.http_gateway.HttpGateway", description="class of the adapter (dotted name)"
    )
    honours_keys: bool = Field(
        default=True, description="whether the gateway honours Idempotency-Key; if not, it is asked first"
    )
    key_ttl: Span = Field(
        default=86_400.0,
        description="how long it surely remembers a key; 8% of it are left as margin (duration)",
    )
    lookup: Literal["search", "list"] = Field(
        default="search", description="search = by metadata; list = page through all of its payments"
    )
    timeout: Span = Field(default=30.0, description="one request to the gateway (duration)")
    retry: Durations = Field(
        default=(10.0, 60.0, 300.0), description="waits after an answer that did not come (durations)"
    )
    proof: Span = Field(
        default=900.0, description="not found so long after the last send is not executed (duration)"
    )
    durable: Literal["always", "server"] = Field(
        default="always", description="always = refuse a server that does not write each change to disk"
    )
    webhook_url: str = Field(
        default="", pattern=r"^(https?://\S+)?$", description="told when a payment ends; empty: nobody is"
    )
    webhook_secret: str = Field(
        default="", description="signs it: a name below webhooks.secrets; empty: webhooks.default_secret"
    )


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
    dead: DeadGroup = DeadGroup()
    limits: LimitsGroup = LimitsGroup()
    logs: LogsGroup = LogsGroup()
    webhooks: WebhooksGroup = WebhooksGroup()
    payments: PaymentsGroup = PaymentsGroup()
    rate_limits: RateLimitTables = Field(default={})
    schedules: Mapping[str, ScheduleTable] = Field(
        default={},
        description="a table [schedules.NAME] for each; docs/schedules.md has its options",
    )

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
