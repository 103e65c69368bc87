"""What this process holds under leases of its own: locks, and idempotency records in progress.

These leases are apart from those of jobs, because a job's keys and an effect's may lie in different slots of
a cluster. They are as long and renewed as often, so none ends under a job that lives; and a later attempt of
the same job takes them over at once, since its claim proves that the earlier one is over.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from ..client.patience import patiently
from ..errors import LeaseLost
from ..job import Attempt
from ..outcome import Outcome, Retrying, Snoozed
from ..wire.bell import Bell
from ..wire.effects import EffectScripts, owner_of
from ..wire.keys import Layout
from ..wire.outage import OTHERS_RENEW_S
from .endings import Endings

logger = logging.getLogger("runner.middleware")

GRID_S = 0.25
"""Waiters look at common moments, so that their looks travel in one call."""


class Held:
    """Something that is, or may come to be, held for an attempt.

    Attributes:
        holds: where it is kept.
        key: of the lock or record, without the prefix.
        owner: who holds it, as the scripts know it.
        attempt: for whom; renewed no longer once that is over.
        running: cancelled when it is lost; None: what carries the attempt is.
        is_lost: somebody else may have it.
    """

    __slots__ = ("attempt", "holds", "is_lost", "key", "owner", "running")

    def __init__(self, holds: "Holds", key: str, attempt: Attempt) -> None:
        self.holds, self.key, self.attempt = holds, key, attempt
        self.owner = owner_of(attempt.token, attempt.fence, attempt.job_id)
        self.running: asyncio.Task[Any] | None = None
        self.is_lost = False

    def judge(self, outcome: Outcome) -> Outcome:
        """Give the outcome of a call that was cancelled for losing this: it comes back, no attempt spent."""
        if self.is_lost and isinstance(outcome, Retrying) and outcome.reason == "cancelled":
            return Snoozed(1000, f"lost {self.key}")
        return outcome


class Holds:
    """Keeps what is held until it is dropped, and waits for what others hold.

    Args:
        execute: sends one command.
        bell: tells of changes.
        layout: how keys are named.
        lease_s: how long something is kept without renewal; renewed at a third of it.
        address: what to call the server in errors.
        carrier_of: gives the asyncio task that carries an attempt, if it still does.

    Attributes:
        endings: what is written with the outcomes of jobs.
    """

    def __init__(
        self,
        execute: Callable[..., Awaitable[Any]],
        bell: Bell,
        *,
        layout: Layout = "classic",
        lease_s: float = 15.0,
        address: str = "?",
        carrier_of: Callable[[Attempt], asyncio.Task[Any] | None] = lambda _: None,
    ) -> None:
        patient = partial(patiently, for_s=lease_s, address=address)
        self.scripts = EffectScripts(
            execute, patient, layout=layout, bell=bell.channel, lease_ms=round(lease_s * 1000)
        )
        self.scripts.let_others_renew = self._let_others_renew
        self._bell = bell
        self._lease_s = lease_s
        self._carrier_of = carrier_of
        self._held: dict[tuple[str, str], Held] = {}
        self.endings = Endings(self.scripts, layout)
        self._timer: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Renew nothing any more; what is still held falls free with its lease."""
        if self._timer is not None:
            self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        await self.endings.close()
        await self._bell.close()

    def get(self, key: str, owner: str) -> Held | None:
        """Give what this owner holds under a key, or None."""
        return self._held.get((key, owner))

    def add(self, held: Held) -> None:
        """Renew from now on what was taken; if it gets lost, cancel what runs under it: see Held."""
        self._held[held.key, held.owner] = held
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._lease_s / 3, self._tick)

    def drop(self, held: Held) -> bool:
        """Renew it no longer; False when it was lost before."""
        return self._held.pop((held.key, held.owner), None) is held

    async def wait(self, topic: str, ask: Callable[[], Awaitable[int | None]], for_s: float) -> None:
        """Ask until there is nothing to wait for, at most so long.

        Args:
            topic: told by the scripts when asking again is worth it.
            ask: gives None to stop, or the ms after which it changes by itself unless renewed.
            for_s: longest wait.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + for_s
        with self._bell.listening(topic) as rung:
            while True:
                rung.clear()
                left_ms = await ask()
                now = loop.time()
                if left_ms is None or now >= give_up_at:
                    return
                look_at = now + min(left_ms / 1000, self._lease_s / 3)
                look_at = min(math.ceil(look_at / GRID_S) * GRID_S, give_up_at)
                await _set_or_late(rung, look_at - now)

    def _tick(self) -> None:
        self._timer = None
        live = [held for held in self._held.values() if not held.attempt.is_over]
        if live and self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew(live))
        elif self._held:
            self._timer = asyncio.get_running_loop().call_later(self._lease_s / 3, self._tick)

    async def _let_others_renew(self) -> None:
        """Keep what is held here, and let others keep theirs, before anybody here asks for more."""
        outage = self.scripts.outage
        if outage.is_on:
            await self.scripts.reach()
            await self._keep([held for held in self._held.values() if not held.attempt.is_over])
            outage.end()
        await asyncio.sleep(outage.left_s())

    async def _keep(self, live: Sequence[Held]) -> None:
        await self.endings.write()
        verdicts = await asyncio.gather(*(self.scripts.keep.put((h.key, h.owner)) for h in live))
        for held, verdict in zip(live, verdicts, strict=True):
            if not verdict:
                self._lose(held)

    async def _renew(self, live: list[Held]) -> None:
        pause_s = self._lease_s / 3
        try:
            await self._keep(live)
        except Exception as error:  # noqa: BLE001 - whatever it is, leases go on being renewed
            logger.warning("locks and records were not renewed, trying again: %s", error)
            pause_s = min(OTHERS_RENEW_S / 2, pause_s / 3)
        self._renewing = None
        if self._held and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._tick)

    def _lose(self, held: Held) -> None:
        if not self.drop(held):
            return
        held.is_lost = True
        logger.warning("lost %s to somebody else; what ran under it is cancelled", held.key)
        running = held.running or self._carrier_of(held.attempt)
        if running is not None:
            running.cancel(LeaseLost.__name__)


async def _set_or_late(event: asyncio.Event, for_s: float) -> None:
    loop = asyncio.get_running_loop()
    timer = loop.call_later(max(0.0, for_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
