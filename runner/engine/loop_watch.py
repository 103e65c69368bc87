"""A thread that notices when the event loop does not turn, and says which line of whose code blocks it."""

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from .. import events
from .running import Running

logger = logging.getLogger("runner.engine")

LOOKS = 2
"""A loop that is to turn within a second is asked so often a second."""
STACK_LINES = 12


@dataclass
class LoopWatch:
    """Watches the event loop of one worker.

    A worker whose loop is blocked claims and renews nothing. When that outlasts the lease, other workers take
    its jobs, and what the blocked attempt then gives is refused: its token is stale.

    Attributes:
        running: what runs in it.
        blocked_after_s: how long the loop may take to turn; 0: nobody watches.
        is_blocked: it does not turn now.
    """

    running: Running
    blocked_after_s: float
    is_blocked: bool = False
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def on(self) -> Generator[None]:
        """Watch the running loop for the length of a block."""
        if not self.blocked_after_s:
            yield
            return
        self._ended = ended = threading.Event()
        arguments = (asyncio.get_running_loop(), threading.get_ident(), ended)
        threading.Thread(target=self._watch, args=arguments, daemon=True, name="runner loop watch").start()
        try:
            yield
        finally:
            ended.set()

    def _watch(self, loop: asyncio.AbstractEventLoop, ident: int, ended: threading.Event) -> None:
        turned = threading.Event()
        while not ended.wait(self.blocked_after_s / LOOKS):
            turned.clear()
            asked_at = time.monotonic()
            with contextlib.suppress(RuntimeError):  # the loop is closed: its end comes next
                loop.call_soon_threadsafe(turned.set)
            if turned.wait(self.blocked_after_s) or ended.is_set():
                continue
            self.is_blocked = True
            found = self._say(loop, ident)
            while not turned.wait(self.blocked_after_s) and not ended.is_set():
                pass
            self.is_blocked = False
            blocked_s = time.monotonic() - asked_at
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell, *found, blocked_s)

    def _say(self, loop: asyncio.AbstractEventLoop, ident: int) -> tuple[str, str, str]:
        """Log what blocks; gives job, task and stack. From this thread: the loop cannot."""
        job_id, task = self._job_of(asyncio.current_task(loop))
        frame = sys._current_frames().get(ident)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - documented
        stack = "".join(traceback.format_stack(frame, limit=STACK_LINES)) if frame is not None else ""
        whose = f"job {job_id} ({task})" if job_id else "code outside of jobs"
        logger.error(
            "the event loop has not turned for %g s: %s blocks it, and nothing else runs in this worker. "
            "Await there, or declare isolation='thread' or 'process'. It is at:\n%s",
            self.blocked_after_s,
            whose,
            stack,
            extra={"job_id": job_id} if job_id else None,
        )
        return job_id, task, stack

    def _job_of(self, carrier: "asyncio.Task[Any] | None") -> tuple[str, str]:
        for job_id, each in list(self.running.tasks.items()):
            if each is carrier and (attempt := self.running.attempts.get(job_id)) is not None:
                return job_id, attempt.task
        return "", ""

    def _tell(self, job_id: str, task: str, stack: str, blocked_s: float) -> None:
        logger.warning("the event loop turns again, after %.1f s", blocked_s)
        events.emit(
            "loop.blocked",
            worker=self.running.worker,
            job_id=job_id,
            task=task,
            stack=stack,
            blocked_ms=round(blocked_s * 1000),
        )
