"""What probes, Prometheus and autoscalers are answered, whichever server they ask."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from ..errors import RunnerError
from ..wire.passing import TROUBLE
from .door import Health

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""By which Prometheus knows its own text format; without the version it may refuse to guess."""


class Answer(NamedTuple):
    """One answer over HTTP."""

    status: int
    content_type: str
    body: bytes


class Answers:
    """Answers for one process, by the last part of the address.

    Attributes:
        by_name: ``metrics``, ``process-metrics``, ``healthz``, ``readyz`` and ``scale``, each a call that
            gives its answer.
    """

    def __init__(self, health: Health, *, needs_worker: bool) -> None:
        """Take what is asked.

        Args:
            health: of the process.
            needs_worker: a process without a worker is not ready.
        """
        self._health = health
        self._needs_worker = needs_worker
        self.by_name: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "metrics": self._metrics,
            "process-metrics": self._process_metrics,
            "healthz": self._healthz,
            "readyz": self._readyz,
            "scale": self._scale,
        }

    async def _metrics(self) -> Answer:
        return Answer(200, TEXT_FORMAT, (await self._health.metrics_text()).encode())

    async def _process_metrics(self) -> Answer:
        """What is of the server is the same in every process: one of many is enough to be asked for it."""
        return Answer(200, TEXT_FORMAT, self._health.process_metrics_text().encode())

    async def _healthz(self) -> Answer:
        """A loop that is stuck does not answer; one that answers may have lost its worker."""
        died = self._health.died
        return told({"alive": not died, "reasons": died}, is_well=not died)

    async def _readyz(self) -> Answer:
        try:
            reasons = (await self._health.readiness()).reasons
        except RunnerError as error:  # not connected: the lifespan did not run, or is over
            reasons = (str(error),)
        if self._needs_worker and not self._health.has_workers:
            reasons = (*reasons, "no worker serves here")
        return told({"ready": not reasons, "reasons": reasons}, is_well=not reasons)

    async def _scale(self) -> Answer:
        try:
            return told(await self._health.scale(), is_well=True)
        except (*TROUBLE, RunnerError) as error:
            return told({"error": f"the server does not answer: {error}"}, is_well=False)


def told(said: Mapping[str, Any], *, is_well: bool) -> Answer:
    """Give what is said as JSON; what is not well is 503."""
    return Answer(200 if is_well else 503, "application/json; charset=utf-8", json.dumps(said).encode())
