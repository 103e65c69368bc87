"""Middleware: values in, values out. ``compose`` folds a list of them around a call."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from ..job import Attempt
from ..outcome import Outcome

CallNext = Callable[[Attempt], Awaitable[Outcome]]


class Middleware(Protocol):
    """Something that happens around a job."""

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        """Give the outcome; call ``call_next`` to run what is inside. Do not raise to signal."""
        ...


def compose(chain: Sequence[Middleware], call: CallNext) -> CallNext:
    """Fold a chain, outermost first, around the innermost call."""
    for each in reversed(chain):
        call = partial(_call, each, call)
    return call


def _call(middleware: Middleware, call_next: CallNext, attempt: Attempt) -> Awaitable[Outcome]:
    return middleware(attempt, call_next)
