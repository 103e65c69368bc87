"""Tests of jobs: what was enqueued, what an attempt does, and what happens later, and in trouble."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from .. import events
from ..app import Runner
from ..embedded_worker import embedded_worker
from ..engine.options import EngineOptions
from ..engine.worker import Worker
from ..errors import RunnerError
from ..outcome import Outcome, Succeeded
from ..schedules.kept import Kept
from ..schedules.ticker import Ticker
from ..standing import claimed, depths
from ..tasks import Task
from ..wire.keys import keys_of
from ..wire.link import Link
from ..worker_parameters import worker_parameters
from .doorway import Doorway
from .enqueued import Enqueued, read_enqueued, told
from .faults import FAULTS, Crash, Fault, Kind
from .moving_time import MovingTime

P = ParamSpec("P")
R = TypeVar("R")

PERFORMED = "performed"
"""Queue of the jobs that ``perform`` makes."""
QUIET_LOOKS = 150
"""When nothing has happened over so many looks, about half a second, what is due waits for something else.

Not so many seconds: a machine that is held up would seem quiet.
"""
LOOK_S = 0.002
STOLEN_MS = 15_000
MOST_TICKS = 1000


class Ended(NamedTuple):
    """An attempt that ended: of which job and task, its number, and how."""

    job_id: str
    task: str
    attempt: int
    outcome: Outcome


class Kit:
    """A runner on a test's database, in time that the test moves. ``async with Kit(runner, url) as kit:``.

    Args:
        runner: the application's own, not connected yet; its settings name another server while inside.
        url: of a database that may be written to.

    Attributes:
        runner: connected.
        time: moves on when told.
    """

    def __init__(self, runner: Runner, url: str) -> None:
        self.runner = runner
        self._url = url
        self._redis: Any = Redis.from_url(url)
        self._link = Link(self._redis.connection_pool)
        self._doorway = Doorway(self._steal)
        self.time = MovingTime(self._doorway, self._redis)
        self._ticker: Ticker | None = None
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            RunnerError: the runner is connected already, to its own server.
        """
        with contextlib.suppress(RunnerError):
            _ = self.runner.client
            msg = "the runner is connected already: let the kit connect it, inside 'async with kit:'"
            raise AssertionError(msg)
        settings = self.runner.settings
        redis = settings.redis.model_copy(update={"url": self._url, "allow_unsafe_server": True})
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(setattr, self.runner, "settings", settings)
            stack.push_async_callback(self._redis.aclose)
            stack.push_async_callback(self._link.close)
            self.runner.settings = settings.model_copy(update={"redis": redis})
            stack.enter_context(self.time.open())
            stack.enter_context(self._doorway.open())
            await stack.enter_async_context(self.runner)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        if error is None and (idle := [fault for fault in self._doorway.faults if not fault.happened]):
            names = ", ".join(f"{fault.kind} at {fault.verb}" for fault in idle)
            msg = f"faults that never happened: {names}; the test has not tested them"
            raise AssertionError(msg)

    # -- what was enqueued ------------------------------------------------------------------------------

    async def enqueued(self, task: Task[..., Any] | None = None) -> list[Enqueued]:
        """Give the jobs that wait, in the order they are due; those of one task, or all."""
        return await read_enqueued(self._look, self._queues(task), self._layout, task)

    async def assert_enqueued(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> list[Enqueued]:
        """See that a job of a task waits; gives those that fit.

        Args:
            task: what ``using`` says of it counts: ``send.using(queue="bulk", delay=60)`` asks for a job in
                that queue that is due a minute after it was enqueued, within a second.
            *args: of the first arguments; fewer than there are will do.
            **kwargs: any others, by name.

        Raises:
            AssertionError: there is none; says what there is.
        """
        wanted = {**dict(zip(task.parameters.names, args, strict=False)), **kwargs}
        there = await self.enqueued(task)
        if found := [job for job in there if job.fits(task, wanted)]:
            return found
        raise AssertionError(told(task, wanted, there))

    # -- running ----------------------------------------------------------------------------------------

    async def perform(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """Run one attempt of a call as a worker would, and give its outcome: a value of ``runner.outcome``.

        Everything is real: arguments and result go through JSON, and all that the task declares is around it.
        It runs by itself; nothing else that waits does.

        Raises:
            InvalidArguments: they do not fit.
            AssertionError: the attempt did not end; a fault crashed the worker.
        """
        placement = replace(task.placement, queue=PERFORMED, delay_s=0, until=None)
        job = await self.runner.enqueue(replace(task, placement=placement), *args, **kwargs)
        ended = await self._run([PERFORMED], limit=1, until=bool)
        if not ended:
            msg = f"no attempt of task '{task.name}' ended; the job was {job.disposition}"
            raise AssertionError(msg)
        outcome = ended[0].outcome
        await job.cancel()  # it would run again
        if isinstance(outcome, Succeeded) and task.keep_result_s != 0:
            return Succeeded(await job.result(timeout=1))
        return outcome

    async def drain(self, *, limit: int = 1000) -> list[Ended]:
        """Run all that is due, in this process, until nothing is; gives the attempts in the order they ended.

        Schedules tick first. What is due later stays: ``time.advance`` and drain again. A fault may end the
        worker before its work is done.

        Args:
            limit: attempts after which it gives up: a job that comes back at once never ends.

        Raises:
            AssertionError: there were more.
        """
        await self._tick()
        return await self._run(self._queues(), limit=limit, until=lambda _: False)

    def fault(self, verb: str, kind: Kind, *, nth: int = 1) -> Fault:
        """Let something go wrong at the n-th call of a script from now on: ``kit.fault("finish", "crash")``.

        Args:
            verb: name of the script: a file in runner/wire/lua.
            kind: a word of FAULTS.
            nth: at which call, from 1.

        Raises:
            ValueError: there is no such kind.
        """
        if kind not in FAULTS:
            msg = f"there is no fault '{kind}'; there is {', '.join(FAULTS)}"
            raise ValueError(msg)
        fault = Fault(verb, kind, nth)
        self._doorway.faults.append(fault)
        return fault

    # -- how --------------------------------------------------------------------------------------------

    @property
    def _layout(self) -> Any:
        return self.runner.settings.redis.key_layout

    def _queues(self, task: Task[..., Any] | None = None) -> list[str]:
        more = [task.placement.queue or task.queue] if task is not None else []
        return list(dict.fromkeys([*self.runner.settings.worker.queues, *more]))

    async def _look(self, *command: Any) -> Any:
        """Send a command by a way of our own, which no fault meets."""
        return await self._doorway.look(self._link, *command)

    async def _run(
        self, queues: Sequence[str], *, limit: int, until: Callable[[list[Ended]], bool]
    ) -> list[Ended]:
        ended: list[Ended] = []

        def note(event: events.Event) -> None:
            if not self._doorway.is_process_dead:
                ended.append(Ended(event["job_id"], event["task"], event["attempt"], event["outcome"]))

        forget = events.subscribe("job.ended", note)
        try:
            async with self._worker(queues) as worker:
                await self._wait(worker, queues, ended, limit, until)
        finally:
            forget()
        if len(ended) > limit:
            last = ended[limit - 1]
            msg = f"more than {limit} attempts: {last.task} of job {last.job_id} again and again?"
            raise AssertionError(msg)
        return ended

    async def _wait(
        self,
        worker: Worker,
        queues: Sequence[str],
        ended: list[Ended],
        limit: int,
        until: Callable[[list[Ended]], bool],
    ) -> None:
        looks_left, seen, was_done = QUIET_LOOKS, 0, False
        while not self._doorway.is_process_dead and len(ended) <= limit:
            held = await claimed(self._look, queues, self._layout, at_least_s=float("-inf"))
            is_held = any(job.worker == worker.worker_name for job in held)
            if worker.tasks or len(ended) > seen:
                looks_left, seen = QUIET_LOOKS, len(ended)
            elif not is_held and until(ended):
                return
            ready = sum(depth.ready for depth in await depths(self._look, queues, self._layout))
            is_done = not is_held and not ready and not worker.tasks and len(ended) == seen
            # Twice in a row: between the two questions a claim may have been made whose answer is under way.
            if (is_done and was_done) or looks_left == 0:
                return
            looks_left, was_done = looks_left - 1, is_done
            await asyncio.sleep(LOOK_S)

    @contextlib.asynccontextmanager
    async def _worker(self, queues: Sequence[str]) -> AsyncGenerator[Worker]:
        parameters = worker_parameters(self.runner, self._url)
        engine: EngineOptions = parameters["engine"]
        parameters["engine"] = replace(engine, queues=dict.fromkeys(queues, 1), beside=())
        parameters["queue_name"] = keys_of(queues[0], self._layout).queue
        self._doorway.has_worker = True
        try:
            async with embedded_worker(parameters, grace_s=0) as worker:
                yield worker
        except (Crash, ResponseError):
            if not self._doorway.is_process_dead:
                raise
        finally:
            self._doorway.has_worker = self._doorway.is_process_dead = False

    async def _tick(self) -> None:
        keys = {name: keys_of(name, self._layout) for name in self._queues()}
        if self._ticker is None:
            declared = [Kept(each, keys[each.queue]) for each in self.runner.declared_schedules]
            self._ticker = Ticker(self.runner.client.execute, declared, queues=list(keys.values()))
            await self._ticker.load()
        for _ in range(MOST_TICKS):
            if await self._ticker.step() > 0:
                return

    async def _steal(self) -> None:
        for name in self._queues():
            keys = keys_of(name, self._layout)
            for job_id, entry in (await self._redis.hgetall(keys.running)).items():
                fence = int(entry.decode().split(" ")[1]) + 1
                await self._redis.hset(keys.running, job_id, f"stolen {fence} another 0")
                await self._redis.set(keys.lease(job_id.decode()), "stolen", px=STOLEN_MS)


def kit_of(runner: Runner | None, tasks: Iterable[Task[..., Any]], url: str) -> Kit:
    """Make a Kit of a runner, or of one with default settings that knows these tasks."""
    if runner is None:
        runner = Runner(tasks=tasks)
        runner.settings = runner.settings.model_copy(update={"tasks": ()})
    return Kit(runner, url)
