"""The loop that makes each tick happen once: every worker runs it, the server lets one of them through.

A worker plans from the schedule's last tick and asks; the script moves ``last`` only from the value that was
planned from, so the others are told ALREADY and plan again. Time is the server's: a worker keeps the
difference to its own monotonic clock, and one that is early is told by how much.
"""

import asyncio
import heapq
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from redis.exceptions import RedisError

from ..clock import SYSTEM_CLOCK, Clock
from ..errors import QueueFull
from ..wire import codec
from ..wire.keys import Keys
from ..wire.schedules import MAX_TICKS, Answer, Tick, flush, states, tick
from ..wire.scripts import Execute
from .misfire import plan
from .schedule import Schedule

logger = logging.getLogger("runner.cron")

PAUSED_LOOK_S = 5.0
BUFFERED_LOOK_S = 1.0
LONGEST_SLEEP_S = 30.0
"""The server's clock is read at least this often."""
READ_AT_ONCE = 500


@dataclass(slots=True)
class Kept:
    """A schedule as this worker keeps it: with its queue's keys and the last tick it knows of."""

    schedule: Schedule
    keys: Keys
    last_ms: int = 0

    def next_ms(self) -> int | None:
        """Give the next tick, None when there is none."""
        return self.schedule.after(self.last_ms)

    def ticks(self, now_ms: int) -> list[Tick]:
        """Give what to ask of the server at this moment, oldest first."""
        decided, schedule = plan(self.schedule, self.last_ms, now_ms), self.schedule
        wanted = [(at, self._payload(at)) for at in decided.run]
        if not wanted and decided.upto_ms > self.last_ms:
            wanted = [(decided.upto_ms, b"")]
        asked: list[Tick] = []
        last_ms, missed = self.last_ms, decided.missed
        for at, payload in wanted:
            asked.append(
                Tick(
                    name=schedule.name,
                    fingerprint=schedule.fingerprint,
                    last_ms=last_ms,
                    tick_ms=at,
                    missed=missed,
                    overlap=schedule.overlap,
                    most=schedule.max_instances,
                    limit=schedule.count or 0,
                    job_id=schedule.job_id(at) if payload else "",
                    due_ms=schedule.due_ms(at),
                    payload=payload,
                )
            )
            last_ms, missed = at, 0
        return asked

    def _payload(self, at_ms: int) -> bytes:
        schedule = self.schedule
        expires_at_ms = 0 if schedule.expires_s is None else at_ms + round(schedule.expires_s * 1000)
        meta = codec.Meta(x=expires_at_ms)
        return codec.encode_job(schedule.task, tuple(schedule.args), dict(schedule.kwargs), at_ms, meta)


