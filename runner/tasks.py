"""Tasks: a coroutine function with options, made by ``@task``, and calls of it."""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .arguments import Parameters
from .backoff import Backoff, exponential
from .context import Context
from .errors import Delay, InvalidJob, InvalidTask, seconds

P = ParamSpec("P")
R = TypeVar("R", covariant=True)

Prepare = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
"""Called at enqueue with (args, kwargs); gives what is stored, or raises InvalidArguments."""

Judge = Callable[[BaseException], bool]
"""Says of an error whether another attempt is worth it."""

DEFAULT_BACKOFF = exponential(base=1, cap=600, jitter="full")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When and how often a failed job runs again.

    Attributes:
        backoff: gives the delay before each retry.
        max_tries: attempts in all, the first included; None for the worker's default.
        max_age_s: no retry would start later than this many seconds after enqueue; None for no limit.
        retry_on: only these errors are retried; empty means every Exception.
        give_up_on: these are never retried; wins over ``retry_on``.
        judge: a function that decides instead of the two above.
        max_snoozes: how often a job may be snoozed before it is dead.
    """

    backoff: Backoff = DEFAULT_BACKOFF
    max_tries: int | None = None
    max_age_s: float | None = None
    retry_on: tuple[type[BaseException], ...] = ()
    give_up_on: tuple[type[BaseException], ...] = ()
    judge: Judge | None = None
    max_snoozes: int = 10_000

    def wants(self, error: BaseException) -> bool:
        """Say whether this error is worth another attempt, attempts left or not."""
        if isinstance(error, self.give_up_on):
            return False
        if self.judge is not None:
            return self.judge(error)
        return isinstance(error, self.retry_on or Exception)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where and when a call is put; what ``using`` sets.

    Attributes:
        queue: name of the queue; None for the task's own.
        key: the job's id; None for a random one. The same key twice is one job.
        delay_s: seconds from now, by the server's clock.
        until: an aware datetime from which the job is due; None for at once.
        expires_s: the job ends as ``expired`` if it has not started this many seconds after it is due.
    """

    queue: str | None = None
    key: str | None = None
    delay_s: float = 0.0
    until: datetime | None = None
    expires_s: float | None = None


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """One call of a task, not yet enqueued: a value that can be stored in lists and workflows."""

    task: "Task[..., R]"
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task(Generic[P, R]):
    """A declared task. Call it to run the function itself, as in a test; enqueue it to make a job.

    Attributes:
        fn: the coroutine function.
        name: how jobs name it on the wire; unique among the tasks of a runner.
        queue: where its jobs go unless ``using(queue=…)`` says otherwise.
        retry: when and how often a failed job runs again.
        timeout_s: hard limit; the call is cancelled and retried by the policy. None for none.
        soft_timeout_s: SoftTimeout is raised inside the call. None for none.
        keep_result_s: how long the result is kept; None for the worker's default, 0 for not at all.
        prepare: normalises arguments at enqueue.
        placement: what ``using`` set.
    """

    fn: Callable[Concatenate[Any, P], Awaitable[R]]
    name: str
    queue: str = "default"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_s: float | None = None
    soft_timeout_s: float | None = None
    keep_result_s: float | None = None
    prepare: Prepare | None = None
    placement: Placement = field(default_factory=Placement)
    parameters: Parameters = field(repr=False)

    def __call__(self, ctx: Any, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.fn(ctx, *args, **kwargs)

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """Make a call of this task as a value."""
        return Call(self, args, kwargs)

    def using(
        self,
        *,
        queue: str | None = None,
        key: str | None = None,
        delay: Delay | None = None,
        until: datetime | None = None,
        expires: Delay | None = None,
    ) -> "Task[P, R]":
        """Give the same task, placed otherwise; see Placement for the units.

        Raises:
            InvalidJob: delay and until together, a naive datetime, a delay that is negative or NaN, an empty key.
        """
        try:
            placement = replace(
                self.placement,
                queue=queue or self.placement.queue,
                key=self.placement.key if key is None else _checked_key(key),
                delay_s=self.placement.delay_s if delay is None else seconds(delay),
                until=_aware(until) if until is not None else self.placement.until,
                expires_s=self.placement.expires_s if expires is None else seconds(expires),
            )
        except ValueError as error:
            msg = f"task '{self.name}': {error}"
            raise InvalidJob(msg) from None
        if placement.delay_s and placement.until:
            msg = f"task '{self.name}': give either delay= or until=, not both"
            raise InvalidJob(msg)
        return replace(self, placement=placement)

    def check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the arguments as they will be stored.

        Raises:
            InvalidArguments: they do not fit; the message names the argument.
        """
        if self.prepare is not None:
            args, kwargs = self.prepare(args, kwargs)
        self.parameters.check(self.name, args, kwargs)
        return args, kwargs


def _checked_key(key: str) -> str:
    if not key or len(key) > 1024 or any(ord(c) < 32 for c in key):
        msg = f"a key is 1 to 1024 characters without control characters, not {key[:40]!r}"
        raise ValueError(msg)
    return key


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"until= needs an aware datetime, not {moment!r}: add a tzinfo"
        raise ValueError(msg)
    return moment


@overload
def task(fn: Callable[Concatenate[Any, P], Awaitable[R]], /) -> Task[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    queue: str = "default",
    retry: Backoff | None = None,
    max_tries: int | None = None,
    max_age: Delay | None = None,
    retry_on: Iterable[type[BaseException]] | Judge = (),
    give_up_on: Iterable[type[BaseException]] = (),
    max_snoozes: int = 10_000,
    timeout: Delay | None = None,
    soft_timeout: Delay | None = None,
    keep_result: Delay | None = None,
    prepare: Prepare | None = None,
) -> Callable[[Callable[Concatenate[Any, P], Awaitable[R]]], Task[P, R]]: ...


def task(fn: Any = None, /, **options: Any) -> Any:
    """Declare a task: ``@task`` or ``@task(queue="bulk", timeout=30, …)`` above ``async def name(ctx, …)``.

    Args:
        fn: the coroutine function; its first parameter is the Context.
        **options: ``name`` (default: the function's), ``queue``, ``retry`` (a backoff; default exponential from 1 s
            to 600 s with full jitter), ``max_tries`` (default: the worker's), ``max_age``, ``retry_on`` (exception classes, or a
            function of the error), ``give_up_on``, ``max_snoozes``, ``timeout`` and ``soft_timeout`` (from the start
            of the call), ``keep_result`` (0: not kept), ``prepare``. Times are seconds or timedelta.

    Raises:
        InvalidTask: not a coroutine function, or options that contradict each other.
    """
    if fn is None:
        return lambda fn: _declare(fn, **options)
    return _declare(fn, **options)


def _declare(
    fn: Any,
    *,
    name: str | None = None,
    queue: str = "default",
    timeout: Delay | None = None,
    soft_timeout: Delay | None = None,
    keep_result: Delay | None = None,
    prepare: Prepare | None = None,
    **policy: Any,
) -> Task[Any, Any]:
    where = f"task '{name or getattr(fn, '__name__', fn)}'"
    if not inspect.iscoroutinefunction(fn):
        msg = f"{where}: a task is an 'async def' function, not {type(fn).__name__} {fn!r}"
        raise InvalidTask(msg)
    try:
        made = Task(
            fn=fn,
            name=name or fn.__name__,
            queue=queue,
            retry=_policy(**policy),
            timeout_s=_positive("timeout", timeout),
            soft_timeout_s=_positive("soft_timeout", soft_timeout),
            keep_result_s=None if keep_result is None else seconds(keep_result),
            prepare=prepare,
            parameters=Parameters(fn),
        )
    except (TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise InvalidTask(msg) from error
    if made.timeout_s is not None and made.soft_timeout_s is not None and made.soft_timeout_s >= made.timeout_s:
        msg = f"{where}: soft_timeout ({made.soft_timeout_s:g} s) must be shorter than timeout ({made.timeout_s:g} s)"
        raise InvalidTask(msg)
    return made


def _policy(
    *,
    retry: Backoff | None = None,
    max_tries: int | None = None,
    max_age: Delay | None = None,
    retry_on: Iterable[type[BaseException]] | Judge = (),
    give_up_on: Iterable[type[BaseException]] = (),
    max_snoozes: int = 10_000,
) -> RetryPolicy:
    if max_tries is not None and max_tries < 1:
        msg = f"max_tries counts the first attempt too, so it is at least 1, not {max_tries}"
        raise ValueError(msg)
    judge = retry_on if callable(retry_on) else None
    return RetryPolicy(
        backoff=retry or DEFAULT_BACKOFF,
        max_tries=max_tries,
        max_age_s=None if max_age is None else seconds(max_age),
        retry_on=() if callable(retry_on) else tuple(retry_on),
        give_up_on=tuple(give_up_on),
        judge=judge,
        max_snoozes=max_snoozes,
    )


def _positive(name: str, delay: float | timedelta | None) -> float | None:
    if delay is None:
        return None
    value = seconds(delay)
    if value == 0:
        msg = f"{name} must be more than 0 seconds; leave it out for no limit"
        raise ValueError(msg)
    return value


class Registry:
    """The tasks one runner knows, by name."""

    def __init__(self, tasks: Iterable[Task[..., Any]] = ()) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}
        for each in tasks:
            self.add(each)

    def add(self, task: Task[..., Any]) -> None:
        """Make a task known.

        Raises:
            InvalidTask: another task has its name.
        """
        known = self._tasks.setdefault(task.name, task)
        if known.fn is not task.fn:
            here, there = _place(task), _place(known)
            msg = f"two tasks are named '{task.name}': {there} and {here}; give one of them name='…'"
            raise InvalidTask(msg)

    def add_module(self, module: ModuleType) -> None:
        """Make every task known that a module defines or imports at its top level."""
        for value in vars(module).values():
            if isinstance(value, Task):
                self.add(value)

    def get(self, name: str) -> Task[..., Any] | None:
        """Give the task of that name, or None."""
        return self._tasks.get(name)

    def __iter__(self) -> Any:
        return iter(self._tasks.values())

    def __len__(self) -> int:
        return len(self._tasks)


def _place(task: Task[..., Any]) -> str:
    code = getattr(task.fn, "__code__", None)
    return f"{task.fn.__module__}:{code.co_firstlineno}" if code else str(task.fn.__module__)


__all__ = ["Call", "Context", "Placement", "Prepare", "Registry", "RetryPolicy", "Task", "task"]
