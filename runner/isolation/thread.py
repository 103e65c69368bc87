"""A call in a thread of its own: a daemon, so that one that never ends does not keep the process alive."""

import asyncio
import contextvars
import ctypes
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..context import Context
from ..errors import SoftTimeout
from ..tasks import Task
from .body import Body
from .context import IsolatedContext, plain_keys

_LATE = 3
"""Interruptions that may still arrive when the call has ended: a soft one, a hard one, and one to spare."""


async def run_in_thread(task: Task[..., Any], ctx: Context, args: Any, kwargs: Any) -> Any:
    """Call a task in a thread.

    Cancelled, it raises CancelledError in the thread and waits for its end: Python cannot kill a thread, and
    one that is stuck in C sees the exception only when it comes back.
    """
    loop, report = asyncio.get_running_loop(), ctx.get("report_progress")
    copy = replace(ctx.running)

    def tell(done: float, note: str) -> None:
        if report is not None:
            asyncio.run_coroutine_threadsafe(report(ctx.running, done, note), loop)

    inside = IsolatedContext(plain_keys(copy, ctx["enqueue_time"]), copy, "thread", tell)
    answer: asyncio.Future[Any] = loop.create_future()
    thread = _Thread(lambda: body.run(thread.runner, inside, args, kwargs), answer)
    body = Body(task.body, copy, thread.interrupt)
    thread.start(copy.job_id)
    cancelled: asyncio.CancelledError | None = None
    while not answer.done():
        try:
            await asyncio.wait((answer,))
        except SoftTimeout:
            body.soften()
        except asyncio.CancelledError as error:
            cancelled = error
            copy.cancel_reason = ctx.running.cancel_reason
            body.cancel()
    if cancelled is not None:
        if not answer.cancelled():
            answer.exception()  # what it ended in when cancelled is nobody's business
        raise cancelled
    return answer.result()


class _Thread:
    """Runs a call and answers in the event loop."""

    def __init__(self, call: Callable[[], Any], answer: "asyncio.Future[Any]") -> None:
        self._call = call
        self._answer = answer
        self._loop = answer.get_loop()
        self._turn = threading.Lock()
        self._is_over = False
        self._thread: threading.Thread | None = None
        self.runner = asyncio.Runner()

    def start(self, name: str) -> None:
        """Start it, with the context variables of here: log lines name the job."""
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._run,), name=f"runner job {name}", daemon=True)
        self._thread.start()

    def interrupt(self, kind: type[BaseException]) -> None:
        """Raise an exception in the thread, at the next line of Python that it runs."""
        with self._turn:
            if not self._is_over and self._thread is not None and self._thread.ident is not None:
                ident = ctypes.c_ulong(self._thread.ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(kind))

    def _run(self) -> None:
        value, error = None, None
        try:
            try:
                value = self._call()
            finally:
                self.runner.close()
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the call is awaited
            error = raised
        for _ in range(_LATE):
            try:
                with self._turn:
                    self._is_over = True
                self._loop.call_soon_threadsafe(self._tell, value, error)
                return
            except BaseException:  # noqa: BLE001, S112 - an interruption that came too late, or the loop is gone
                continue

    def _tell(self, value: Any, error: BaseException | None) -> None:
        if self._answer.done():
            return
        if isinstance(error, StopIteration):
            error = RuntimeError(f"the task raised StopIteration: {error}")
        if error is None:
            self._answer.set_result(value)
        elif isinstance(error, asyncio.CancelledError):
            self._answer.cancel()
        else:
            self._answer.set_exception(error)
