"""Tasks: a coroutine function with options, made by ``@task``, and calls of it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, Unpack, overload

from .arguments import Parameters
from .breaker import Breaker, Breakers, breakers_of
from .declared import (
    Isolation,
    OffLoop,
    Prepare,
    Upcast,
    awaitable,
    check_body,
    check_declared,
    checked_follower,
    checked_version,
)
from .effects import Idempotency, Lock
from .errors import Delay, InvalidTask, seconds
from .lanes import DEFAULT_PRIORITY, NO_LANING, Concurrencies, Lane, Laning, Tenant, laning_of
from .parts import Call, Group, Part, Step
from .placement import Placement, checked_name, checked_queue, positive
from .rates import RateLimit, RateLimits, limits_of
from .retry_policy import RetryPolicy, policy_of
from .task_options import TaskOptions
from .unique import Unique

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
X = TypeVar("X")
S = TypeVar("S")
Rest = ParamSpec("Rest")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task(Generic[P, R]):
    """A declared task. Call it to run the function itself, as in a test; enqueue it to make a job.

    Attributes:
        fn: the coroutine function.
        name: how jobs name it on the wire; unique among the tasks of a runner.
        queue: where its jobs go unless ``using(queue=…)`` says otherwise.
        version: of its arguments; a worker that knows an older one leaves its jobs to newer workers.
        upcast: turns the arguments of one version into those of the next.
        isolation: where it runs: the worker's event loop, a thread, a warm process or a fresh one.
        body: what was declared: ``fn`` itself, or the plain function that it calls.
        retry: when and how often a failed job runs again.
        timeout_s: hard limit; the call is cancelled and retried by the policy. None for none.
        soft_timeout_s: SoftTimeout is raised inside the call. None for none.
        keep_result_s: how long the result is kept; None for the worker's default, 0 for not at all.
        idempotency: the effect happens once for each key. None for no such promise.
        lock: jobs whose lock has the same name run one at a time. None for none.
        rate_limits: tokens are taken of all of these before each attempt. Empty for none.
        unique: of calls that would do the same only one becomes a job. None: each becomes one.
        breakers: the gates of all of these are passed before each attempt. Empty for none.
        laning: tenant, priority and concurrency limits of its jobs.
        on_dead: enqueued when a job of this task becomes a dead letter, in the same queue and the same step.
        prepare: normalises arguments at enqueue.
        placement: what ``using`` set.
    """

    fn: Callable[Concatenate[Any, P], Awaitable[R]]
    name: str
    queue: str = "default"
    version: int = 1
    upcast: Upcast | None = None
    isolation: Isolation = "loop"
    body: Callable[..., Any] = field(repr=False)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_s: float | None = None
    soft_timeout_s: float | None = None
    keep_result_s: float | None = None
    idempotency: Idempotency | None = None
    lock: Lock | None = None
    rate_limits: tuple[RateLimit, ...] = ()
    unique: Unique | None = None
    breakers: tuple[Breaker, ...] = ()
    laning: Laning = NO_LANING
    on_dead: "Task[..., Any] | None" = None
    prepare: Prepare | None = None
    placement: Placement = field(default_factory=Placement)
    parameters: Parameters = field(repr=False)

    def __call__(self, ctx: Any, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.fn(ctx, *args, **kwargs)

    @overload
    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]: ...
    @overload
    def call(
        self: "Task[Concatenate[X, Rest], S]", *args: Rest.args, **kwargs: Rest.kwargs
    ) -> Step[X, S]: ...
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Make a call of this task as a value.

        In a chain the first argument is left out: it is the result of what comes before.
        """
        return Call(self, args, kwargs)

    def map(self: "Task[Concatenate[X, ...], S]", values: Iterable[X]) -> Part[object, list[S]]:
        """Make a group with a call for each value."""
        return Group(tuple(Call(self, (value,), {}) for value in values))

    def starmap(self: "Task[..., S]", values: Iterable[Iterable[Any]]) -> Part[object, list[S]]:
        """Make a group with a call for each tuple of arguments."""
        return Group(tuple(Call(self, tuple(each), {}) for each in values))

    def chunks(
        self: "Task[Concatenate[list[X], ...], S]", values: Iterable[X], size: int
    ) -> Part[object, list[S]]:
        """Make a group with a call for each ``size`` values, as one list; the last may be shorter.

        Raises:
            ValueError: the size is less than 1.
        """
        rest = list(values)
        if size < 1:
            msg = f"chunks of {size} values cannot be made: give a size of 1 or more"
            raise ValueError(msg)
        lists = (rest[start : start + size] for start in range(0, len(rest), size))
        return Group(tuple(Call(self, (each,), {}) for each in lists))

    def using(
        self,
        *,
        queue: str | None = None,
        key: str | None = None,
        delay: Delay | None = None,
        until: datetime | None = None,
        expires: Delay | None = None,
        priority: int | None = None,
        tenant: str | None = None,
    ) -> "Task[P, R]":
        """Give the same task, placed otherwise; see Placement for the units.

        Raises:
            InvalidJob: delay and until together, a naive datetime, a delay that is negative or NaN, a key or
                a queue that cannot be part of a key on the server.
        """
        placement = self.placement.but(
            self.name,
            queue=queue,
            key=key,
            delay=delay,
            until=until,
            expires=expires,
            priority=priority,
            tenant=tenant,
        )
        return replace(self, placement=placement)

    def lane(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lane:
        """Give the lane of a call whose arguments ``check`` gave.

        Raises:
            InvalidArguments: they give no tenant or no gate.
        """
        placed = self.placement
        if not self.laning and placed.priority is None and placed.tenant is None:
            return Lane()
        named = self.parameters.named(self.name, *self.parameters.delivered(self.name, args, kwargs))
        return self.laning.lane(self.name, named, priority=placed.priority, tenant=placed.tenant)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments as they will be stored.

        Raises:
            InvalidArguments: they do not fit; the message names the argument.
        """
        if self.prepare is not None:
            args, kwargs = self.prepare(args, kwargs)
        self.parameters.check(self.name, args, kwargs)
        if self.idempotency is not None or self.lock is not None or self.rate_limits or self.breakers:
            self._check_effects(args, kwargs)
        return args, kwargs

    def _check_effects(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse at enqueue what the worker could not make a key, a lock's name or a bucket of."""
        named = self.parameters.named(self.name, *self.parameters.delivered(self.name, args, kwargs))
        if self.idempotency is not None:
            self.idempotency.identify(self.name, named)
        if self.lock is not None:
            self.lock.name_for(self.name, named)
        for limit in self.rate_limits:
            limit.claim(self.name, named)
        for breaker in self.breakers:
            breaker.gate(self.name, named)


@overload
def task(fn: Callable[Concatenate[Any, P], Awaitable[R]], /) -> Task[P, R]: ...


@overload
def task(
    *, isolation: OffLoop, **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[R] | R]], Task[P, R]]: ...


