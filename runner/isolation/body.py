"""A task's own code outside of the worker's event loop: called, and interrupted from another thread."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from ..errors import SoftTimeout
from ..job import Attempt
from ..middleware.timeout import Interruptible

Interrupt = Callable[[type[BaseException]], None]


class Body:
    """One call of a function.

    Args:
        fn: plain, or a coroutine function, which gets an event loop of its own.
        attempt: a copy of the attempt: ``is_soft_due`` is set on it.
        interrupt: raises an exception of this class in the thread that runs a plain function.
    """

    def __init__(self, fn: Callable[..., Any], attempt: Attempt, interrupt: Interrupt) -> None:
        self._fn = fn
        self._attempt = attempt
        self._interrupt = interrupt
        self._carrier: asyncio.Task[Any] | None = None

    def run(self, runner: asyncio.Runner, ctx: Any, args: Any, kwargs: Any) -> Any:
        """Call it; ``runner`` has the event loop of coroutine functions."""
        if not inspect.iscoroutinefunction(self._fn):
            return self._fn(ctx, *args, **kwargs)
        return runner.run(self._drive(ctx, args, kwargs))

    async def _drive(self, ctx: Any, args: Any, kwargs: Any) -> Any:
        self._carrier = asyncio.current_task()
        return await Interruptible(self._fn(ctx, *args, **kwargs), self._attempt)

    def soften(self) -> None:
        """Raise SoftTimeout inside."""
        self._attempt.is_soft_due = True
        self._stop(SoftTimeout)

    def cancel(self) -> None:
        """Raise CancelledError inside."""
        self._attempt.cancel_reason = self._attempt.cancel_reason or "timeout"
        self._stop(asyncio.CancelledError)

    def _stop(self, kind: type[BaseException]) -> None:
        if self._carrier is not None:
            self._carrier.get_loop().call_soon_threadsafe(self._carrier.cancel)
        elif not inspect.iscoroutinefunction(self._fn):
            self._interrupt(kind)
