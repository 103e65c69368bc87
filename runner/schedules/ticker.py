"""The loop that makes each tick happen once: every worker runs it, the server lets one of them through.

A worker plans from the schedule's last tick and asks; the script moves ``last`` only from the value that was
planned from, so the others are told ALREADY and plan again. Time is the server's: a worker keeps the
difference to its own monotonic clock, and one that is early is told by how much.
"""

import asyncio
import contextlib
import heapq
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from .. import events
from ..clock import SYSTEM_CLOCK, Clock
from ..wire.keys import Keys
from ..wire.passing import TROUBLE
from ..wire.schedules import MAX_TICKS, Answer, Tick, flush, states, tick
from ..wire.scripts import Execute
from .definition import decode_schedule
from .kept import Kept
from .news import News

logger = logging.getLogger("runner.schedules")

PAUSED_LOOK_S = 5.0
BUFFERED_LOOK_S = 1.0
TROUBLE_PAUSE_S = 1.0
LONGEST_SLEEP_S = 30.0
"""The server's clock, and the list of changes, are read at least this often."""


class Ticker:
    """Ticks schedules for one worker.

    Args:
        execute: sends one command.
        schedules: declared in code or settings.
        queues: whose schedules made at run time are ticked too.
        clock: monotonic time of this process.
    """

    def __init__(
        self,
        execute: Execute,
        schedules: Iterable[Kept],
        *,
        queues: Sequence[Keys] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._execute = execute
        self._clock = clock
        self._declared = {kept.schedule.name: kept for kept in schedules}
        self._kept: dict[str, Kept] = {}
        self._news = News(execute, queues)
        self._heap: list[tuple[int, str]] = []
        self._buffering: set[str] = set()
        self._offset_ms = 0.0
        self._look_at = 0.0
        self._wake = asyncio.Event()

    def note_changed(self) -> None:
        """Schedules may have changed on the server: look soon."""
        self._look_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Tick until cancelled; after an outage the grace decides which ticks are caught up."""
        while True:
            try:
                await self.load()
                while True:
                    await self._sleep(await self.step())
            except TROUBLE as error:
                logger.warning("schedules wait for the server (%s: %s)", type(error).__name__, error)
                await asyncio.sleep(TROUBLE_PAUSE_S)

    async def load(self) -> None:
        """Read the server's clock, all definitions and every schedule's last tick; new ones begin now."""
        await self._read_clock()
        self._heap.clear()
        self._buffering.clear()
        self._kept = {}
        await self._take(list(self._declared.values()))
        async for keys, some in self._news.everything():
            await self._take_definitions(keys, some)

    async def step(self) -> float:
        """Make the ticks that are due now.

        Returns:
            Seconds until there is something to do.
        """
        if self._clock.monotonic() >= self._look_at:
            await self._look()
        now_ms = self.now_ms()
        due: dict[str, list[Kept]] = defaultdict(list)
        while self._heap and self._heap[0][0] <= now_ms:
            at_ms, name = heapq.heappop(self._heap)
            kept = self._kept.get(name)
            if kept is not None and kept.look_at_ms == at_ms:
                kept.look_at_ms = None
                due[kept.keys.queue].append(kept)
        for mine in due.values():
            await self._ask(mine, now_ms)
        await self._flush_buffered()
        until_s = (self._heap[0][0] - self.now_ms()) / 1000 if self._heap else LONGEST_SLEEP_S
        until_s = min(until_s, self._look_at - self._clock.monotonic())
        return max(0.0, min(until_s, BUFFERED_LOOK_S) if self._buffering else until_s)

    def now_ms(self) -> int:
        """Give the server's time as this worker knows it."""
        return int(self._clock.monotonic() * 1000 + self._offset_ms)

    # -- what there is ----------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Read the server's clock and what changed."""
        self._look_at = self._clock.monotonic() + LONGEST_SLEEP_S
        await self._read_clock()
        async for keys, some in self._news.changed():
            await self._take_definitions(keys, some)

    async def _read_clock(self) -> None:
        before = self._clock.monotonic()
        seconds, micros = await self._execute("TIME")
        middle = (before + self._clock.monotonic()) / 2
        self._offset_ms = int(seconds) * 1000 + int(micros) / 1000 - middle * 1000

    async def _take_definitions(self, keys: Keys, definitions: dict[str, bytes | None]) -> None:
        """Keep schedules by their definitions; None: removed, or a declared one, paused or resumed."""
        taken: list[Kept] = []
        for name, data in definitions.items():
            if name in self._declared:
                taken.append(self._declared[name])
                if data is not None:
                    logger.warning("schedule '%s' is declared in code: what was added is not used", name)
            elif data is None:
                self._kept.pop(name, None)
            else:
                try:
                    taken.append(Kept(decode_schedule(name, data), keys, is_defined=True))
                except ValueError as error:
                    logger.error("%s", error)
        await self._take(taken)

    async def _take(self, taken: Sequence[Kept]) -> None:
        by_queue: dict[str, list[Kept]] = defaultdict(list)
        for kept in taken:
            by_queue[kept.keys.queue].append(kept)
            self._kept[kept.schedule.name] = kept
        for mine in by_queue.values():
            read = await states(self._execute, mine[0].keys, [kept.schedule.name for kept in mine])
            fresh: list[Kept] = []
            for kept, state in zip(mine, read, strict=True):
                if kept.is_defined and not state.is_defined:
                    continue  # removed meanwhile
                is_known = not state.is_gone and state.fingerprint == kept.schedule.fingerprint
                if state.last_ms is None or not (is_known or kept.is_defined):
                    fresh.append(kept)
                    continue
                kept.last_ms = state.last_ms
                self._push(kept)
                if state.is_buffering:
                    self._buffering.add(kept.schedule.name)
            await self._announce(fresh)

    async def _announce(self, fresh: list[Kept]) -> None:
        """Tell the server of schedules it has not seen, or not by this rule: they go on from now."""
        for start in range(0, len(fresh), MAX_TICKS):
            some = fresh[start : start + MAX_TICKS]
            asked = [kept.announcement() for kept in some]
            for kept, answer in zip(some, await tick(self._execute, some[0].keys, asked), strict=True):
                kept.last_ms = answer.number
                self._push(kept)

    # -- ticking ----------------------------------------------------------------------------------------

    async def _ask(self, mine: list[Kept], now_ms: int) -> None:
        asked = [(kept, each) for kept in mine for each in kept.ticks(now_ms)]
        try:
            for start in range(0, len(asked), MAX_TICKS):
                some = asked[start : start + MAX_TICKS]
                answers = await tick(self._execute, mine[0].keys, [each for _, each in some])
                for (kept, each), answer in zip(some, answers, strict=True):
                    self._note(kept, each, answer)
        finally:
            for kept in mine:
                self._push(kept)

    def _note(self, kept: Kept, asked: Tick, answer: Answer) -> None:
        match answer.word:
            case "EARLY":
                self._offset_ms -= answer.number
                return
            case "ENDED" if kept.schedule.name in self._buffering:  # its last tick is still to be made
                kept.last_ms = asked.tick_ms
                return
            case "ENDED":
                self._kept.pop(kept.schedule.name, None)
                return
            case "PAUSED":
                kept.last_ms = self.now_ms() + round(PAUSED_LOOK_S * 1000)
                return
            case "OLD":
                self.note_changed()
            case "BUFFERED":
                self._buffering.add(kept.schedule.name)
            case "SKIPPED" | "ALREADY" if asked.overlap == "buffer_one":  # one may be kept, by whomever
                self._buffering.add(kept.schedule.name)
            case _:
                pass
        kept.last_ms = answer.number
        if answer.word in ("MADE", "SKIPPED", "BUFFERED", "MOVED"):
            self._tell(asked, answer.word)

    def _tell(self, asked: Tick, word: str) -> None:
        """Tell of a tick that this worker, and no other, decided about."""
        if asked.missed:
            logger.warning("schedule %s: %d ticks were missed", asked.name, asked.missed)
            events.emit("schedule.missed", schedule=asked.name, ticks=asked.missed, upto_ms=asked.tick_ms)
        if word == "MADE":
            late_ms = max(0, self.now_ms() - asked.tick_ms)
            events.emit(
                "schedule.ticked",
                schedule=asked.name,
                tick_ms=asked.tick_ms,
                late_ms=late_ms,
                job_id=asked.job_id,
            )
        elif word == "SKIPPED":
            logger.info("schedule %s: tick %d skipped, the job before it runs", asked.name, asked.tick_ms)
            events.emit("schedule.skipped", schedule=asked.name, tick_ms=asked.tick_ms)

    def _push(self, kept: Kept) -> None:
        """Look at it again at its next tick, unless it was replaced or removed meanwhile."""
        name = kept.schedule.name
        if self._kept.get(name) is kept and (at_ms := kept.schedule.after(kept.last_ms)) is not None:
            kept.look_at_ms = at_ms
            heapq.heappush(self._heap, (at_ms, name))

    async def _flush_buffered(self) -> None:
        names = sorted(self._buffering & self._kept.keys())
        done = await asyncio.gather(*(flush(self._execute, self._kept[name].keys, name) for name in names))
        self._buffering = {name for name, answer in zip(names, done, strict=True) if answer == 0}

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        if self._clock.monotonic() < self._look_at:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):  # wait_for of 3.11 may lose a cancellation
                    await self._wake.wait()