class Ticker:
    """Ticks schedules for one worker.

    Args:
        execute: sends one command.
        schedules: each with the keys of the queue its jobs go to.
        clock: monotonic time of this process.
    """

    def __init__(
        self, execute: Execute, schedules: Iterable[tuple[Schedule, Keys]], *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._execute = execute
        self._clock = clock
        self._kept = {schedule.name: Kept(schedule, keys) for schedule, keys in schedules}
        self._heap: list[tuple[int, str]] = []
        self._buffering: set[str] = set()
        self._offset_ms = 0.0

    async def run(self) -> None:
        """Tick until cancelled; after an outage the grace decides which ticks are caught up."""
        while True:
            try:
                await self.load()
                while True:  # noqa: ASYNC110 - the clock is what it waits for
                    await asyncio.sleep(await self.step())
            except (TimeoutError, RedisError, OSError, QueueFull) as error:
                logger.warning("schedules wait for the server (%s: %s)", type(error).__name__, error)
                await asyncio.sleep(BUFFERED_LOOK_S)

    async def load(self) -> None:
        """Read the server's clock and every schedule's last tick; one never seen begins now."""
        await self._read_clock()
        self._heap.clear()
        by_queue: dict[str, list[Kept]] = defaultdict(list)
        for kept in self._kept.values():
            by_queue[kept.keys.queue].append(kept)
        for mine in by_queue.values():
            for start in range(0, len(mine), READ_AT_ONCE):
                some = mine[start : start + READ_AT_ONCE]
                read = await states(self._execute, some[0].keys, [kept.schedule.name for kept in some])
                fresh: list[Kept] = []
                for kept, state in zip(some, read, strict=True):
                    if state.last_ms is None or state.fingerprint != kept.schedule.fingerprint:
                        fresh.append(kept)
                        continue
                    kept.last_ms = state.last_ms
                    self._push(kept)
                    if state.is_buffering:
                        self._buffering.add(kept.schedule.name)
                await self._announce(fresh)

    async def step(self) -> float:
        """Make the ticks that are due now.

        Returns:
            Seconds until there is something to do.
        """
        now_ms = self.now_ms()
        due: dict[str, list[Kept]] = defaultdict(list)
        while self._heap and self._heap[0][0] <= now_ms:
            kept = self._kept.get(heapq.heappop(self._heap)[1])
            if kept is not None:
                due[kept.keys.queue].append(kept)
        for mine in due.values():
            await self._ask(mine, now_ms)
        await self._flush_buffered()
        until_s = (self._heap[0][0] - self.now_ms()) / 1000 if self._heap else LONGEST_SLEEP_S
        if until_s > LONGEST_SLEEP_S / 2:
            await self._read_clock()
        return max(0.0, min(until_s, BUFFERED_LOOK_S if self._buffering else LONGEST_SLEEP_S))

    def now_ms(self) -> int:
        """Give the server's time as this worker knows it."""
        return int(self._clock.monotonic() * 1000 + self._offset_ms)

    async def _read_clock(self) -> None:
        seconds, micros = await self._execute("TIME")
        self._offset_ms = int(seconds) * 1000 + int(micros) / 1000 - self._clock.monotonic() * 1000

    async def _announce(self, fresh: list[Kept]) -> None:
        """Tell the server of schedules it has not seen, or not by this rule: they go on from now."""
        for start in range(0, len(fresh), MAX_TICKS):
            some = fresh[start : start + MAX_TICKS]
            asked = [
                Tick(k.schedule.name, k.schedule.fingerprint, 0, 0, 0, "skip", 0, 0, "", 0, b"") for k in some
            ]
            for kept, answer in zip(some, await tick(self._execute, some[0].keys, asked), strict=True):
                kept.last_ms = answer.number
                self._push(kept)

    async def _ask(self, mine: list[Kept], now_ms: int) -> None:
        asked = [(kept, each) for kept in mine for each in kept.ticks(now_ms)]
        for start in range(0, len(asked), MAX_TICKS):
            some = asked[start : start + MAX_TICKS]
            answers = await tick(self._execute, mine[0].keys, [each for _, each in some])
            for (kept, _), answer in zip(some, answers, strict=True):
                self._note(kept, answer)
        for kept in mine:
            self._push(kept)

    def _note(self, kept: Kept, answer: Answer) -> None:
        match answer.word:
            case "EARLY":
                self._offset_ms -= answer.number
            case "ENDED":
                self._kept.pop(kept.schedule.name, None)
            case "PAUSED":
                kept.last_ms = self.now_ms() + round(PAUSED_LOOK_S * 1000)
            case "BUFFERED":
                kept.last_ms = answer.number
                self._buffering.add(kept.schedule.name)
            case word:
                kept.last_ms = answer.number
                if word in ("MADE", "SKIPPED"):
                    logger.debug("schedule %s: tick %s %s", kept.schedule.name, answer.number, word.lower())

    def _push(self, kept: Kept) -> None:
        if kept.schedule.name in self._kept and (next_ms := kept.next_ms()) is not None:
            heapq.heappush(self._heap, (next_ms, kept.schedule.name))

    async def _flush_buffered(self) -> None:
        for name in list(self._buffering):
            kept = self._kept.get(name)
            if kept is None or await flush(self._execute, kept.keys, name) != 0:
                self._buffering.discard(name)
