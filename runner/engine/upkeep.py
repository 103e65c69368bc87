"""What goes on beside serving: leases are renewed, queues looked after, and the worker says that it lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ..clock import SYSTEM_CLOCK
from ..dead_letters import Retention
from ..wire.keys import Keys
from ..wire.opening import AnyTracking
from ..wire.scripts import Execute, Scripts
from .connect import Rules, restore_rules
from .dead import look_after
from .presence import Presence
from .renew import renew
from .running import Running
from .survive import TROUBLE, Patience

logger = logging.getLogger("runner.engine")

TICKS_A_LEASE = 6
RENEW_EVERY = 2
PRESENCE_EVERY = 6
IDLE_LOOK_EVERY = 4
IDLE_MAINTAIN_EVERY = 12
IDLE_DEAD_EVERY = 24
"""In ticks. A busy worker looks for jobs of dead ones at each tick, after dead letters as often as it renews.
An idle one claims those jobs anyway, is told of new ones, and sends less than a command a second in all."""
MAINTAINED_JOBS = 500
"""Jobs looked at by one step of upkeep over one queue."""


@dataclass(kw_only=True)
class Upkeep:
    """The steady work of one worker.

    Attributes:
        execute: sends one command.
        scripts: how to reach the server.
        keys: of the queues served, by ZSET.
        running: whose leases are kept.
        lease_s: length of a lease; renewed at a third of it.
        safety_poll_s: longest pause while the server does not push.
        counts: completed, failed and retried so far.
        on_tick: called after each tick, to look at what pushes may have missed.
        retention: how long dead letters stay.
        rules: of lanes and gates, by queue name, to be written again where they are gone.
        tell_more: what else is told with the word that the worker lives.
    """

    execute: Execute
    scripts: Scripts
    keys: Mapping[str, Keys]
    running: Running
    lease_s: float
    safety_poll_s: float
    counts: Callable[[], tuple[int, int, int]]
    on_tick: Callable[[], None]
    retention: Retention
    rules: Rules
    tell_more: Callable[[], Awaitable[None]]
    cursor: dict[str, int] = field(default_factory=dict[str, int])

    async def run(self, tracking: AnyTracking, presence: Presence | None) -> None:
        """Tick until cancelled. A tick that fails is tried again soon: leases do not wait.

        Args:
            tracking: tells whether the server pushes.
            presence: says that this worker lives; None for a worker that does not (burst).
        """
        tracking.start()
        patience, ticks = Patience(), 0
        while True:
            pause_s = self.lease_s / TICKS_A_LEASE
            if not tracking.is_on:
                pause_s = min(pause_s, self.safety_poll_s)
            try:
                await self._tick(ticks, presence)
                patience.reset()
                ticks += 1
            except TROUBLE:
                pause_s = min(pause_s, patience.next_delay_s())
            except Exception:
                logger.exception("upkeep failed; it goes on")
            await asyncio.sleep(pause_s)
            is_calm = tracking.is_on and not self.running.attempts
            if not patience.failures and ticks % (IDLE_LOOK_EVERY if is_calm else RENEW_EVERY) == 0:
                self.on_tick()

    async def _tick(self, ticks: int, presence: Presence | None) -> None:
        if ticks % RENEW_EVERY == 0:
            await self.renew()
            self.running.release_unstarted()
        if presence is not None and ticks % PRESENCE_EVERY == 0:
            completed, failed, retried = self.counts()
            telling = presence.tell(
                running=len(self.running.attempts),
                completed=completed,
                failed=failed,
                retried=retried,
                now_ms=SYSTEM_CLOCK.now_ms(),
            )
            await asyncio.gather(telling, self.tell_more())  # one trip
        if ticks % IDLE_MAINTAIN_EVERY == 1:
            for keys in self.keys.values():
                await restore_rules(keys, self.rules, self.execute)
        if ticks and (self.running.attempts or ticks % IDLE_MAINTAIN_EVERY == 0):
            await self.maintain(MAINTAINED_JOBS)
        if ticks and ticks % (RENEW_EVERY if self.running.attempts else IDLE_DEAD_EVERY) == 0:
            for keys in self.keys.values():
                await look_after(
                    self.execute, keys, self.running.runnables, self.retention, self.running.worker
                )

    async def renew(self) -> None:
        """Move the ends of all leases held."""
        await renew(
            self.scripts,
            [attempt for attempt in self.running.attempts.values() if not attempt.is_over],
            self.keys,
            lease_ms=round(self.lease_s * 1000),
            on_lost=lambda attempt: self.running.cancel(attempt, "lost"),
        )

    async def reach(self) -> None:
        """Renew, and come back when the server takes writes for each queue, also where nothing is held.

        Raises:
            redis.exceptions.RedisError: it does not.
        """
        await self.renew()
        nobodys = [("", "")]
        asked = (self.scripts.renew(keys, nobodys, lease_ms=1) for keys in self.keys.values())
        await asyncio.gather(*asked)

    async def maintain(self, limit: int) -> None:
        """Make one bounded step over each queue."""
        for queue, keys in self.keys.items():
            cursor = self.cursor.get(queue, 0)
            self.cursor[queue] = await self.scripts.maintain(keys, cursor=cursor, limit=limit)

    async def look_for_aborts(self) -> None:
        """Cancel running jobs that somebody asked to abort; drop requests for jobs that do not exist.

        Those would meet the next job of their id.
        """
        asked: set[str] = set()
        aborts = dict.fromkeys(keys.abort for keys in self.keys.values())
        for found in await asyncio.gather(*(self.execute("ZRANGE", abort, 0, -1) for abort in aborts)):
            asked.update(job_id.decode() for job_id in found)
        for job_id in asked & self.running.attempts.keys():
            self.running.cancel(self.running.attempts[job_id], "abort")
        if asked - self.running.attempts.keys():
            await self.maintain(limit=100)
