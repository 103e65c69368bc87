"""The client: what a web app holds to enqueue jobs and wait for them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ParamSpec, TypeVar

from redis.asyncio import ConnectionPool
from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import RunnerError
from ..explain import Explanation, explained
from ..placement import checked_key, checked_queue
from ..shards import ONE_EACH, Shards, whole
from ..tasks import Call, Task
from ..wire.durable import DurableScripts
from ..wire.intake import Wish
from ..wire.keys import Keys, Layout, keys_of, keys_of_workflow
from ..wire.lua_loader import load_from
from ..wire.opening import open_link, open_tracking
from ..wire.scripts import Scripts, send_script
from .bound import Bound
from .bulk import REMEMBERED_S, Bulk, Calls, cursor_key, enqueue_chunks
from .cancelled import cancel_job
from .entry import wish_of
from .explaining import read_facts
from .finding import shard_of
from .intake import Counts, Intake
from .job import Job, JobInfo
from .patience import patiently
from .progress import Progress
from .reading import read_info
from .results import Results, raise_or_value
from .signals import send_signal

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Client:
    """Enqueues and waits over one shared connection.

    Args:
        pool: a redis-py connection pool; only its settings are used.
        layout: how keys are named.
        address: what to call the server in errors.
        payload_limit: largest encoded job, in bytes.
        steps_limit: bytes that the signals and durable steps of one job may take.
        patience_s: how long calls are tried again while the server is away.
        timeout_s: how long one answer of the server may take.
        bounds: how many jobs a queue holds, by its name.
        shards: of the queues.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        layout: Layout = "classic",
        address: str = "?",
        payload_limit: int = 512 * 1024,
        steps_limit: int = 4 * 1024 * 1024,
        patience_s: float = 5.0,
        timeout_s: float = 5.0,
        bounds: Mapping[str, Bound] | None = None,
        shards: Shards = ONE_EACH,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._layout: Layout = layout
        self._address = address
        self._payload_limit = payload_limit
        self._patience_s = patience_s
        self._shards = shards
        self._clock = clock
        self._server_ahead_ms = 0
        self._link = open_link(pool, timeout_s=timeout_s)
        self._scripts = Scripts(self._link.execute)
        self._signals = DurableScripts(self.execute, limit=steps_limit)
        self._results = Results(self._link, address)
        self._tracking = open_tracking(pool, self._link, on_change=self._results.note_changed)
        self._intake = Intake(
            self._link.execute, self._scripts, self._patiently, layout, bounds=bounds or {}, shards=shards
        )
        self._is_closed = False

    async def close(self) -> None:
        """Let enqueues on their way arrive, and close the connections; jobs go on."""
        await self._intake.settled()
        self._is_closed = True
        self._results.close()
        await self._tracking.close()
        await self._link.close()

    async def ping(self) -> None:
        """Ask the server for a sign of life: its time.

        Raises:
            ServerUnreachable: there is none.
            ServerError: it refuses, as for a wrong password.
        """
        seconds, microseconds = await self._patiently(lambda: self._link.execute("TIME"))
        self._server_ahead_ms = int(seconds) * 1000 + int(microseconds) // 1000 - self._clock.now_ms()

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Make a job of a call of ``task``.

        Place it with ``task.using(delay=…, until=…, key=…, queue=…, expires=…)``. One round trip, shared with
        the other enqueues of the moment. When it returns the job is on the server. When it is cancelled the
        job may be there or not: enqueue again with the same key.

        Raises:
            InvalidTask: it is no task.
            InvalidArguments: they do not fit the task's signature, or have no JSON form.
            PayloadTooLarge: says how large, and which argument.
            DuplicateJob: a job stands for this call, and the task's ``unique`` says to reject.
            QueueFull: the queue's ``max_waiting`` is reached, or the server is out of memory.
            ServerUnreachable: it did not answer; the job may be there or not.
            ServerError: it refuses.
        """
        self._check_open()
        queue, wish = self.wish(task, args, kwargs)
        is_named = task.placement.key is not None
        job_id, disposition, at = await self._intake.put(queue, wish, task.name, is_named=is_named)
        return Job(self, job_id, queue, disposition, task, at=at)

    async def enqueue_many(
        self,
        calls: Calls,
        *,
        bulk_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Bulk:
        """Make jobs of many calls, 500 a round trip; memory stays bounded however long the iterator is.

        Args:
            calls: ``task.call(…) for …``.
            bulk_id: names this run. When it is interrupted, run it again with the same id and the same calls
                in the same order: what was enqueued is skipped. Of the last round trip before the end that is
                known by the jobs' ids, as long as they or their results are there. Remembered for seven days.
            on_progress: called with the number of calls done so far, after each round trip.

        Raises:
            InvalidJob: of the first call that does not fit; the round trips before it are enqueued.
            ServerError: as ``enqueue``, QueueFull too; run it again with the same ``bulk_id``.
        """
        done = 0
        if bulk_id is not None:
            checked_key(bulk_id)
            noted = await self._patiently(lambda: self._link.execute("GET", cursor_key(bulk_id)))
            done = int(noted or 0)

        async def note(position: int) -> None:
            if bulk_id is not None:
                command = ("SET", cursor_key(bulk_id), position, "EX", REMEMBERED_S)
                await self._patiently(lambda: self._link.execute(*command))

        send = partial(self._enqueue_chunk, bulk_id)
        return await enqueue_chunks(calls, done=done, send=send, note=note, on_progress=on_progress)

    def job(self, job_id: str, *, queue: str = "default", task: Task[..., R] | None = None) -> Job[R]:
        """Make a handle on a job from its id, without asking the server.

        Raises:
            ValueError: no job can have such an id.
        """
        return Job(self, checked_key(job_id), checked_queue(whole(queue)), "unknown", task, at=queue)

    async def wait_for_result(self, queue: str, job_id: str) -> Any:
        """Wait for a job to end; see ``Job.result``."""
        self._check_open()
        self._tracking.start()
        keys = await self._holder(queue, job_id)
        return raise_or_value(await self._results.wait(keys, job_id), job_id)

    async def wait_for_workflow(self, workflow: str) -> Any:
        """Wait for a workflow to end; see ``Workflow.result``."""
        self._check_open()
        self._tracking.start()
        keys = keys_of_workflow(workflow, self._layout)
        return raise_or_value(await self._results.wait(keys, workflow), workflow)

    async def info(self, queue: str, job_id: str) -> JobInfo:
        """Give all the server knows of a job."""
        keys = await self._holder(queue, job_id)
        return await self._patiently(lambda: read_info(self._link.execute, keys, job_id))

    async def explain(self, queue: str, job_id: str) -> Explanation:
        """Say why a job does not run; see ``Job.explain``."""
        keys = await self._holder(queue, job_id)
        facts = await self._patiently(lambda: read_facts(self._link.execute, keys, job_id, self._layout))
        return explained(facts)

    async def cancel(self, queue: str, job_id: str, *, only_waiting: bool = False) -> bool:
        """Cancel a job; see ``Job.cancel``. ``only_waiting``: a running one is left alone: False."""
        keys = await self._holder(queue, job_id)
        cancelling = partial(cancel_job, self._link.execute, self._scripts, keys, job_id)
        return await self._patiently(lambda: cancelling(self._clock.now_ms(), only_waiting=only_waiting))

    async def signal(self, queue: str, job_id: str, name: str, data: Any, *, key: str | None) -> None:
        """Hand data to a job; see ``Job.signal``."""
        keys = await self._holder(queue, job_id)
        await send_signal(self._signals, keys, job_id, name, data, key=key, limit=self._payload_limit)

    def progress(self, queues: Iterable[Keys]) -> Progress:
        """Make what a worker of these queues reports the progress of its jobs with."""
        return Progress(self._scripts, queues)

    async def execute(self, *command: Any) -> Any:
        """Send one command, again while the server is away; it must be safe to repeat.

        Raises:
            ServerUnreachable: no answer; it may have run or not.
            redis.exceptions.ResponseError: a script is not there, or memory is full.
        """

        async def once() -> Any:
            try:
                return await self._link.execute(*command)
            except (NoScriptError, OutOfMemoryError) as refused:  # those who send scripts know what to do
                return refused

        reply = await self._patiently(once)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def run_script(self, package: str, verb: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a Lua script of another package, from the folder ``lua`` beside its modules.

        ``wire.lua_loader`` says what its header declares. It may be sent twice when the connection breaks, so
        it must be safe to repeat. ``jobs.payment.store`` is the one caller.

        Raises:
            QueueFull: the server is out of memory, and the script says ``FLAGS none``; nothing was written.
            ServerUnreachable: no answer; it may have run or not.
        """
        script = load_from(package, verb)
        return await self._patiently(lambda: send_script(self._link.execute, script, keys, args))

    async def _enqueue_chunk(self, bulk_id: str | None, chunk: Sequence[Call[Any]], start: int) -> Counts:
        by_queue: dict[str, list[Wish]] = {}
        for number, call in enumerate(chunk, start):
            key = None if bulk_id is None else f"{bulk_id}:{number}"
            queue, wish = self.wish(call.task, call.args, call.kwargs, key=key)
            by_queue.setdefault(queue, []).append(wish)
        counts = await asyncio.gather(*(self.put(queue, wishes) for queue, wishes in by_queue.items()))
        return Counts(sum(each.created for each in counts), sum(each.replaced for each in counts))

    def wish(
        self, task: Task[..., Any], args: Any, kwargs: Any, *, key: str | None = None
    ) -> tuple[str, Wish]:
        """Make the job of a call, for ``put``: its queue and what is sent; raises as ``enqueue`` does."""
        wish = wish_of(
            task,
            args,
            kwargs,
            key=key,
            now_ms=self._clock.now_ms(),
            server_now_ms=self.server_now_ms(),
            limit=self._payload_limit,
            carrier=self._carrier(),
        )
        return task.placement.queue or task.queue, wish

    async def put(self, queue: str, wishes: Sequence[Wish], *, wait: bool = True) -> Counts:
        """Enqueue up to 500 wishes, waiting for room or not; raises as ``enqueue_many`` does."""
        return await self._intake.put_many(queue, wishes, wait=wait)

    def server_now_ms(self) -> int:
        """Give the server's clock, as far as the last ``ping`` told it."""
        return self._clock.now_ms() + self._server_ahead_ms

    def _carrier(self) -> dict[str, str] | None:
        """Give what is sent along of the trace; see TracedClient."""
        return None

    async def _holder(self, queue: str, job_id: str) -> Keys:
        """Give the keys of a queue, or of whichever of its shards has a job."""
        shards = [keys_of(at, self._layout) for at in self._shards.of(queue)]
        if len(shards) == 1:
            return shards[0]
        return await self._patiently(lambda: shard_of(self._link.execute, shards, job_id))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        def call_while_open() -> Awaitable[T]:
            self._check_open()
            return call()

        return await patiently(call_while_open, for_s=self._patience_s, address=self._address)

    def _check_open(self) -> None:
        if self._is_closed:
            msg = "the runner's connection is closed: use jobs inside 'async with runner:'"
            raise RunnerError(msg)
