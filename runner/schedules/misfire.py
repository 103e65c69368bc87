"""Which of the ticks since the last one still run. Pure.

    catch_up   of the ticks in (last, now] that are within the grace
    latest     the last of them runs, the others are missed
    all        each runs, oldest first, at most MAX_CATCH_UP of them (the newest)
    none       only a tick that is on time runs: not later than ON_TIME_MS

Ticks older than the grace are missed in every case.
"""

from dataclasses import dataclass

from .schedule import Schedule

MAX_CATCH_UP = 100
ON_TIME_MS = 5_000
"""How late a tick may be and still count as on time: a busy worker, a slow server."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about the ticks since the last one.

    Attributes:
        run: ticks that become jobs, oldest first.
        upto_ms: the newest tick considered; the schedule goes on after it. The old last when none is due.
        missed: how many ticks will not run. Beyond 10,000 it stops counting.
    """

    run: tuple[int, ...]
    upto_ms: int
    missed: int


def plan(schedule: Schedule, last_ms: int, now_ms: int) -> Plan:
    """Decide about every tick in (last, now]; one step for each tick within the grace."""
    grace_ms = ON_TIME_MS if schedule.catch_up == "none" else round(schedule.misfire_grace_s * 1000)
    oldest_ms = now_ms - grace_ms - 1
    missed = _count(schedule, last_ms, min(oldest_ms, now_ms)) if last_ms < oldest_ms else 0
    ticks = _ticks(schedule, max(last_ms, oldest_ms), now_ms)
    if not ticks:
        upto = last_ms if not missed else max(last_ms, oldest_ms)
        return Plan((), upto, missed)
    keep = len(ticks) if schedule.catch_up == "all" else 1
    run = ticks[-min(keep, MAX_CATCH_UP) :]
    return Plan(tuple(run), ticks[-1], missed + len(ticks) - len(run))


def _ticks(schedule: Schedule, after_ms: int, upto_ms: int) -> list[int]:
    found: list[int] = []
    tick = schedule.after(after_ms)
    while tick is not None and tick <= upto_ms:
        found.append(tick)
        tick = schedule.after(tick)
    return found


def _count(schedule: Schedule, after_ms: int, upto_ms: int, limit: int = 10_000) -> int:
    count, tick = 0, schedule.after(after_ms)
    while tick is not None and tick <= upto_ms and count < limit:
        count, tick = count + 1, schedule.after(tick)
    return count
