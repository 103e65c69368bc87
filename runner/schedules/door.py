"""The door to the schedules, for web apps and the command line."""

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Unpack

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import InvalidTask, UnknownSchedule
from ..registry import Registry
from ..tasks import Task
from ..wire import schedules as wire
from ..wire.keys import Keys, Layout, keys_of
from ..wire.scripts import Execute
from .collect import rule_of, unknown_task
from .declare import Duration, ScheduleOptions, declare
from .definition import decode_schedule, encode_schedule
from .kept import payload_of
from .schedule import Rule, Schedule

Instants = list[int]
MAX_BACKFILL = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule and how it stands.

    Attributes:
        schedule: what it is.
        state: what the server knows of it.
        is_declared: whether code or settings declare it; False: made at run time.
        next_ms: its next tick; None when there is none, or while it is paused.
    """

    schedule: Schedule
    state: wire.ScheduleState
    is_declared: bool
    next_ms: int | None


class Schedules:
    """Makes, changes, runs and shows schedules; workers learn of it at once.

    Args:
        execute: sends one command; may send it again when the connection breaks.
        queues: names of the queues whose schedules there are.
        layout: how keys are named.
        registry: the tasks that may be scheduled.
        declared: schedules of code and settings: they can be paused and run, not redefined.
        clock: for what comes next.
    """

    def __init__(
        self,
        execute: Execute,
        *,
        queues: Iterable[str],
        layout: Layout = "classic",
        registry: Registry,
        declared: Sequence[Schedule] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._execute = execute
        self._layout: Layout = layout
        self._queues = {name: keys_of(name, layout) for name in queues}
        self._registry = registry
        self._declared = {schedule.name: schedule for schedule in declared}
        self._clock = clock

    # -- making -----------------------------------------------------------------------------------------

    async def upsert(
        self,
        name: str,
        /,
        *,
        task: Task[..., Any] | str,
        cron: str = "",
        every: Duration | None = None,
        tz: str = "UTC",
        anchor: datetime | None = None,
        **options: Unpack[ScheduleOptions],
    ) -> bool:
        """Make the schedule of that name, or change it; with another rule it goes on from now.

        Args:
            name: of the schedule.
            task: what it runs, or the name of a known task.
            cron: an expression as ``runner.cron`` takes it, or
            every: an interval.
            tz: of the cron expression.
            anchor: of the interval.
            **options: as ``runner.cron`` takes them.

        Returns:
            Whether it is new.

        Raises:
            InvalidTask: a line for each thing that is wrong.
        """
        rule = partial(rule_of, cron=cron, every=every, tz=tz, anchor=anchor)
        schedule = self._checked(name, task, rule, {**options, "name": name})
        for queue, keys in self._queues.items():
            if queue != schedule.queue:
                await wire.drop(self._execute, keys, name)
        keys, definition = self._queues[schedule.queue], encode_schedule(schedule)
        fingerprint = schedule.fingerprint
        return await wire.put(self._execute, keys, name, fingerprint=fingerprint, definition=definition)

    def _checked(
        self, name: str, task: Task[..., Any] | str, rule: Callable[[], Rule], options: ScheduleOptions
    ) -> Schedule:
        if name in self._declared:
            raise InvalidTask(f"schedule '{name}' is declared in code or settings: change it there")
        known = task if isinstance(task, Task) else self._registry.get(task)
        if known is None:
            raise InvalidTask(f"schedule '{name}': {unknown_task(self._registry, str(task))}")
        schedule = declare(rule, known, options)
        if schedule.queue not in self._queues:
            cure = f"worker.queues has {', '.join(self._queues)}"
            raise InvalidTask(f"schedule '{name}': no worker serves queue '{schedule.queue}'; {cure}")
        return schedule

    async def remove(self, name: str) -> None:
        """Remove a schedule that was made at run time; jobs it made stay.

        Raises:
            UnknownSchedule: there is none of that name.
            InvalidTask: it is declared in code or settings.
        """
        if name in self._declared:
            raise InvalidTask(
                f"schedule '{name}' is declared in code or settings: remove it there, or pause it"
            )
        await self._find(name)
        for keys in self._queues.values():
            await wire.drop(self._execute, keys, name)

    async def pause(self, name: str) -> bool:
        """Stop a schedule until it is resumed; whether it was running. Raises UnknownSchedule."""
        schedule = await self._find(name)
        return await wire.pause(self._execute, self._keys(schedule), name, is_paused=True)

    async def resume(self, name: str) -> bool:
        """Let a paused schedule go on from now; whether it was paused. Raises UnknownSchedule."""
        schedule = await self._find(name)
        return await wire.pause(self._execute, self._keys(schedule), name, is_paused=False)

    # -- running ----------------------------------------------------------------------------------------

    async def run_now(self, name: str) -> str:
        """Make a job of a schedule now, whatever runs already and paused or not.

        Returns:
            The job's id.

        Raises:
            UnknownSchedule: there is none of that name.
        """
        schedule = await self._find(name)
        job_id = f"cron:{name}:by-hand-{secrets.token_hex(6)}"
        payload = payload_of(schedule, self._clock.now_ms(), expires=False)
        await wire.run(self._execute, self._keys(schedule), name, [(job_id, payload)])
        return job_id

    async def backfill(
        self, name: str, start: datetime, until: datetime, *, dry_run: bool = False
    ) -> list[int]:
        """Make the jobs of past ticks, from ``start`` (included) to ``until`` (included), due at once.

        A tick whose job, result or dead letter is still there is left out; overlap and expiry do not count.
        It is repeated without harm as long as results are kept.

        Args:
            name: of the schedule.
            start: aware.
            until: aware, not in the future.
            dry_run: only say which ticks there are.

        Returns:
            The ticks of which jobs were made, or would be looked at.

        Raises:
            UnknownSchedule: there is none of that name.
            ValueError: naive or future instants, or more than 10,000 ticks.
        """
        schedule = await self._find(name)
        start_ms, until_ms = _instant_ms("from", start), _instant_ms("until", until)
        ticks = _ticks(schedule, start_ms, until_ms, self._clock.now_ms())
        if dry_run:
            return ticks
        made: list[int] = []
        for first in range(0, len(ticks), wire.MAX_TICKS):
            some = ticks[first : first + wire.MAX_TICKS]
            jobs = [(schedule.job_id(at), payload_of(schedule, at, expires=False)) for at in some]
            done = await wire.run(self._execute, self._keys(schedule), name, jobs)
            made += [at for at, is_made in zip(some, done, strict=True) if is_made]
        return made

    # -- reading ----------------------------------------------------------------------------------------

    async def list(self) -> list[Standing]:
        """Give all schedules by name."""
        found = {name: (schedule, True) for name, schedule in self._declared.items()}
        for keys in self._queues.values():
            async for name, data in wire.definitions(self._execute, keys):
                if name not in self._declared:
                    found[name] = decode_schedule(name, data), False
        by_queue: dict[str, list[tuple[Schedule, bool]]] = {}
        for schedule, is_declared in found.values():
            by_queue.setdefault(schedule.queue, []).append((schedule, is_declared))
        given: list[Standing] = []
        for some in by_queue.values():
            keys = self._keys(some[0][0])
            states = await wire.states(self._execute, keys, [schedule.name for schedule, _ in some])
            given += [self._standing(*each, state) for each, state in zip(some, states, strict=True)]
        return sorted(given, key=lambda each: each.schedule.name)

    async def show(self, name: str) -> Standing:
        """Give one schedule. Raises UnknownSchedule."""
        schedule = await self._find(name)
        [state] = await wire.states(self._execute, self._keys(schedule), [name])
        return self._standing(schedule, name in self._declared, state)

    async def next(self, name: str, count: int = 5) -> Instants:
        """Give the next ticks (ms), as if it were not paused. Raises UnknownSchedule."""
        schedule = await self._find(name)
        ticks: list[int] = []
        tick = schedule.after(self._clock.now_ms())
        while tick is not None and len(ticks) < count:
            ticks.append(tick)
            tick = schedule.after(tick)
        return ticks

    def _standing(self, schedule: Schedule, is_declared: bool, state: wire.ScheduleState) -> Standing:
        is_over = schedule.count is not None and state.made >= schedule.count
        is_still = state.is_paused or is_over
        next_ms = None if is_still else schedule.after(max(self._clock.now_ms(), state.last_ms or 0))
        return Standing(schedule, state, is_declared, next_ms)

    async def _find(self, name: str) -> Schedule:
        if name in self._declared:
            return self._declared[name]
        for keys in self._queues.values():
            data = await wire.definition(self._execute, keys, name)
            if data is not None:
                return decode_schedule(name, data)
        raise UnknownSchedule(f"there is no schedule '{name}'; 'runner schedules list' shows what there is")

    def _keys(self, schedule: Schedule) -> Keys:
        return self._queues.get(schedule.queue) or keys_of(schedule.queue, self._layout)


def _instant_ms(name: str, moment: datetime) -> int:
    if moment.tzinfo is None:
        msg = f"{name}={moment!r} needs an aware datetime, add a tzinfo"
        raise ValueError(msg)
    return round(moment.timestamp() * 1000)


def _ticks(schedule: Schedule, start_ms: int, until_ms: int, now_ms: int) -> list[int]:
    if until_ms > now_ms:
        msg = f"a backfill ends in the past, not at {datetime.fromtimestamp(until_ms / 1000, UTC)}"
        raise ValueError(msg)
    ticks: list[int] = []
    tick = schedule.after(start_ms - 1)
    while tick is not None and tick <= until_ms:
        if len(ticks) == MAX_BACKFILL:
            msg = f"more than {MAX_BACKFILL:,} ticks: take a shorter time"
            raise ValueError(msg)
        ticks.append(tick)
        tick = schedule.after(tick)
    return ticks
