"""A place for a call that runs outside of the event loop: waited for before its time limits begin."""

from dataclasses import dataclass
from typing import Any

from ..job import Attempt
from ..outcome import Failed, Outcome
from ..tasks import Task
from .chain import CallNext


@dataclass(frozen=True, slots=True)
class InAPlace:
    """Takes a place, gives it back.

    Attributes:
        task: says which kind.
    """

    task: Task[..., Any]

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        isolation = attempt.ctx["isolation"]
        try:
            place = await isolation.enter(self.task)
        except Exception as error:  # noqa: BLE001 - a process that cannot start: its imports may raise anything
            return Failed(error)
        attempt.ctx["place"] = place
        try:
            return await call_next(attempt)
        finally:
            isolation.leave(self.task, place)