@overload
def task(
    *, isolation: Literal["loop"] = "loop", **options: Unpack[TaskOptions]
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[R]]], Task[P, R]]: ...


def task(fn: Any = None, /, **options: Any) -> Any:
    """Declare a task: ``@task`` or ``@task(queue="bulk", timeout=30, …)`` above ``async def name(ctx, …)``.

    Times are seconds or timedelta.

    Args:
        fn: the coroutine function; its first parameter is the Context.
        **options: ``name`` (default: the function's), ``queue``, ``retry`` (a backoff; default: exponential
            from 1 s to 600 s with full jitter), ``max_tries`` (default: the worker's), ``max_age``,
            ``retry_on`` (exception classes, or a function of the error), ``give_up_on``, ``max_snoozes``,
            ``timeout`` and ``soft_timeout`` (from the start of the call), ``keep_result`` (0: not kept),
            ``idempotency``, ``lock``, ``rate_limit``, ``breaker`` and ``concurrency`` (one or several each),
            ``priority`` (0 most urgent, 9 least), ``tenant`` (text with parameters in braces, or a function),
            ``unique``, ``on_dead`` (a task; it gets one dict: id, queue, task, reason, attempts, error, args,
            kwargs), ``prepare``, ``version``, ``upcast``, ``isolation``  (a word).

    Raises:
        InvalidTask: not a coroutine function, or options that are unknown or contradict each other.
    """

    def declared(fn: Any) -> Any:
        where = f"task '{options.get('name') or getattr(fn, '__name__', fn)}'"
        try:
            check_body(fn, options.get("isolation", "loop"))
            return _declare(fn, **options)
        except (TypeError, ValueError) as error:
            msg = f"{where}: {str(error).removeprefix('_declare() ').removeprefix('policy_of() ')}"
            raise InvalidTask(msg) from error

    return declared if fn is None else declared(fn)


def _declare(
    fn: Any,
    *,
    name: str | None = None,
    queue: str = "default",
    version: int = 1,
    upcast: Upcast | None = None,
    isolation: Isolation = "loop",
    prepare: Prepare | None = None,
    **options: Any,
) -> Task[Any, Any]:
    made: Task[Any, Any] = Task(
        fn=awaitable(fn),
        body=fn,
        name=checked_name(getattr(fn, "__name__", None) if name is None else name),
        queue=checked_queue(queue),
        version=checked_version(version, upcast),
        upcast=upcast,
        isolation=isolation,
        prepare=prepare,
        parameters=Parameters(fn),
        **_promises(**options),
    )
    check_declared(made)
    return made


def _promises(
    *,
    timeout: Delay | None = None,
    soft_timeout: Delay | None = None,
    keep_result: Delay | None = None,
    idempotency: Idempotency | None = None,
    lock: Lock | None = None,
    rate_limit: RateLimits = (),
    unique: Unique | None = None,
    breaker: Breakers = (),
    priority: int = DEFAULT_PRIORITY,
    tenant: Tenant = "",
    concurrency: Concurrencies = (),
    on_dead: Task[..., Any] | None = None,
    **policy: Any,
) -> dict[str, Any]:
    return {
        "retry": policy_of(**policy),
        "timeout_s": positive("timeout", timeout),
        "soft_timeout_s": positive("soft_timeout", soft_timeout),
        "keep_result_s": None if keep_result is None else seconds(keep_result),
        "idempotency": idempotency,
        "lock": lock,
        "rate_limits": limits_of(rate_limit),
        "unique": unique,
        "breakers": breakers_of(breaker),
        "laning": laning_of(priority, tenant, concurrency, breakers_of(breaker)),
        "on_dead": checked_follower(on_dead, Task),
    }


__all__ = ["Call", "Placement", "Prepare", "RetryPolicy", "Task", "task"]
