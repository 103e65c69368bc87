"""What is written with the outcomes of jobs: how effects ended, and locks that are given back.

An effect has to be known to be done before its job is: were the job written first, a crash between the two
would leave a job that is over and an effect that looks begun. So ends of effects go first, in one of two
ways.

ahead    In the same trip as the outcomes, before them. One connection is read in order, and what breaks it
         cuts off a tail: the effect without the job may be written, never the job without the effect. Then
         the job runs again, and is given the stored result.
awaited  In a trip of its own, before the outcomes are sent, because a refusal of the first command alone
         would let the second one through: until the server has taken an end, after every refusal, on anything
         but one connection, and where records and jobs may lie on different servers (layout ``tagged``).

What is left: a server that took ends, has lost this script since (flushed, restarted) and has the one of
outcomes again, by another worker. The end it refuses is sent again at once, also by a worker that stops; a
crash before that leaves the effect unknown, and whoever comes next with its key is told so (RECOVER): it is
never repeated unseen.
"""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

from ..wire.coalesce import MAX_BATCH, fitting
from ..wire.effects import EffectEnd, EffectScripts, LockGive, Verdict, size_of_end
from ..wire.keys import Layout

logger = logging.getLogger("runner.middleware")

AGAIN_S = 1.0
LAST_S = 5.0
"""How long a worker that stops tries to write the ends of effects whose jobs are over."""


class Endings:
    """Gathers ends until outcomes are written.

    Args:
        scripts: of effects and locks.
        layout: how keys are named; in ``tagged`` nothing goes ahead.

    Attributes:
        ends: of effects, to be written before the outcomes of their jobs.
        gives: locks to be freed with them.
    """

    def __init__(self, scripts: EffectScripts, layout: Layout) -> None:
        self.ends: list[EffectEnd] = []
        self.gives: list[LockGive] = []
        self._scripts = scripts
        self._may_go_ahead = layout == "classic"
        self._is_sure = False
        self._is_closed = False
        self._writing = asyncio.Lock()
        self._rescuing: asyncio.Task[None] | None = None

    def before_outcomes(self) -> Awaitable[None] | None:
        """Send what goes ahead of outcomes; gives what to await before they are sent, or None."""
        if self.gives:
            self._give()
        if not self.ends or (self._is_sure and self._went_ahead()):
            return None
        return self.write()

    async def write(self) -> None:
        """Write all that stands in ``ends`` now; comes back when the server has it.

        Raises:
            redis.exceptions.RedisError: some are not written; they stay in ``ends``.
        """
        async with self._writing:  # who comes second waits for what the first one carries
            left = len(self.ends)
            while left > 0:
                some = self.ends[: fitting(self.ends[:left], size_of_end)]
                verdicts = await self._scripts.write(some)
                del self.ends[: len(some)]
                left -= len(some)
                self._is_sure = self._may_go_ahead
                _tell(some, verdicts)

    async def close(self) -> None:
        """Send nothing again any more, once what was refused alone is written, or LAST_S are over."""
        if self._rescuing is not None:
            await asyncio.wait([self._rescuing], timeout=LAST_S)
        self._is_closed = True
        if self._rescuing is not None:
            self._rescuing.cancel()
            await asyncio.gather(self._rescuing, return_exceptions=True)

    def _went_ahead(self) -> bool:
        if self._writing.locked() or fitting(self.ends, size_of_end) < len(self.ends):
            return False
        reply = self._scripts.send_ends(self.ends)
        if not isinstance(reply, asyncio.Future):  # a pool's: nobody knows in which order
            reply.close()
            return False
        reply.add_done_callback(partial(self._note, self.ends))
        self.ends = []
        return True

    def _give(self) -> None:
        gives, self.gives = self.gives, []
        for first in range(0, len(gives), MAX_BATCH):
            some = gives[first : first + MAX_BATCH]
            reply = asyncio.ensure_future(self._scripts.send_gives(some))
            reply.add_done_callback(partial(self._give_again, some))

    def _give_again(self, gives: Sequence[LockGive], reply: "asyncio.Future[Any]") -> None:
        """Give up what was refused, as without the script; if it is refused again, the lease ends it."""
        if reply.cancelled() or reply.exception() is not None:
            for give in gives:
                self._scripts.release.post(give)

    def _note(self, ends: list[EffectEnd], reply: "asyncio.Future[Any]") -> None:
        if not reply.cancelled() and reply.exception() is None:
            _tell(ends, reply.result())
            return
        self._is_sure = False
        self.ends[:0] = ends
        if not self._is_closed and (self._rescuing is None or self._rescuing.done()):
            self._rescuing = asyncio.get_running_loop().create_task(self._rescue())

    async def _rescue(self) -> None:
        while self.ends:
            try:
                await self.write()
            except Exception as error:  # noqa: BLE001 - whatever it is, the effects have happened
                logger.warning("effects have ended, and it cannot be written; trying again: %s", error)
                await asyncio.sleep(AGAIN_S)


def _tell(ends: Sequence[EffectEnd], verdicts: Sequence[Verdict]) -> None:
    for end, verdict in zip(ends, verdicts, strict=True):
        if not verdict:
            job_id = end[1].split(" ", 2)[2]
            logger.warning("the effect of job %s has ended, but another has its record now", job_id)
