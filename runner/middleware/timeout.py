"""Time limits around the call itself: a soft one that the task may answer, a hard one that cancels it.

Both are one timer each on the running asyncio task; a call that ends in time pays for setting and clearing
them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

from ..errors import SoftTimeout
from ..job import Attempt
from ..outcome import Outcome
from .chain import CallNext

STUCK_AFTER_S = 5.0
"""How long a cancelled call may take to end before its slot is taken from it."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Bounds a call from its start.

    Attributes:
        hard_s: the call is cancelled; None for no limit.
        soft_s: SoftTimeout is raised inside it; None for no limit.
        on_stuck: called when the call has not ended ``stuck_after_s`` after its cancellation.
        stuck_after_s: how long that may take.
    """

    hard_s: float | None
    soft_s: float | None
    on_stuck: Callable[[Attempt], None]
    stuck_after_s: float = STUCK_AFTER_S

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        loop = asyncio.get_running_loop()
        running = asyncio.current_task()
        timers: list[asyncio.TimerHandle] = []

        def pass_hard() -> None:
            attempt.cancel_reason = attempt.cancel_reason or "timeout"
            timers.append(loop.call_later(self.stuck_after_s, self.on_stuck, attempt))
            if running is not None:
                running.cancel()

        def pass_soft() -> None:
            attempt.is_soft_due = True
            if running is not None:
                running.cancel()

        if self.hard_s is not None:
            attempt.deadline = attempt.clock.monotonic() + self.hard_s
            timers.append(loop.call_later(self.hard_s, pass_hard))
        if self.soft_s is not None:
            timers.append(loop.call_later(self.soft_s, pass_soft))
        try:
            return await call_next(attempt)
        finally:
            for timer in timers:
                timer.cancel()


class Interruptible(Awaitable[Any]):
    """Drives a coroutine so that a cancellation meant as the soft timeout arrives in it as SoftTimeout."""

    __slots__ = ("_attempt", "_call")

    def __init__(self, call: Coroutine[Any, Any, Any], attempt: Attempt) -> None:
        self._call = call
        self._attempt = attempt

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[], Any] = lambda: self._call.send(None)  # noqa: E731 - rebound at each turn
        while True:
            try:
                awaited = step()
            except StopIteration as end:
                return end.value
            try:
                sent = yield awaited
            except asyncio.CancelledError as cancelled:
                error = self._translate(cancelled)
                step = _thrower(self._call, error)
            except BaseException as other:  # noqa: BLE001 - whatever came in goes on to the task's own code
                step = _thrower(self._call, other)
            else:
                step = _sender(self._call, sent)

    def _translate(self, cancelled: asyncio.CancelledError) -> BaseException:
        attempt = self._attempt
        if not attempt.is_soft_due or attempt.cancel_reason:
            return cancelled
        attempt.is_soft_due = False
        if (running := asyncio.current_task()) is not None:
            running.uncancel()
        return SoftTimeout("the soft time limit has passed")


def _sender(call: Coroutine[Any, Any, Any], value: Any) -> Callable[[], Any]:
    return lambda: call.send(value)


def _thrower(call: Coroutine[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: call.throw(error)
