"""``ctx``: what a task can see of its job and ask of the worker. arq's dict, with typed attributes on top."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

from .breaker import Breaker, Health, Verdict
from .effects import DEFAULT_TTL_S
from .errors import Delay, RunnerError, Snooze, seconds
from .rates import RateLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    import httpx

    from .client import Job
    from .clock import Clock
    from .job import Attempt
    from .middleware.idempotency import Once
    from .middleware.rate_limit import Taking
    from .tasks import Task

P = ParamSpec("P")
R = TypeVar("R")


class Context(dict[str, Any]):
    """The first argument of every task.

    A dict with arq's keys (``redis``, ``job_id``, ``job_try``, ``enqueue_time``, ``score``) and whatever
    ``on_startup`` put there; the attributes below say the same with types.
    """

    __slots__ = ("running",)

    running: Attempt

    def __init__(self, shared: dict[str, Any], running: Attempt) -> None:
        super().__init__(shared)
        self.running = running

    @property
    def job_id(self) -> str:
        """The job's id: the same over all attempts, so it names the effect to receivers."""
        return self.running.job_id

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self.running.number

    @property
    def fence(self) -> int:
        """A number higher than that of any earlier attempt of this job: let resources refuse lower ones."""
        return self.running.fence

    @property
    def clock(self) -> Clock:
        """Where this worker reads the time."""
        return self.running.clock

    @property
    def http(self) -> httpx.AsyncClient:
        """The worker's one shared HTTP client: guarded, bounded, without cookies, redirects or proxies."""
        return self._given("http")

    @property
    def settings(self) -> Any:
        """The worker's Settings (runner.settings)."""
        return self._given("settings")

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Make a job of a call, as ``runner.enqueue`` does, on the worker's own connection."""
        return await self._given("runner").enqueue(task, *args, **kwargs)

    @property
    def lock_fence(self) -> int:
        """The fence of the lock that the task declares: it rises with every holder; see ``lock``."""
        return self["lock_fence"]

    @property
    def once(self) -> Once:
        """The effect this attempt was begun for, of a task that declares ``idempotency``.

        ``await ctx.once.step(name, data)`` records how far it is; ``ctx.once.is_recovering`` says that an
        earlier attempt may have made it happen, and ``ctx.once.steps`` what that one recorded.
        """
        return self["effect"].once

    def idempotent(
        self,
        name: str,
        key: Any,
        *,
        request: Any = None,
        ttl: Delay | str = DEFAULT_TTL_S,
        wait: Delay | str = 5.0,
    ) -> AbstractAsyncContextManager[Once]:
        """Make one effect happen once: ``async with ctx.idempotent("charge", order_id) as once:``.

        Inside, look at ``once.done`` first; then make it happen and ``await once.complete(result)``. Leaving
        the block without an error completes it with None; with GiveUp it has failed for good; with any other
        error it is unknown whether it happened: the next caller gets ``is_recovering`` and ``steps``.

        Args:
            name: of the kind of effect.
            key: names the one effect; text, a number, or a tuple of such.
            request: what the effect is to be, such as amount and currency; the same key with another is a
                conflict.
            ttl: how long the result is remembered; keep it longer than dead letters are.
            wait: how long to wait for another caller who is at it.

        Raises:
            Snooze: another caller is at it; the job comes back.
            GiveUp: it has failed for good before.
            IdempotencyConflict: the key stands for another request.
        """
        return self["effects"].idempotent(self.running, name, key, request=request, ttl=ttl, wait=wait)

    def lock(self, name: str, *, wait: Delay | str = 30.0) -> AbstractAsyncContextManager[int]:
        """Hold a lock: ``async with ctx.lock("till 7") as fence:``; free inside a hold of the same name.

        Give the fence to what the lock protects and let that refuse lower ones: only then is it safe against
        a holder that was paused and does not know yet that it has lost the lock.

        Args:
            name: of the lock.
            wait: how long to wait in line, in the job's slot.

        Raises:
            Snooze: it is still busy; the job comes back.
        """
        return self["effects"].lock(self.running, name, wait=wait)

    def limit(
        self,
        limit: str | RateLimit,
        *,
        bucket: str | None = None,
        cost: int = 1,
        rate: str | None = None,
        burst: int | None = None,
    ) -> Taking:
        """Take tokens of a rate limit now: ``await ctx.limit("stripe")``, just before what it limits.

        A wait below 50 ms passes here. One round trip, shared with the takes of the same moment. An adaptive
        limit follows what its other side said before; ``async with ctx.limit(SEARCH): …`` also listens: what
        the block raises, or how long it takes, cuts the rate as an attempt's end does where it is declared.

        Args:
            limit: its name, ``f"host:{host}"`` for one each; or a RateLimit.
            bucket: of a RateLimit that has several; None: its name.
            cost: tokens.
            rate: of a name, where neither run time nor settings say one, such as ``100/s``.
            burst: with it; None for its count.

        Raises:
            Snooze: not now; let it pass: the job comes back at its time and its attempt is not spent.
            InvalidArguments: it costs more than the burst, no rate is known, or no bucket is named.
        """
        if isinstance(limit, str):
            meant, bucket = RateLimit(limit, rate, burst=burst), limit
        else:
            meant = limit
        return self["limiter"].taking(self.running, meant, bucket=bucket, cost=cost)

    async def step(self, name: str, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a part of the task once over all attempts: ``rates = await ctx.step("fetch", fetch, day)``.

        The result is recorded with the job and given to later attempts, out of JSON as the function's
        annotation says; the first one gets it so too. A step that fails is not recorded. A worker that dies
        after the effect and before the record runs the step again: see ``idempotent`` for effects that hurt.
        One round trip a step.

        Raises:
            InvalidStep: the name was used in this attempt, or the result cannot be recorded; never retried.
            LeaseLost: another worker has the job; nothing was recorded.
        """
        return await self["durable"].step(self.running, name, partial(fn, *args, **kwargs), fn)

    async def sleep(self, delay: Delay | str, *, name: str = "") -> None:
        """Go on later, without a slot: ``await ctx.sleep("2d")``.

        The attempt ends here and is not spent; when the time is over, by the server's clock from the first
        call, the task runs again from its beginning and passes by. Sleeps of one name are told apart by their
        order, so that has to be the same in every attempt.

        Raises:
            Suspension: not now; let it pass.
        """
        await self["durable"].sleep(self.running, delay, name)

    async def wait_for(self, name: str, *, timeout: Delay | str) -> Any:
        """Wait for ``runner.signal(job_id, name, data)`` without a slot, and give its data as plain JSON.

        The signal may have come before. The n-th wait for a name is given the n-th signal of that name, in
        every attempt the same. Otherwise as ``sleep``.

        Raises:
            SignalTimeout: none came in time; also in every later attempt. Uncaught, the job is dead; its
                replay waits anew.
            Suspension: not now; let it pass.
        """
        return await self["durable"].wait_for(self.running, name, timeout)

    def breaker(self, key: str, *, like: Breaker | None = None) -> AbstractAsyncContextManager[None]:
        """Pass a gate whose key is known only now: ``async with ctx.breaker(f"host:{host}"): …``.

        What the block raises is judged as of a declared breaker, and goes on.

        Args:
            key: of the gate.
            like: with the numbers of this one; None for the defaults.

        Raises:
            Snooze: the gate is closed; let it pass: the job comes back and its attempt is not spent.
        """
        return self["gates"].guard(self.running, like or Breaker("gate"), key)

    def report_health(self, verdict: Verdict, *, retry_after: Delay = 0, of: Breaker | None = None) -> None:
        """Say how well the other side is, instead of what the end of this attempt says of it.

        Args:
            verdict: ok, failed, throttled (it asked for a wait) or none (nothing is known).
            retry_after: the wait it asked for.
            of: one of the task's breakers; None for all of them.
        """
        told = self.setdefault("health", {})
        told["" if of is None else of.name] = Health(verdict, seconds(retry_after))

    def remaining(self) -> float | None:
        """Give the seconds left before the hard timeout; None when the task has none."""
        deadline = self.running.deadline
        return None if deadline is None else deadline - self.clock.monotonic()

    def snooze(
        self, delay: Delay | None = None, *, until: datetime | None = None, reason: str = "snoozed"
    ) -> NoReturn:
        """End this attempt now and come back later, without spending an attempt.

        Raises:
            Snooze: always; let it pass.
        """
        raise Snooze(delay, until=until, reason=reason)

    async def progress(self, done: float, note: str = "") -> None:
        """Tell whoever looks at the job (``job.info()``) how far it is.

        Costs one round trip, shared with the other calls of the same moment. A server that is away costs the
        report, not the job.

        Args:
            done: a share from 0 to 1.
            note: a line for people; cut to 200 characters.

        Raises:
            ValueError: ``done`` is no share.
        """
        await self._given("report_progress")(self.running, done, note)

    def _given(self, name: str) -> Any:
        """Give what ``runner.WorkerSettings`` puts into every ctx at startup."""
        try:
            return self[name]
        except KeyError:
            msg = f"ctx has no '{name}': this worker was not made by runner.WorkerSettings or Runner.worker()"
            raise RunnerError(msg) from None
