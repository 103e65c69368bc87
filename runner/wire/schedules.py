"""Typed calls of the scripts that schedules use, and the reading of their state."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .keys import Keys
from .scripts import Execute, run_script

MAX_TICKS = 100
"""Ticks one script call may carry."""


class Tick(NamedTuple):
    """One tick to make, as ``cron_tick.lua`` takes it; an empty ``job_id`` only moves the schedule on."""

    name: str
    fingerprint: str
    last_ms: int
    tick_ms: int
    missed: int
    overlap: str
    most: int
    limit: int
    job_id: str
    due_ms: int
    payload: bytes


class Answer(NamedTuple):
    """What became of it: a word of ``cron_tick.lua``'s header, and the number that goes with it."""

    word: str
    number: int


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """What the server knows of a schedule.

    Attributes:
        last_ms: its last tick, made or not; None before it was first seen.
        fingerprint: of the rule it was made by.
        is_paused: whether somebody paused it.
        made: ticks that became jobs.
        skipped: ticks left out because an earlier job had not ended.
        missed: ticks that came too late.
        is_buffering: whether a tick waits for an earlier job to end.
    """

    last_ms: int | None
    fingerprint: str
    is_paused: bool
    made: int
    skipped: int
    missed: int
    is_buffering: bool


async def tick(execute: Execute, keys: Keys, ticks: Sequence[Tick], *, now_ms: int = 0) -> list[Answer]:
    """Make up to 100 ticks of schedules whose jobs go to one queue."""
    flat = [part for each in ticks for part in each]
    reply = await run_script(
        execute, "cron_tick", (keys.queue, keys.abort), (keys.arq, keys.ours, now_ms, *flat)
    )
    return [Answer(reply[i].decode(), int(reply[i + 1])) for i in range(0, len(reply), 2)]


async def flush(execute: Execute, keys: Keys, name: str, *, now_ms: int = 0) -> int:
    """Make a buffered tick's job if the earlier one has ended: 1 made, 0 not yet, 2 nothing buffered."""
    names = (keys.queue, keys.abort, keys.schedule(name))
    return await run_script(execute, "cron_flush", names, (keys.arq, keys.ours, now_ms))


async def states(execute: Execute, keys: Keys, names: Sequence[str]) -> list[ScheduleState]:
    """Read the states of schedules, in one trip."""
    fields = ("last", "print", "paused", "made", "skipped", "missed", "next_id")
    replies = await asyncio.gather(*(execute("HMGET", keys.schedule(name), *fields) for name in names))
    return [
        ScheduleState(
            last_ms=None if last is None else int(last),
            fingerprint=(print_ or b"").decode(),
            is_paused=paused is not None,
            made=int(made or 0),
            skipped=int(skipped or 0),
            missed=int(missed or 0),
            is_buffering=next_id is not None,
        )
        for last, print_, paused, made, skipped, missed, next_id in replies
    ]


async def pause(execute: Execute, keys: Keys, name: str, *, is_paused: bool, now_ms: int) -> None:
    """Stop or resume a schedule; a resumed one goes on from now, without the ticks in between."""
    if is_paused:
        await execute("HSET", keys.schedule(name), "paused", now_ms)
    else:
        await run_script(execute, "cron_resume", (keys.schedule(name),), (now_ms,))
