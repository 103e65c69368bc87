"""How far running jobs are, told by the worker that runs them."""

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence

import msgspec

from ..job import Attempt
from ..wire.coalesce import Coalesced
from ..wire.keys import Keys
from ..wire.passing import TROUBLE
from ..wire.scripts import Scripts

logger = logging.getLogger("runner.client")

LONGEST_NOTE = 200


class Progress:
    """Writes down what running jobs report; what is behind ``ctx.progress``.

    Reports of one moment share a round trip, and of several by one job only the last is written. A server
    that is away costs the report, never the job.

    Args:
        scripts: how to reach the server.
        queues: whose jobs may report.
    """

    def __init__(self, scripts: Scripts, queues: Iterable[Keys]) -> None:
        self._scripts = scripts
        self._keys = {keys.queue: keys for keys in queues}
        self._reports: Coalesced[tuple[Attempt, str], None] = Coalesced(self._send)

    async def __call__(self, attempt: Attempt, done: float, note: str) -> None:
        """Write down that a job is this far.

        Raises:
            ValueError: ``done`` is no share from 0 to 1.
        """
        if not (math.isfinite(done) and 0 <= done <= 1):
            msg = f"progress is a share from 0 to 1, not {done!r}"
            raise ValueError(msg)
        note = note[:LONGEST_NOTE].encode(errors="replace").decode()
        report = msgspec.json.encode({"done": done, "note": note}).decode()
        try:
            await self._reports.put((attempt, report))
        except TROUBLE as error:
            logger.info("job %s: its progress was not written (%s)", attempt.job_id, error)

    async def _send(self, reports: Sequence[tuple[Attempt, str]]) -> list[None]:
        latest = {(attempt.queue, attempt.job_id): (attempt, report) for attempt, report in reports}
        await asyncio.gather(
            *(
                self._scripts.progress(self._keys[a.queue], a.job_id, token=a.token, note=report)
                for a, report in latest.values()
            )
        )
        return [None] * len(reports)
