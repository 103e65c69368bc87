"""The options of ``@task``, for type checkers; what each means stands at ``task`` and at ``Task``."""

from typing import TYPE_CHECKING, Any, TypedDict

from .backoff import Backoff
from .breaker import Breakers
from .declared import Prepare, Upcast
from .effects import Idempotency, Lock
from .errors import Delay
from .lanes import Concurrencies, Tenant
from .rates import RateLimits
from .retry_policy import Errors, Judge
from .unique import Unique

if TYPE_CHECKING:
    from .tasks import Task


class TaskOptions(TypedDict, total=False):
    """All but ``isolation``, by which the kinds of functions differ."""

    name: str | None
    queue: str
    version: int
    upcast: Upcast | None
    retry: Backoff | None
    max_tries: int | None
    max_age: Delay | None
    retry_on: Errors | Judge
    give_up_on: Errors
    max_snoozes: int
    timeout: Delay | None
    soft_timeout: Delay | None
    keep_result: Delay | None
    idempotency: Idempotency | None
    lock: Lock | None
    rate_limit: RateLimits
    unique: Unique | None
    breaker: Breakers
    priority: int
    tenant: Tenant
    concurrency: Concurrencies
    on_dead: "Task[..., Any] | None"
    prepare: Prepare | None
