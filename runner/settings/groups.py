"""The tables of settings.toml about the runner itself: server, worker, dead letters, limits, logs, health.

A field's description is its comment in settings.toml. Durations are held as seconds and sizes as bytes.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from .addresses import parse_address
from .units import Count, Duration, Port, QueueNames, ServerUrl, Size, SizeOrZero, Weights, Whole


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
        description='redis://, rediss://, unix:// or redis+sentinel:// address; "embedded": a local server',
    )
    cluster: bool = Field(
        default=False,
        validate_default=True,
        description="a Redis Cluster; url has some of its nodes; key_layout is tagged then",
    )
    key_layout: Literal["classic", "tagged"] = Field(
        default="classic",
        validate_default=True,
        description="classic = arq's own key names; tagged = for Redis Cluster",
    )
    password_file: str = Field(
        default="", description="file with the password, read at each connection; empty: as in url (path)"
    )
    sentinel_user: str = Field(default="", description="our name at sentinels; empty: their default user")
    sentinel_password_file: str = Field(
        default="", description="file with the sentinels' password; empty: none, or as the master's (path)"
    )
    ca_file: str = Field(
        default="", description="rediss: certificates that sign the server's; empty: the system's (path)"
    )
    cert_file: str = Field(default="", description="rediss: our certificate; empty: none (path)")
    key_file: str = Field(default="", description="rediss: its key (path)")
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

    @field_validator("cluster")
    @classmethod
    def _fits_the_url(cls, value: bool, seen: ValidationInfo) -> bool:
        url: str = seen.data.get("url", "embedded")
        is_plain = url.startswith(("redis:", "rediss:"))
        if value and not is_plain:
            msg = "false, or nodes in redis.url: redis://host:6379,host2:6379"
            raise ValueError(msg)
        if not value and is_plain and len(parse_address(url).places) > 1:
            msg = "true: redis.url has several hosts; or redis+sentinel://, if they are sentinels"
            raise ValueError(msg)
        return value

    @field_validator("key_layout")
    @classmethod
    def _fits_the_cluster(cls, value: str, seen: ValidationInfo) -> str:
        """Keep each queue in one slot where slots lie on several servers."""
        return "tagged" if seen.data.get("cluster") else value


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
    priority_step: Span = Field(
        default=60.0, description="head start that a step of priority is worth inside a queue (duration)"
    )
    strict_priorities: QueueNames = Field(
        default=(), description="queues in which the more urgent always goes first, with no ageing (names)"
    )
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
    blocked_after: Duration = Field(
        default=1.0,
        description="an event loop that stands still for so long is told of; 0: never (duration)",
    )
    isolation_processes: Whole = Field(
        default=0, description="processes for isolated tasks, at once; 0: one for each core (count)"
    )
    isolation_memory: SizeOrZero = Field(
        default=0, description="what a job in a process may take, beyond its imports; 0: any (size)"
    )
    isolation_jobs: Count = Field(default=1000, description="a process that ran so many is replaced (count)")
    name: str = Field(default="", description="shown to people; empty: host:pid (text)")


class FleetGroup(Group):
    """Worker processes under one parent, as ``runner worker`` starts them; ``arq`` starts one."""

    processes: Whole = Field(default=1, description="worker processes; 0: one for each core (count)")
    recycle_jobs: Whole = Field(
        default=0, description="a process that began so many jobs is replaced; 0: never (count)"
    )
    recycle_memory: SizeOrZero = Field(
        default=0, description="one that takes so much memory is replaced; 0: never (size)"
    )
    recycle_age: Duration = Field(
        default=0.0, description="one that is so old is replaced; 0: never (duration)"
    )


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
    steps: Size = Field(default=4 * 1024 * 1024, description="all durable steps and signals of a job (size)")
    depth: Count = Field(default=64, description="deepest nesting of arguments and results (count)")


class LogsGroup(Group):
    """What a worker writes to stderr."""

    level: Level = Field(default="INFO", description="DEBUG, INFO, WARNING, ERROR or CRITICAL")
    format: Literal["text", "json"] = Field(default="text", description="text for people, json for machines")


class HealthGroup(Group):
    """What a worker process tells over HTTP."""

    port: Port = Field(
        default=0, description="/metrics, /healthz, /readyz and /scale; 0: none of them (port)"
    )
    host: str = Field(
        default="127.0.0.1", description="0.0.0.0 lets other machines in; nobody is asked who it is (address)"
    )


class TracesGroup(Group):
    """Traces by OpenTelemetry."""

    enabled: bool = Field(
        default=False, description="a span of each enqueue and each attempt, by the SDK that you set up"
    )
