"""What the server says of our jobs, looked at again and again until they have ended."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from .. import Job, JobInfo, JobState

LOOK_AT_MOST = 500
UNKNOWN_LOOKS = 3
"""A job may end between the reads of one look; one that is unknown this often in a row is lost."""


class Watch:
    """Looks at jobs.

    Attributes:
        infos: what was last seen of each, by id.
        ended: how many have ended.
    """

    def __init__(self, jobs: Iterable[Job[Any]]) -> None:
        self.infos: dict[str, JobInfo] = {}
        self.ended = 0
        self._open = deque(jobs)
        self._unknown = Counter[str]()

    @property
    def is_over(self) -> bool:
        """Whether no job is open any more."""
        return not self._open

    async def look(self) -> None:
        """Look at up to 500 jobs that had not ended; those seen longest ago first."""
        some = [self._open.popleft() for _ in range(min(LOOK_AT_MOST, len(self._open)))]
        for job, info in zip(some, await asyncio.gather(*(job.info() for job in some)), strict=True):
            self.infos[job.id] = info
            self._unknown[job.id] = self._unknown[job.id] + 1 if info.state is JobState.UNKNOWN else 0
            if info.state.is_terminal or self._unknown[job.id] == UNKNOWN_LOOKS:
                self.ended += 1
            else:
                self._open.append(job)

    def states(self) -> Counter[JobState]:
        """Give how many jobs are in each state."""
        return Counter(info.state for info in self.infos.values())

    def attempts(self) -> int:
        """Give how many attempts have begun."""
        return sum(info.attempts for info in self.infos.values())

    def p95_ms(self) -> int:
        """Give what 95 of 100 delivering attempts took at most, from name lookup to the end of the answer."""
        took = sorted(int(info.result["duration_ms"]) for info in self.infos.values() if info.result)
        return took[len(took) * 95 // 100] if took else 0
