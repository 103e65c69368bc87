"""The end of a worker: cancelled calls end, outcomes are written, unfinished jobs are given back."""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from ..wire.outage import OTHERS_RENEW_S
from .claim import Rounds
from .running import Running
from .survive import TROUBLE, Patience, is_passing
from .wake import Wake

SETTLE_PATIENCE_S = 10.0
"""How long a stopping worker tries to write its last outcomes; their leases end soon after anyway."""


async def drain(running: Running, rounds: Rounds, wake: Wake) -> None:
    """Cancel what runs and write how it ended; give up on a server that stays away for SETTLE_PATIENCE_S.

    A claim whose answer was lost may have leased jobs: they are given back, too.
    """
    loop = asyncio.get_running_loop()
    deadline, patience = loop.time() + SETTLE_PATIENCE_S, Patience()
    while (running.attempts or rounds.has_lost_claim()) and loop.time() < deadline:
        await running.begin()  # it has stopped: gives back what has not begun
        for attempt in list(running.attempts.values()):
            running.cancel(attempt, "shutdown")
        running.release_unstarted()
        try:
            if rounds.unwritten:
                await rounds.run(in_flight=running.in_flight, slots=-1)
                continue
            await rounds.return_lost()
        except TROUBLE as error:
            if not is_passing(error):
                break
            await asyncio.sleep(min(patience.next_delay_s(), OTHERS_RENEW_S / 2))  # before others claim
        await wake.sleep(0.1)
    if closing := [each.carrier for each in running.closing.values() if each.carrier]:
        _, late = await asyncio.wait(closing, timeout=max(0.0, deadline - loop.time()))
        for carrier in late:
            carrier.cancel()
        await asyncio.gather(*late, return_exceptions=True)


async def to_the_end(leaving: Coroutine[Any, Any, None]) -> None:
    """Finish leaving even when cancelled again; a second signal has already cancelled the calls."""
    task = asyncio.get_running_loop().create_task(leaving)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
