"""Typed calls of the scripts that schedules use, and the reading of their state and definitions."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .keys import Keys
from .scripts import Execute, run_script

MAX_TICKS = 100
"""Ticks, or jobs, that one script call may carry."""
MAX_STATES = 500
"""States that one call may read."""
MAX_CHANGES = 1000
"""Changes that one look may find."""


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
        late_ms: how late the last job was made; None before the first.
        is_gone: whether it was removed at run time.
        is_defined: whether there is a definition of it, made at run time.
    """

    last_ms: int | None
    fingerprint: str
    is_paused: bool
    made: int
    skipped: int
    missed: int
    is_buffering: bool
    late_ms: int | None
    is_gone: bool
    is_defined: bool


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a look: definitions by name, None for what has none (removed, or of code)."""

    seen: int
    definitions: dict[str, bytes | None]


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
    """Read the states of schedules of one queue, 500 a trip."""
    found: list[ScheduleState] = []
    for start in range(0, len(names), MAX_STATES):
        some = names[start : start + MAX_STATES]
        found += map(_state, await run_script(execute, "cron_states", (keys.schedules,), (keys.ours, *some)))
    return found


async def pause(execute: Execute, keys: Keys, name: str, *, is_paused: bool, now_ms: int = 0) -> bool:
    """Stop or resume a schedule; a resumed one goes on from now, without the ticks in between."""
    names = (keys.schedule(name), keys.schedule_changes)
    return bool(await run_script(execute, "cron_pause", names, (now_ms, name, int(is_paused))))


async def put(
    execute: Execute, keys: Keys, name: str, *, fingerprint: str, definition: bytes, now_ms: int = 0
) -> bool:
    """Define a schedule or redefine it; whether it is new."""
    names = (keys.schedules, keys.schedule_changes, keys.schedule(name))
    return bool(await run_script(execute, "cron_put", names, (now_ms, name, fingerprint, definition)))


async def drop(execute: Execute, keys: Keys, name: str, *, now_ms: int = 0) -> bool:
    """Remove a defined schedule; whether there was one."""
    names = (keys.schedules, keys.schedule_changes, keys.schedule(name))
    return bool(await run_script(execute, "cron_drop", names, (now_ms, name)))


async def run(
    execute: Execute, keys: Keys, name: str, jobs: Sequence[tuple[str, bytes]], *, now_ms: int = 0
) -> list[bool]:
    """Make up to 100 jobs, each id and payload, out of turn; which were made."""
    names = (keys.queue, keys.abort, keys.schedule(name))
    flat = [part for job in jobs for part in job]
    given = await run_script(execute, "cron_run", names, (keys.arq, keys.ours, now_ms, *flat))
    return [made == 1 for made in given]


async def newest(execute: Execute, keys: Keys) -> int:
    """Give the number of the last change; 0 when there was none."""
    found = await execute("ZREVRANGE", keys.schedule_changes, 0, 0, "WITHSCORES")
    return int(float(found[1])) if found else 0


async def changes(execute: Execute, keys: Keys, seen: int) -> Changes:
    """Give what changed after the change of that number, at most 1,000 schedules."""
    found = await execute(
        "ZRANGE", keys.schedule_changes, f"({seen}", "+inf", "BYSCORE",
        "LIMIT", 0, MAX_CHANGES, "WITHSCORES",
    )  # fmt: skip
    names = [name.decode() for name in found[::2]]
    if not names:
        return Changes(seen, {})
    values = await execute("HMGET", keys.schedules, *names)
    return Changes(int(float(found[-1])), dict(zip(names, values, strict=True)))


async def definition(execute: Execute, keys: Keys, name: str) -> bytes | None:
    """Give one definition."""
    return await execute("HGET", keys.schedules, name)


async def definitions(execute: Execute, keys: Keys) -> AsyncIterator[tuple[str, bytes]]:
    """Give all definitions, 1,000 a trip; one that changes meanwhile may come twice."""
    cursor = b"0"
    while True:
        cursor, flat = await execute("HSCAN", keys.schedules, cursor, "COUNT", 1000)
        for i in range(0, len(flat), 2):
            yield flat[i].decode(), flat[i + 1]
        if int(cursor) == 0:
            return


def _state(reply: list[Any]) -> ScheduleState:
    defined, last, print_, paused, made, skipped, missed, next_id, late, gone = reply
    return ScheduleState(
        last_ms=None if last is None else int(last),
        fingerprint=(print_ or b"").decode(),
        is_paused=paused is not None,
        made=int(made or 0),
        skipped=int(skipped or 0),
        missed=int(missed or 0),
        is_buffering=next_id is not None,
        late_ms=None if late is None else int(late),
        is_gone=gone is not None,
        is_defined=defined == 1,
    )
