"""``ctx``: what a task can see of its job and ask of the worker. arq's dict, with typed attributes on top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import Delay, Snooze

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    import httpx

    from .clock import Clock
    from .job import Attempt


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
        """A number that is higher than that of any earlier attempt of this job: let resources refuse lower ones."""
        return self.running.fence

    @property
    def clock(self) -> Clock:
        """Where this worker reads the time."""
        return self.running.clock

    @property
    def http(self) -> httpx.AsyncClient:
        """The worker's one shared HTTP client: guarded, bounded, without cookies, redirects or proxies."""
        return self["http"]

    @property
    def settings(self) -> Any:
        """The worker's Settings (runner.settings)."""
        return self["settings"]

    @property
    def enqueue(self) -> Callable[..., Awaitable[Any]]:
        """``runner.enqueue``, on the worker's own connection."""
        return self["runner"].enqueue

    def remaining(self) -> float | None:
        """Give the seconds left before the hard timeout; None when the task has none."""
        deadline = self.running.deadline
        return None if deadline is None else deadline - self.clock.monotonic()

    def snooze(self, delay: Delay | None = None, *, until: datetime | None = None, reason: str = "snoozed") -> None:
        """End this attempt now and come back later, without spending an attempt.

        Raises:
            Snooze: always; let it pass.
        """
        raise Snooze(delay, until=until, reason=reason)

    async def progress(self, done: float, note: str = "") -> None:
        """Tell whoever looks at the job how far it is.

        Args:
            done: a share from 0 to 1.
            note: a short line for people.

        Costs one round trip, shared with the other calls of the same moment.
        """
        await self["report_progress"](self.running, done, note)
