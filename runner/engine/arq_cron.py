"""arq's own cron jobs, ticked like our schedules: once over all workers, and not lost by a restart."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import Any

import arq.worker
from arq.cron import CronJob
from arq.jobs import serialize_job

from ..errors import InvalidTask
from ..schedules.arq_rule import arq_rule
from ..schedules.beside import Ticking
from ..schedules.kept import Kept
from ..schedules.schedule import Schedule
from ..wire.keys import Keys
from .beside import Beside

Serializer = Callable[[dict[str, Any]], bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArqSchedule(Schedule):
    """A schedule whose jobs have arq's ids: a fixed one, or the name and the instant."""

    fixed_id: str | None

    def job_id(self, tick_ms: int) -> str:
        """Give the id that a stock worker would give."""
        return self.fixed_id or f"{self.task}:{tick_ms}"


class CronWorker(arq.worker.Worker):
    """A worker whose cron jobs are ticked beside it, save those that arq sees to."""

    async def run_cron(self, n: datetime, delay: float, num_windows: int = 2) -> None:
        """Enqueue what runs at startup, and what arq ticks: ``unique=False``, and all in burst mode."""
        everything = self.cron_jobs
        if not self.burst:
            self.cron_jobs = [job for job in everything if _is_arqs(job)]
        try:
            await super().run_cron(n, delay, num_windows)
        finally:
            self.cron_jobs = everything


def beside_of(worker: CronWorker, keys: Keys, others: Sequence[Beside]) -> Sequence[Beside]:
    """Give what runs beside a worker: its cron jobs, and the others; nothing in burst mode.

    Raises:
        InvalidTask: a cron job never runs; names it.
    """
    jobs, tz = worker.cron_jobs, worker.timezone
    refuse_impossible(jobs, tz)
    if worker.burst:
        return ()
    return (*others, ticking(jobs, keys, tz, worker.job_serializer)) if jobs else others


def _is_arqs(job: CronJob) -> bool:
    return not is_ticked(job) or (job.run_at_startup and job.next_run is None)


def refuse_impossible(jobs: Sequence[CronJob], tz: tzinfo | None) -> None:
    """Refuse cron jobs that never run; arq would look for their date for ever.

    Raises:
        InvalidTask: names them.
    """
    never = [job for job in jobs if arq_rule(job, tz) is None]
    if never:
        lines = (f"cron_jobs: '{job.name}' never runs: no date fits {_options(job)}" for job in never)
        raise InvalidTask("\n".join(lines))


def is_ticked(job: CronJob) -> bool:
    """Say whether it runs once over all workers; ``unique=False`` runs on each, which arq sees to."""
    return job.unique or job.job_id is not None


def ticking(jobs: Sequence[CronJob], keys: Keys, tz: tzinfo | None, serializer: Serializer) -> Ticking:
    """Make ready to tick them; those of one name are told apart by their rule."""
    ticked = [job for job in jobs if is_ticked(job)]
    named = Counter(job.name for job in ticked)
    return Ticking([_kept(job, keys, tz, serializer, is_alone=named[job.name] == 1) for job in ticked], ())


def _kept(job: CronJob, keys: Keys, tz: tzinfo | None, serializer: Serializer, *, is_alone: bool) -> Kept:
    rule = arq_rule(job, tz)
    if rule is None:
        raise InvalidTask(f"cron_jobs: '{job.name}' never runs")
    schedule = ArqSchedule(
        name=f"{keys.queue} {job.name}" + ("" if is_alone else f" {rule.spec}"),
        rule=rule,
        task=job.name,
        queue=keys.name,
        overlap="allow",
        fixed_id=job.job_id,
    )
    return Kept(schedule, keys, encode=partial(_payload, job.name, serializer))


def _payload(name: str, serializer: Serializer, at_ms: int) -> bytes:
    return serialize_job(name, (), {}, None, at_ms, serializer=serializer)


def _options(job: CronJob) -> str:
    fields = ("month", "day", "weekday", "hour", "minute", "second")
    return ", ".join(f"{name}={value}" for name in fields if (value := getattr(job, name)) is not None)
