"""arq's own cron jobs, ticked like our schedules: once over all workers, and not lost by a restart."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Any

from arq.cron import CronJob
from arq.jobs import serialize_job

from ..errors import InvalidTask
from ..schedules.arq_rule import arq_rule
from ..schedules.beside import Ticking
from ..schedules.kept import Kept
from ..schedules.schedule import Schedule
from ..wire.keys import Keys

Serializer = Callable[[dict[str, Any]], bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArqSchedule(Schedule):
    """A schedule whose jobs have arq's ids: a fixed one, or the name and the instant."""

    fixed_id: str | None

    def job_id(self, tick_ms: int) -> str:
        """Give the id that a stock worker would give."""
        return self.fixed_id or f"{self.task}:{tick_ms}"


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
