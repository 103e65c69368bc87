"""The last word over a failure: what nobody turned into another attempt is dead."""

from ..job import Attempt
from ..outcome import Dead, Failed, Outcome
from .chain import CallNext


class DeadLetter:
    """Turns a Failed that comes out of the chain into Dead."""

    __slots__ = ()

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        outcome = await call_next(attempt)
        return Dead("failed", outcome.error) if isinstance(outcome, Failed) else outcome
