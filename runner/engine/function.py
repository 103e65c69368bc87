"""What a job's name stands for: one of our tasks, or a function or cron job of arq's."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import dropwhile
from typing import Any

from arq.cron import CronJob
from arq.worker import Function, RetryJob
from arq.worker import Retry as ArqRetry

from ..arguments import Parameters
from ..errors import Retry, Snooze
from ..isolation.isolation import check_importable
from ..job import Attempt
from ..lanes import NO_LANING, Laning
from ..middleware.ahead import Asks
from ..middleware.breaker import ThroughGates
from ..middleware.chain import CallNext, Middleware, compose
from ..middleware.dead_letter import DeadLetter
from ..middleware.lock import OneAtATime
from ..middleware.once import OnceForKey
from ..middleware.place import InAPlace
from ..middleware.rate_limit import AtARate
from ..middleware.retry import DEFAULT_MAX_TRIES, BackoffRetry, refuses
from ..middleware.timeout import Interruptible, Timeout
from ..middleware.tracing import Tracing
from ..tasks import RetryPolicy, Task
from .attempt import another_attempt, invoke


@dataclass
class TaskFunction(Function):
    """An arq Function made from one of our tasks; what a user's ``arq`` tooling sees of it."""

    task: Task[..., Any] | None = None
    policy: RetryPolicy | None = None


def function_of(task: Task[..., Any], *, default_max_tries: int = DEFAULT_MAX_TRIES) -> TaskFunction:
    """Give the arq Function that runs a task; ``default_max_tries`` is for one that names none.

    Its coroutine raises arq's own Retry instead of the task's error whenever another attempt follows: error
    reporters that wrap coroutines, as Sentry's arq integration does, then report final failures only.

    Raises:
        InvalidTask: it is to run in another process, and cannot be imported there.
    """
    check_importable(task)
    policy = replace(task.retry, max_tries=task.retry.max_tries or default_max_tries)
    fn = task.fn if task.isolation == "loop" else partial(_elsewhere, task)
    interruptible = task.soft_timeout_s is not None

    async def coroutine(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            call = fn(ctx, *args, **kwargs)
            return await (Interruptible(call, ctx.running) if interruptible else call)  # pyright: ignore[reportArgumentType]
        except (ArqRetry, RetryJob):
            raise
        except Exception as error:
            if isinstance(error, Snooze | Retry) or refuses(policy, ctx.running, error) is None:
                raise another_attempt(error) from error
            raise

    coroutine.__qualname__ = task.name
    return TaskFunction(
        name=task.name,
        coroutine=coroutine,
        timeout_s=task.timeout_s,
        keep_result_s=task.keep_result_s,
        keep_result_forever=None,
        max_tries=policy.max_tries,
        task=task,
        policy=policy,
    )


async def _elsewhere(task: Task[..., Any], ctx: Any, *args: Any, **kwargs: Any) -> Any:
    return await ctx["isolation"].run(task, ctx, args, kwargs)


def _is_final(policy: RetryPolicy, attempt: Attempt, error: BaseException) -> bool:
    """Whether an error says that the effect has not happened and never will; spent attempts do not say so."""
    return refuses(policy, attempt, error) == "gave_up"


@dataclass(frozen=True, slots=True)
class Runnable:
    """A name, resolved: everything the engine needs to run a job of it.

    Attributes:
        function: arq's description; its coroutine is what is called.
        run: the composed chain.
        max_tries: an attempt numbered higher is not started.
        policy: None for arq's own functions.
        parameters: checks and rebuilds arguments; None for arq's own functions, which take what comes.
        laning: the lanes its jobs belong in.
        asks: middleware that begin with a question, before anything of the user's and any other wait.
        is_cron: whether arq's cron made it.
        keep_result_ms: -1 for ever, 0 not at all.
        task: ours; None for arq's own functions.
    """

    function: Function | CronJob
    run: CallNext
    max_tries: int
    policy: RetryPolicy | None
    parameters: Parameters | None
    is_cron: bool
    keep_result_ms: int
    laning: Laning = NO_LANING
    asks: Sequence[Asks] = ()
    task: Task[..., Any] | None = None

    @property
    def begins_by_asking(self) -> bool:
        """Whether its call asks the server something before anything else."""
        task = self.task
        return bool(self.asks or (task is not None and (task.breakers or task.rate_limits)))

    @property
    def takes_results(self) -> bool:
        """Whether it takes what earlier nodes of a workflow returned."""
        return self.parameters is not None and self.parameters.takes_results

    @property
    def version(self) -> int:
        """Of the arguments it takes."""
        return 1 if self.task is None else self.task.version


def resolve(
    function: Function | CronJob,
    *,
    around: Sequence[Middleware],
    default_timeout_s: float | None,
    default_max_tries: int,
    keep_result_ms: int,
    stuck_after_s: float,
    on_stuck: Callable[[Attempt], None],
) -> Runnable:
    """Compose what a function declares; a function that declares nothing pays for nothing."""
    task = function.task if isinstance(function, TaskFunction) else None
    hard_s = function.timeout_s
    if hard_s is None and task is None:
        hard_s = default_timeout_s
    policy = function.policy if isinstance(function, TaskFunction) else None
    soft_s = task.soft_timeout_s if task is not None else None
    chain: list[Middleware] = [*around, DeadLetter()]
    if policy is not None:
        chain.append(BackoffRetry(policy))
    asks: Sequence[Asks] = ()
    if task is not None and policy is not None:
        chain += _promised(task, policy)
        asks = _asked_first(chain)
    if hard_s is not None or soft_s is not None:
        chain.append(Timeout(hard_s, soft_s, on_stuck, stuck_after_s))
    return Runnable(
        function=function,
        run=compose(chain, invoke),
        max_tries=default_max_tries if function.max_tries is None else function.max_tries,
        policy=policy,
        parameters=task.parameters if task is not None else None,
        is_cron=isinstance(function, CronJob),
        keep_result_ms=keep_result_ms,
        laning=NO_LANING if task is None else task.laning,
        asks=asks,
        task=task,
    )


def _asked_first(chain: Sequence[Middleware]) -> Sequence[Asks]:
    """Give the middleware that ask before anything of the user's, and before any other wait."""
    asks: list[Asks] = []
    for each in dropwhile(lambda each: isinstance(each, Tracing | DeadLetter | BackoffRetry), chain):
        if not isinstance(each, OneAtATime | OnceForKey):
            break
        asks.append(each)
    return asks


def _promised(task: Task[..., Any], policy: RetryPolicy) -> Iterator[Middleware]:
    if task.breakers:
        yield ThroughGates(task.breakers, task.parameters)
    if task.rate_limits:
        yield AtARate.of(task.rate_limits, task.parameters)
    if task.lock is not None:
        yield OneAtATime(task.lock, task.parameters)
    if task.idempotency is not None:
        yield OnceForKey(task.idempotency, task.parameters, partial(_is_final, policy))
    if task.isolation != "loop":
        yield InAPlace(task)
