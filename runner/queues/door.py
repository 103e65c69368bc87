"""Pauses, resumes, drains and purges queues; changes jobs that wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ..client import Client
from ..dead_letters import DeadLetters, Edit, Tally
from ..dead_letters.edit import edited_payload
from ..errors import ChangeRefused, UnknownJob
from ..inspector import Inspector, JobDetail, JobFilter, JobPage, JobRow, QueueStanding
from ..job import JobState
from ..registry import Registry
from ..wire.dead_scripts import Answer
from ..wire.keys import Keys
from ..wire.queue_scripts import Change, QueueScripts

Sleep = Callable[[float], Awaitable[object]]

ANY = JobFilter()
LOOK_EVERY_S = 1.0
AT_ONCE = 50
"""Jobs cancelled in one round trip: each may bring its payload along."""


class Queues:
    """Does to queues, and to the jobs in them, what people ask for.

    Every change is one script of one queue and safe to be sent twice; acts over many jobs can stop and resume
    anywhere.

    Args:
        client: sends, and cancels jobs.
        inspector: reads, and knows the queues.
        dead: replays dead letters.
        registry: gives the tasks that edited arguments are checked against.
        by: who acts; kept with a pause. May be set later.
    """

    def __init__(
        self,
        client: Client,
        inspector: Inspector,
        dead: DeadLetters,
        *,
        registry: Callable[[], Registry] = Registry,
        by: str = "",
    ) -> None:
        self._client = client
        self._scripts = QueueScripts(client.execute)
        self._inspector = inspector
        self._dead = dead
        self._registry = registry
        self.by = by

    # -- a queue ----------------------------------------------------------------------------------------

    async def pause(self, queue: str) -> bool:
        """Keep jobs of a queue from starting; what runs goes on. Stock arq workers do not know of it.

        Returns:
            Whether it was not paused before.

        Raises:
            UnknownQueue: settings name no such queue.
        """
        shards = self._inspector.shards(queue)
        return any(await asyncio.gather(*(self._scripts.pause(keys, by=self.by) for keys in shards)))

    async def resume(self, queue: str) -> bool:
        """Let jobs of a queue start again; idle workers look at once.

        Returns:
            Whether it was paused.

        Raises:
            UnknownQueue: settings name no such queue.
        """
        shards = self._inspector.shards(queue)
        return any(await asyncio.gather(*(self._scripts.resume(keys) for keys in shards)))

    async def drain(
        self,
        queue: str,
        *,
        scheduled: bool = False,
        on_progress: Callable[[QueueStanding], object] | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> QueueStanding:
        """Wait until no job of a queue is ready or running; looks once a second.

        Args:
            queue: its name.
            scheduled: wait for jobs that are due later, too.
            on_progress: called with each look.
            sleep: waits so many seconds.

        Raises:
            UnknownQueue: settings name no such queue.
        """
        while True:
            standing = await self._inspector.queue(queue)
            if on_progress is not None:
                on_progress(standing)
            if not standing.ready + standing.running + (standing.scheduled if scheduled else 0):
                return standing
            await sleep(LOOK_EVERY_S)

    async def purge(
        self,
        queue: str,
        wanted: JobFilter = ANY,
        *,
        dry_run: bool = False,
        cursor: str = "",
        on_progress: Callable[[Tally], object] | None = None,
    ) -> Tally:
        """Cancel the waiting jobs of a queue that a filter wants; running ones are left alone.

        Whoever waits for one of them sees JobCancelled. What is enqueued from now on may be taken or not.

        Args:
            queue: its name.
            wanted: which ones.
            dry_run: only count.
            cursor: where an interrupted run stopped (``Tally.cursor``); a second run without it finds what is
                left.
            on_progress: called after at most 100 jobs were looked at.

        Raises:
            UnknownQueue: settings name no such queue.
            ValueError: the cursor is none of this queue's.
        """
        tally = Tally(cursor=cursor)
        is_scheduled = cursor.split("/")[1:2] == [JobState.SCHEDULED]
        for state in (JobState.SCHEDULED,) if is_scheduled else (JobState.READY, JobState.SCHEDULED):
            while True:
                page = await self._inspector.jobs(
                    queue, state, wanted, cursor=tally.cursor, limit=AT_ONCE, look=100
                )
                answers = [] if dry_run else await self._cancel(page.jobs)
                tally = _counted(tally, page).plus(answers)
                if on_progress is not None:
                    on_progress(tally)
                if not tally.cursor:
                    break
        return tally

    async def _cancel(self, jobs: Sequence[JobRow]) -> list[int]:
        asked = (self._client.cancel(job.queue, job.id, only_waiting=True) for job in jobs)
        return [Answer.DONE if cancelled else Answer.MISSING for cancelled in await asyncio.gather(*asked)]

    # -- one job ----------------------------------------------------------------------------------------

    async def retry(self, job_id: str, *, queue: str | None = None) -> JobState:
        """Let a job start now: one that is due later is due at once, a dead letter is replayed.

        Returns:
            What it was.

        Raises:
            UnknownJob: there is none of that id.
            UnknownQueue: settings name no such queue.
            ChangeRefused: it runs, or it ended otherwise: enqueue it anew.
            ReplayRefused: its dead letter cannot be made a job.
        """
        job = await self._inspector.job(job_id, queue=queue)
        state = job.info.state
        if state in (JobState.DEAD, JobState.EXPIRED):
            await self._dead.replay(job_id, queue=job.at)
            return state
        if state.is_terminal:
            msg = f"job '{job_id}' has {state}: enqueue it anew"
            raise ChangeRefused(msg)
        _check(await self._scripts.hasten(self._keys(job), job_id), job_id)
        return state

    async def edit(self, job_id: str, edit: Edit, *, queue: str | None = None) -> None:
        """Change the arguments of a job that waits; a dead one is edited by ``DeadLetters.replay``.

        Raises:
            UnknownJob: there is none of that id.
            UnknownQueue: settings name no such queue.
            ChangeRefused: it runs, it has ended, or somebody else was faster.
            InvalidArguments: they do not fit the task, or the task is not known here.
        """
        job = await self._inspector.job(job_id, queue=queue)
        if job.info.state.is_terminal:
            cure = (
                "runner dead replay --edit changes a dead one"
                if job.info.state is JobState.DEAD
                else "enqueue it anew"
            )
            msg = f"job '{job_id}' is {job.info.state}: {cure}"
            raise ChangeRefused(msg)
        given = edited_payload(job, edit, self._registry())
        keys = self._keys(job)
        _check(await self._scripts.rewrite(keys, job_id, job.payload or b"", given), job_id)

    def _keys(self, job: JobDetail) -> Keys:
        return self._inspector.shards(job.at)[0]  # the first bears the queue's name


def _counted(tally: Tally, page: JobPage) -> Tally:
    looked, matched = tally.looked + page.looked, tally.matched + len(page.jobs)
    return replace(tally, looked=looked, matched=matched, cursor=page.cursor)


def _check(answer: int, job_id: str) -> None:
    if answer == Change.MISSING:
        msg = f"there is no job '{job_id}' (any more)"
        raise UnknownJob(msg)
    if answer == Change.RUNS:
        msg = f"job '{job_id}' runs: it is left as it is"
        raise ChangeRefused(msg)
    if answer == Change.OTHER:
        msg = f"job '{job_id}' was changed by somebody else meanwhile: look at it again"
        raise ChangeRefused(msg)
