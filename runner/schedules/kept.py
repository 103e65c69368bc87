"""A schedule as a worker keeps it, and what it asks of the server about it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..wire import codec
from ..wire.keys import Keys
from ..wire.schedules import Tick
from .misfire import plan
from .schedule import Schedule


@dataclass(slots=True)
class Kept:
    """A schedule with its queue's keys.

    Attributes:
        schedule: what it is.
        keys: of the queue that its jobs go to.
        is_defined: whether it was made at run time, not declared in code or settings.
        last_ms: its last tick, as far as known here.
        look_at_ms: when to look at it next; None for not by itself.
        encode: makes the job of a tick where it is not one of ours.
    """

    schedule: Schedule
    keys: Keys
    is_defined: bool = False
    last_ms: int = 0
    look_at_ms: int | None = None
    encode: Callable[[int], bytes] | None = None

    def announcement(self) -> Tick:
        """Give what tells the server of a schedule, or a rule, that it has not seen."""
        schedule = self.schedule
        return Tick(schedule.name, schedule.fingerprint, 0, 0, 0, "skip", 0, 0, "", 0, b"")

    def ticks(self, now_ms: int) -> list[Tick]:
        """Give what to ask of the server at this moment, oldest first."""
        decided, schedule = plan(self.schedule, self.last_ms, now_ms), self.schedule
        encode = self.encode or partial(payload_of, schedule)
        wanted = [(at, encode(at)) for at in decided.run]
        if not wanted and decided.upto_ms > self.last_ms:
            wanted = [(decided.upto_ms, b"")]
        asked: list[Tick] = []
        last_ms, missed = self.last_ms, decided.missed
        for at, payload in wanted:
            asked.append(
                Tick(
                    name=schedule.name,
                    fingerprint=schedule.fingerprint,
                    last_ms=last_ms,
                    tick_ms=at,
                    missed=missed,
                    overlap=schedule.overlap,
                    most=schedule.max_instances,
                    limit=schedule.count or 0,
                    job_id=schedule.job_id(at) if payload else "",
                    due_ms=schedule.due_ms(at),
                    payload=payload,
                )
            )
            last_ms, missed = at, 0
        return asked


def payload_of(schedule: Schedule, at_ms: int, *, expires: bool = True) -> bytes:
    """Give the job of a tick; without ``expires`` it starts however late."""
    has_end = expires and schedule.expires_s is not None
    expires_at_ms = at_ms + round((schedule.expires_s or 0) * 1000) if has_end else 0
    meta = codec.Meta(x=expires_at_ms, r=schedule.version)
    return codec.encode_job(schedule.task, tuple(schedule.args), dict(schedule.kwargs), at_ms, meta)
