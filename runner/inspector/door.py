"""The door that reads, for dashboards and the command line."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ..client import JobInfo
from ..dead_letters import DeadLetters, Filter
from ..dead_letters.letter import parse
from ..errors import UnknownJob, UnknownQueue
from ..job import JobState
from ..wire.keys import Keys, Layout, keys_of
from ..wire.queue_scripts import QueueScripts
from ..wire.scripts import Execute
from .detail import read_detail
from .groups import read_groups
from .pages import ANY, STATES, WAITING, JobFilter, read_running, read_waiting, row_of_letter
from .presence import MAX_WORKERS, read_workers, totals_of
from .together import standing_of, together
from .values import DeadGroups, JobDetail, JobPage, JobRow, Overview, QueueStanding, WorkerStanding

Info = Callable[[str, str], Awaitable[JobInfo]]
"""Gives what the client knows of a job, by queue and id."""


class Inspector:
    """Answers what is there, with a bounded number of small commands however many jobs there are.

    It writes nothing and never scans the keyspace. It works on the keys of a plain arq queue too: what only
    our workers write is then empty, and of payloads that are pickles the task is read, nothing loaded.

    Args:
        execute: sends one command and gives its reply; calls made in one go share a round trip.
        info: reads one job at one moment.
        queues: names of the queues, and of all their shards.
        layout: how keys are named.
    """

    def __init__(
        self, execute: Execute, *, info: Info, queues: Iterable[str], layout: Layout = "classic"
    ) -> None:
        self._execute = execute
        self._info = info
        self._scripts = QueueScripts(execute)
        self._layout: Layout = layout
        self._queues: Mapping[str, Keys] = {name: keys_of(name, layout) for name in queues}
        self._dead = DeadLetters(execute, queues=self._queues, layout=layout)

    @property
    def queue_names(self) -> Sequence[str]:
        """The queues of settings, heaviest first as they stand there."""
        return list(dict.fromkeys(keys.name for keys in self._queues.values()))

    async def overview(self) -> Overview:
        """Say how all queues and workers stand; two round trips."""
        standings, workers = await asyncio.gather(self.queues(), self.workers())
        at_ms = max((each.at_ms for each in standings), default=0)
        return Overview(at_ms=at_ms, queues=standings, workers=workers, totals=totals_of(workers))

    async def queues(self) -> list[QueueStanding]:
        """Say how each queue stands; one round trip."""
        return together(await self._standings(self._queues.values()))

    async def queue(self, name: str) -> QueueStanding:
        """Say how one queue, or one shard of it, stands; one round trip.

        Raises:
            UnknownQueue: settings name no such queue.
        """
        return replace(together(await self._standings(self.shards(name)))[0], queue=name)

    async def by_shard(self, name: str) -> list[QueueStanding]:
        """Say how each shard of a queue stands, by its own name; raises as ``queue``."""
        shards = self.shards(name)
        found = zip(shards, await self._standings(shards), strict=True)
        return [replace(standing, queue=keys.at) for keys, standing in found]

    async def _standings(self, shards: Iterable[Keys]) -> list[QueueStanding]:
        shards = list(shards)
        found = await asyncio.gather(*map(self._scripts.standing, shards))
        return [standing_of(keys.name, raw) for keys, raw in zip(shards, found, strict=True)]

    async def workers(self, *, limit: int = MAX_WORKERS) -> list[WorkerStanding]:
        """Give the workers, at most 1,000, the living first; two round trips."""
        return await read_workers(self._execute, limit=limit)

    async def find(
        self,
        wanted: JobFilter = ANY,
        *,
        queue: str | None = None,
        state: JobState | str | None = None,
        cursor: str = "",
        limit: int = 50,
        look: int = 1000,
    ) -> JobPage:
        """List jobs of several lists, one after the other; see ``jobs``.

        Args:
            wanted: which ones.
            queue: of this queue only; None for all.
            state: in this state only; None for running, ready and scheduled ones.
            cursor: of the page before; empty to begin.
            limit: jobs to give at most, but for running ones.
            look: jobs to look at, at most.

        Raises:
            UnknownQueue: settings name no such queue.
            ValueError: there is no list of that state, or the cursor belongs to other lists.
        """
        states = (JobState.RUNNING, *WAITING) if state is None else (state,)
        lists = [(name, each) for name in self._lists(queue, state) for each in states]
        found: list[JobRow] = []
        looked, at = 0, _list_of(cursor, lists)
        while at < len(lists):
            name, each = lists[at]
            if len(found) >= limit or looked >= look:
                return JobPage(found, cursor or f"{name}/{each}/0//", looked)
            page = await self._list(
                name, each, wanted, cursor=cursor, limit=limit - len(found), look=look - looked
            )
            found, looked, cursor = [*found, *page.jobs], looked + page.looked, page.cursor
            if not cursor:
                at += 1
        return JobPage(found, "", looked)

    async def jobs(
        self,
        queue: str,
        state: JobState | str,
        wanted: JobFilter = ANY,
        *,
        cursor: str = "",
        limit: int = 50,
        look: int = 1000,
    ) -> JobPage:
        """List jobs of a queue by state: ``ready``, ``scheduled``, ``running`` or ``dead``.

        Args:
            queue: its name, or that of one shard of it.
            state: one of these four; jobs that ended otherwise are in no list.
            wanted: which ones.
            cursor: of the page before; empty to begin.
            limit: jobs to give at most; of running ones a page has what the server gives in one step.
            look: jobs to look at, at most: 100 for two round trips. A page may be empty and have a cursor.

        Raises:
            UnknownQueue: settings name no such queue.
            ValueError: there is no list of that state, or the cursor belongs to another one.
        """
        if len(self._lists(queue, state)) > 1:
            return await self.find(wanted, queue=queue, state=state, cursor=cursor, limit=limit, look=look)
        return await self._list(queue, state, wanted, cursor=cursor, limit=limit, look=look)

    def _lists(self, queue: str | None, state: JobState | str | None) -> Sequence[str]:
        """Give the names of what is listed one after the other; dead letters are not by shard."""
        if queue is None:
            return self.queue_names if state == JobState.DEAD else list(self._queues)
        shards = self.shards(queue)
        return [queue] if state == JobState.DEAD else [keys.at for keys in shards]

    async def _list(
        self, queue: str, state: JobState | str, wanted: JobFilter, *, cursor: str, limit: int, look: int
    ) -> JobPage:
        keys = self.shards(queue)[0]
        if state not in STATES:
            msg = f"jobs are listed by state {', '.join(STATES)}; there is no list of '{state}' ones"
            raise ValueError(msg)
        state = JobState(state)
        if state in WAITING:
            return await read_waiting(
                self._scripts, keys, state, wanted, cursor=cursor, limit=limit, look=look
            )
        if state is JobState.RUNNING:
            return await read_running(self._execute, self._scripts, keys, wanted, cursor=cursor, look=look)
        asked, begin = Filter(task=wanted.task, text=wanted.text), f"{queue}/{state}/"
        cursor = cursor.removeprefix(begin).removeprefix("0//")
        page = await self._dead.find(asked, queue=queue, cursor=cursor, limit=limit, look=look)
        rows = [row_of_letter(letter) for letter in page.letters]
        return JobPage(rows, page.cursor and begin + page.cursor, page.looked)

    async def dead_groups(self, *, queue: str | None = None, look: int = 2000) -> DeadGroups:
        """Count dead letters that died alike: by queue, task, reason, class of the error and host.

        Args:
            queue: of this queue only; None for all.
            look: letters to look at, at most: 100 a round trip, of each queue the newest first.
        """
        return await read_groups(self._dead, queue=queue, look=look)

    async def job(self, job_id: str, *, queue: str | None = None) -> JobDetail:
        """Give all that is known of one job, of whichever queue; three round trips.

        Raises:
            UnknownQueue: settings name no such queue.
            UnknownJob: there is none of that id: never enqueued, or ended and its result is not kept.
        """
        shards = list(self._queues.values()) if queue is None else self.shards(queue)
        keys = await self._holder(job_id, shards)
        info = await self._info(keys.at, job_id)
        if info.state is JobState.UNKNOWN:
            raise UnknownJob(_unknown(job_id, [queue] if queue is not None else self.queue_names))
        return await read_detail(self._execute, keys, info)

    def shards(self, queue: str) -> list[Keys]:
        """Give the keys of all shards of a queue; of the name of a shard, its own.

        Raises:
            UnknownQueue: settings name no such queue.
        """
        found = [keys for keys in self._queues.values() if keys.name == queue]
        if queue not in self._queues:
            msg = f"there is no queue '{queue}' in worker.queues; there are {', '.join(self.queue_names)}"
            raise UnknownQueue(msg)
        return found or [self._queues[queue]]

    async def _holder(self, job_id: str, every: Sequence[Keys]) -> Keys:
        """Find which has a job of that id, its letter or its result; the first when none has it."""
        if len(every) == 1:
            return every[0]
        asked = [("ZSCORE", keys.queue, job_id) for keys in every]
        asked += [("ZSCORE", keys.dead, job_id) for keys in every]
        asked += [("GET", keys.result(job_id)) for keys in every]
        answers = await asyncio.gather(*(self._execute(*command) for command in asked))
        for number, answer in enumerate(answers):
            keys = every[number % len(every)]
            is_result = number >= 2 * len(every)
            # In the classic layout queues share their results: those say whose they are.
            if answer is not None and (not is_result or parse(answer).get("q") == keys.queue):
                return keys
        return every[0]


def _list_of(cursor: str, lists: Sequence[tuple[str, str]]) -> int:
    """Give the number of the list that a cursor stands in; 0 for none.

    Raises:
        ValueError: it stands in none of these.
    """
    found = [i for i, (queue, state) in enumerate(lists) if cursor.startswith(f"{queue}/{state}/")]
    if cursor and not found:
        msg = f"the cursor '{cursor[:80]}' is none of these lists: {', '.join('/'.join(x) for x in lists)}"
        raise ValueError(msg)
    return found[0] if found else 0


def _unknown(job_id: str, queues: Sequence[str]) -> str:
    where = f"queue {queues[0]}" if len(queues) == 1 else f"the queues {', '.join(queues)}"
    return f"there is no job '{job_id}' in {where}: never enqueued, or ended and its result is not kept"
