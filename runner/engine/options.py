"""What our Worker knows beyond arq's parameters."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.connection import ConnectionPool

from ..dead_letters import Retention
from ..isolation.isolation import DEFAULT_ISOLATION, IsolationOptions
from ..middleware.chain import Middleware
from ..middleware.timeout import STUCK_AFTER_S
from ..rates import Rate
from ..shards import ONE_EACH, Shards
from ..wire.keys import Layout
from .beside import Beside

DEFAULT_RETENTION = Retention()


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What this Worker knows beyond arq's parameters.

    Attributes:
        name: of this worker; empty for ``host:pid``.
        make_pool: gives the connections to the server; None: arq's ``redis_settings`` do.
        queues: weights by queue name; empty: arq's one ``queue_name``.
        strict: earlier queues always first, instead of by weight.
        layout: how keys are named.
        shards: of the queues.
        lease_s: how long a lease lasts; renewed at a third of it.
        unknown_task_grace_s: how long jobs of an unknown name wait for a worker that knows it.
        safety_poll_s: how often an idle worker looks although nothing was pushed.
        server_timeout_s: how long an answer of the server may take.
        stuck_after_s: how long a cancelled call may take to end before its slot is taken from it.
        blocked_after_s: how long the event loop may not turn before that is said; 0: never.
        speaks_json: JSON payloads and our own log lines, instead of arq's serializer and lines.
        result_limit: largest result envelope, in bytes; JSON only.
        steps_limit: bytes that the durable records of one job may take.
        rate_limits: rates that settings give, by the limit's name.
        rules: of lanes and gates, by queue name; ``rules_set.lua`` has their names.
        middleware: around every job, outermost first.
        retention: how long dead letters stay.
        isolation: how much runs outside of the event loop.
        beside: what runs while this worker serves; not in burst mode.
        watch: entered with the worker when it begins to serve, left when it ends.
        before_start: checks the server before the first claim; may refuse by raising.
    """

    name: str = ""
    make_pool: Callable[[], ConnectionPool] | None = None
    queues: Mapping[str, int] = field(default_factory=dict[str, int])
    strict: bool = False
    layout: Layout = "classic"
    shards: Shards = ONE_EACH
    lease_s: float = 15.0
    unknown_task_grace_s: float = 0.0
    safety_poll_s: float = 5.0
    server_timeout_s: float = 5.0
    stuck_after_s: float = STUCK_AFTER_S
    blocked_after_s: float = 1.0
    speaks_json: bool = False
    result_limit: int = 512 * 1024
    steps_limit: int = 4 * 1024 * 1024
    rate_limits: Mapping[str, Rate] = field(default_factory=dict[str, Rate])
    rules: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    middleware: Sequence[Middleware] = ()
    retention: Retention = DEFAULT_RETENTION
    isolation: IsolationOptions = DEFAULT_ISOLATION
    beside: Sequence[Beside] = ()
    watch: Callable[[Any], AbstractContextManager[Any]] = nullcontext
    before_start: Callable[[Any], Any] | None = None
