"""Enqueueing with conditions, as typed calls: unique jobs, and queues that hold only so many.

A call without conditions goes by ``Scripts.enqueue``, which costs less.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ..unique import Sole
from .keys import Keys
from .scripts import Entry, Execute, run_script

Word = Literal["CREATED", "DUPLICATE", "REPLACED", "REJECTED", "FULL", "CROWDED"]

_NO_SOLE = Sole("", "done", "keep", 0, 0, 0)


class Wish(NamedTuple):
    """A job to enqueue, and what it asks for as a unique one."""

    entry: Entry
    sole: Sole | None


class Admission(NamedTuple):
    """What became of a wish.

    Attributes:
        word: as ``enqueue_checked.lua`` lists them.
        about: id of the job that was made, replaced, or is there already; with FULL how many wait, with
            CROWDED how many the tenant has.
        at: the shard that said so.
    """

    word: Word
    about: str
    at: str


class Look(NamedTuple):
    """What a shard has already of new jobs.

    Attributes:
        waiting: jobs that wait in it.
        jobs: for each new one 2: it, or one that does the same, is here; 1: only its digest; 0: neither. And
            how many jobs of its tenant are counted here.
    """

    waiting: int
    jobs: list[tuple[int, int]]


async def enqueue_checked(
    execute: Execute,
    keys: Keys,
    wishes: Sequence[Wish],
    *,
    most: int,
    drops: bool = False,
    most_owned: int = 0,
    now_ms: int = 0,
) -> list[Admission]:
    """Put up to 500 jobs into one queue, in their order, as far as they may come in.

    Args:
        execute: sends one command.
        keys: of the queue.
        wishes: the jobs.
        most: jobs that may wait; 0 for any number.
        drops: make room by dropping those that wait longest.
        most_owned: jobs of one tenant that may be there, running or not; 0 for any number.
        now_ms: a clock of one's own.

    Raises:
        QueueFull: the server is out of memory; nothing was written.
    """
    args: list[Any] = [keys.arq, keys.ours, keys.here, now_ms, most, int(drops), most_owned]
    for entry, sole in wishes:
        args += (*entry, *(sole or _NO_SOLE))
    names = (keys.queue, keys.running, keys.suspects, keys.dead, keys.abort)
    reply = iter(await run_script(execute, "enqueue_checked", names, args))
    return [
        Admission(word.decode(), about.decode(), keys.at) for word, about in zip(reply, reply, strict=True)
    ]


async def look(execute: Execute, keys: Keys, jobs: Sequence[tuple[str, str, str]]) -> Look:
    """See which of up to 500 new jobs, given by id, digest and tenant, a shard has already."""
    flat = [part for job in jobs for part in job]
    names = (keys.queue, keys.running)
    waiting, *found = await run_script(execute, "look", names, (keys.arq, keys.ours, keys.here, *flat))
    return Look(waiting, list(zip(found[::2], found[1::2], strict=True)))


async def room(execute: Execute, keys: Keys, *, most: int) -> int:
    """Say how many more jobs a queue takes in."""
    return await run_script(execute, "room", (keys.queue, keys.running), (most,))
