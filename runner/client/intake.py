"""The way in: calls of one moment share a round trip, and those with conditions go by another script.

A queue with ``max_waiting`` is never filled beyond it: the script that makes a job counts. ``wait`` asks
again when there is room, in line (room.py); only what waits in line is given up, never a call on its way.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import DuplicateJob, QueueFull
from ..shards import Shards
from ..wire.coalesce import Coalesced
from ..wire.intake import Admission, Wish, Word, enqueue_checked, room
from ..wire.keys import Keys, Layout, keys_of
from ..wire.scripts import Entry, Execute, Scripts
from .bound import UNBOUND, Bound
from .job import Disposition
from .room import Room
from .spread import admit_spread

_DISPOSITIONS: dict[Word, Disposition] = {
    "CREATED": "created",
    "DUPLICATE": "duplicate",
    "REPLACED": "replaced",
    "REJECTED": "duplicate",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of many calls."""

    created: int
    replaced: int


class Intake:
    """Enqueues, on behalf of one client.

    Args:
        execute: sends one command.
        scripts: those of jobs without conditions.
        patiently: awaits a call that is safe to send twice, again while the server is away.
        layout: how keys are named.
        bounds: by the queue's name; others hold any number.
        shards: of the queues.
    """

    def __init__(
        self,
        execute: Execute,
        scripts: Scripts,
        patiently: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]],
        layout: Layout,
        *,
        bounds: Mapping[str, Bound],
        shards: Shards,
    ) -> None:
        self._execute = execute
        self._scripts = scripts
        self._patiently = patiently
        self._layout: Layout = layout
        self._bounds = bounds
        self._shards = shards
        self._plain: dict[str, Coalesced[Entry, bool]] = {}
        self._checked: dict[str, Coalesced[Wish, Admission]] = {}
        self._rooms: dict[str, Room] = {}

    async def put(self, queue: str, wish: Wish, task: str, *, is_named: bool) -> tuple[str, Disposition, str]:
        """Enqueue one call; gives the id of its job, or of the one that stands for it, and its shard.

        Args:
            queue: its name.
            wish: the job.
            task: its name.
            is_named: the job's id was chosen. A random id is nobody else's: if it was there already, the call
                was sent twice and had arrived.

        Raises:
            DuplicateJob: as its task declares.
            QueueFull: as the queue's bound says.
        """
        if wish.sole is None and queue not in self._bounds and not (is_named and self._is_spread(queue)):
            at = self._place(queue, wish)
            made = await self._inbox(at).put(wish.entry)
            return wish.entry.job_id, "created" if made or not is_named else "duplicate", at
        [admission] = await self._admit(queue, [wish])
        if admission.word == "REJECTED":
            raise DuplicateJob(task, admission.about)
        is_ours = admission.about == wish.entry.job_id and not is_named
        return admission.about, "created" if is_ours else _DISPOSITIONS[admission.word], admission.at

    async def put_many(self, queue: str, wishes: Sequence[Wish], *, wait: bool = True) -> Counts:
        """Enqueue up to 500 calls; what a task would reject counts as a duplicate.

        Args:
            queue: its name.
            wishes: the jobs.
            wait: for room, where the queue's bound says so; False: a full queue is told at once.

        Raises:
            QueueFull: as the queue's bound says; those before the first that found no room are enqueued.
        """
        is_plain = queue not in self._bounds and not self._is_spread(queue)
        if is_plain and all(wish.sole is None for wish in wishes):
            entries = [wish.entry for wish in wishes]
            return Counts(sum(await self._send(self._keys(queue), entries)), 0)
        words = [admission.word for admission in await self._admit(queue, wishes, wait=wait)]
        return Counts(words.count("CREATED"), words.count("REPLACED"))

    async def settled(self) -> None:
        """Wait until nothing is on its way; the errors are the callers'."""
        for waiting in self._rooms.values():
            waiting.close()
        inboxes = (*self._plain.values(), *self._checked.values())
        await asyncio.gather(*(inbox.settled() for inbox in inboxes))

    async def _admit(self, queue: str, wishes: Sequence[Wish], *, wait: bool = True) -> list[Admission]:
        """Ask until none finds the queue full, or none has come in for as long as the bound waits."""
        inbox, bound, loop = self._checked_inbox(queue), self._bounds.get(queue), asyncio.get_running_loop()
        answers: list[Admission] = list(await asyncio.gather(*map(inbox.put, wishes)))
        left, give_up_at, is_first = _refused(answers), 0.0, False
        while left and bound is not None:
            if bound.when_full != "wait" or not wait or _crowded(answers):
                raise _full(queue, bound, answers, len(left))
            give_up_at = give_up_at or loop.time() + bound.wait_s
            try:
                async with asyncio.timeout_at(give_up_at):
                    await self._room(queue, bound).turn(is_first=is_first)
            except TimeoutError:
                raise _full(queue, bound, answers, len(left), waited_s=bound.wait_s) from None
            for i, answer in zip(
                left, await asyncio.gather(*(inbox.put(wishes[i]) for i in left)), strict=True
            ):
                answers[i] = answer
            before, left, is_first = len(left), _refused(answers), True
            give_up_at = give_up_at if len(left) == before else 0.0
        return answers

    def _room(self, queue: str, bound: Bound) -> Room:
        if queue not in self._rooms:
            self._rooms[queue] = Room(partial(self._free, queue, bound.max_waiting))
        return self._rooms[queue]

    async def _free(self, queue: str, most: int) -> int:
        shards = self._shards.of(queue)
        free = await asyncio.gather(*(room(self._execute, self._keys(at), most=most) for at in shards))
        return max(0, sum(free) - most * (len(shards) - 1))

    def _inbox(self, queue: str) -> Coalesced[Entry, bool]:
        inbox = self._plain.get(queue)
        if inbox is None:
            send = partial(self._send, self._keys(queue))
            inbox = self._plain[queue] = Coalesced(send, size=lambda entry: len(entry.payload))
        return inbox

    def _checked_inbox(self, queue: str) -> Coalesced[Wish, Admission]:
        inbox = self._checked.get(queue)
        if inbox is None:
            send = partial(self._send_checked, queue)
            inbox = self._checked[queue] = Coalesced(send, size=lambda wish: len(wish.entry.payload))
        return inbox

    async def _send(self, keys: Keys, entries: Sequence[Entry]) -> list[bool]:
        return await self._patiently(lambda: self._scripts.enqueue(keys, entries))

    async def _send_checked(self, queue: str, wishes: Sequence[Wish]) -> list[Admission]:
        bound, keys = self._bounds.get(queue, UNBOUND), self._keys(queue)
        if self._is_spread(queue):
            shards = {at: self._keys(at) for at in self._shards.of(queue)}
            places = [self._place(queue, wish) for wish in wishes]
            return await self._patiently(lambda: admit_spread(self._execute, shards, wishes, places, bound))
        drops = bound.when_full == "drop_oldest"
        most, most_owned = bound.max_waiting, bound.max_per_tenant
        return await self._patiently(
            lambda: enqueue_checked(
                self._execute, keys, wishes, most=most, drops=drops, most_owned=most_owned
            )
        )

    def _is_spread(self, queue: str) -> bool:
        return len(self._shards.of(queue)) > 1

    def _place(self, queue: str, wish: Wish) -> str:
        (job_id, _, _, _, lane), sole = wish
        return self._shards.place(queue, job_id, lane=lane, digest=sole.digest if sole else "")

    def _keys(self, queue: str) -> Keys:
        return keys_of(queue, self._layout)


def _refused(answers: Sequence[Admission]) -> list[int]:
    return [i for i, answer in enumerate(answers) if answer.word in ("FULL", "CROWDED")]


def _crowded(answers: Sequence[Admission]) -> str:
    """Say how many jobs a tenant has that may have no more; empty where none was refused for that."""
    return next((answer.about for answer in answers if answer.word == "CROWDED"), "")


def _full(
    queue: str, bound: Bound, answers: Sequence[Admission], refused: int, *, waited_s: float = 0
) -> QueueFull:
    rest = f"; {len(answers) - refused} of {len(answers)} calls were taken" if len(answers) > 1 else ""
    if has := _crowded(answers):
        return QueueFull(
            f"queue '{queue}': the tenant has {int(has):,} jobs in it, and queues.{queue}.max_per_tenant = "
            f"{bound.max_per_tenant:,}; not enqueued{rest}"
        )
    waiting = next(int(answer.about) for answer in answers if answer.word == "FULL")
    waited = f", also after {waited_s:g} s" if waited_s else ""
    return QueueFull(
        f"queue '{queue}' is full: {waiting:,} jobs wait{waited}, and queues.{queue}.max_waiting = "
        f"{bound.max_waiting:,}; not enqueued{rest}"
    )
