"""A handle on one enqueued job."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from ..errors import Delay, ResultTimeout, seconds
from ..job import JobState

if TYPE_CHECKING:
    from ..explain import Explanation
    from ..tasks import Task
    from .client import Client

R = TypeVar("R", covariant=True)

Disposition = Literal["created", "duplicate", "replaced", "unknown"]


@dataclass(frozen=True, slots=True)
class JobInfo:
    """What the server knows of a job.

    Attributes:
        id: the job's id.
        queue: name of its queue.
        state: where it is in its life.
        task: name of the task; empty when nothing is kept that says it.
        attempts: how many have begun.
        due_at_ms: from when it may start, or the end of the lease while it runs; None once ended.
        waits_for: why it was snoozed last; empty when it was not.
        progress: what the task last reported: ``{"done": 0.4, "note": "…"}``; empty when nothing.
        history: one entry per failed attempt, oldest first: number, start, end, worker, reason, error.
        result: what the task returned, as plain JSON; None unless succeeded.
        error: type, message and traceback of the last error; empty when there is none.
    """

    id: str
    queue: str
    state: JobState
    task: str = ""
    attempts: int = 0
    due_at_ms: int | None = None
    waits_for: str = ""
    progress: dict[str, Any] = field(default_factory=dict[str, Any])
    history: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    result: Any = None
    error: dict[str, Any] = field(default_factory=dict[str, Any])


class Job(Generic[R]):
    """One enqueued call.

    Attributes:
        id: the job's id.
        queue: name of its queue.
        disposition: ``created``; ``duplicate``: there was a job of that key, or one that does the same
            (``Unique``), and this is it; ``replaced``: this job waited, and has this call's arguments now;
            ``unknown``: a handle made from an id.
    """

    __slots__ = ("_at", "_client", "_task", "disposition", "id", "queue")

    def __init__(
        self,
        client: "Client",
        job_id: str,
        queue: str,
        disposition: Disposition,
        task: "Task[..., R] | None" = None,
        *,
        at: str = "",
    ) -> None:
        self._client = client
        self._at = at or queue
        self._task = task
        self.id = job_id
        self.queue = queue
        self.disposition: Disposition = disposition

    async def result(self, timeout: Delay | None = None) -> R:
        """Wait for the job to end and give what the task returned, as its annotation says.

        The wait outlives restarts of the server and deaths of workers; it ends when the job does.

        Args:
            timeout: seconds or timedelta to wait; None waits as long as the job takes.

        Raises:
            JobFailed: the task failed for good; carries the remote type, message and traceback.
            JobCancelled: somebody cancelled it.
            JobExpired: it did not start before its ``expires``.
            ResultTimeout: the wait ended first; the job goes on.
            ResultGone: it ended and its result is not kept (``keep_result``), or there never was such a job.
            RunnerError: the runner was closed meanwhile; the job goes on.
        """
        timeout_s = None if timeout is None else seconds(timeout)
        waiting = asyncio.timeout(timeout_s)
        try:
            async with waiting:
                value = await self._client.wait_for_result(self._at, self.id)
        except TimeoutError:
            if not waiting.expired():
                raise
            msg = f"job {self.id} has not ended within {timeout_s:g} s; it goes on"
            raise ResultTimeout(msg) from None
        return value if self._task is None else self._task.parameters.rebuild_result(value)

    async def status(self) -> JobState:
        """Say where the job is in its life; one round trip."""
        return (await self.info()).state

    async def info(self) -> JobInfo:
        """Give all the server knows of the job; one round trip."""
        return await self._client.info(self._at, self.id)

    async def explain(self) -> "Explanation":
        """Say why the job does not run, and from when on it may: ``print(await job.explain())``.

        Two round trips, three where it waits for a lock; the same cost however much the queue holds.
        """
        return await self._client.explain(self._at, self.id)

    async def cancel(self) -> bool:
        """Cancel the job: at once while it waits; a running one is asked to stop.

        Returns:
            Whether there was anything to cancel.
        """
        return await self._client.cancel(self._at, self.id)

    async def signal(self, name: str, data: Any = None, *, key: str | None = None) -> None:
        """Hand data to the job's next ``ctx.wait_for(name)``; one round trip.

        It may wait already, and then goes on at once, or come to that later: signals are kept, in order.

        Args:
            name: of the signal.
            data: any JSON value.
            key: names this signal: the same key again is the same signal, as of a webhook that comes twice.

        Raises:
            SignalRefused: there is no such job any more, or it holds as much as ``limits.steps`` allows.
            InvalidArguments: the data has no JSON form.
            PayloadTooLarge: it takes more than ``limits.payload``.
        """
        await self._client.signal(self._at, self.id, name, data, key=key)

    def __repr__(self) -> str:
        return f"<Job {self.id} in {self.queue}, {self.disposition}>"
