"""Places to run at: how many calls are in threads and in processes at once, and which processes are warm."""

import asyncio
import os
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from ..context import Context
from ..errors import InvalidTask
from ..registry import Registry
from ..tasks import Task
from .process import Child
from .thread import run_in_thread


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationOptions:
    """How much of it.

    Attributes:
        processes: at once, warm and fresh ones together; 0: one for each core.
        memory: bytes that a job may take beyond what its process took at start; 0: any number.
        recycle_jobs: a process that ran so many is replaced.
    """

    processes: int = 0
    memory: int = 0
    recycle_jobs: int = 1000


DEFAULT_ISOLATION = IsolationOptions()


class Isolation:
    """What runs outside of the event loop, of one worker.

    Args:
        options: how much of it.
        threads: calls in threads at once.
    """

    def __init__(self, options: IsolationOptions, *, threads: int) -> None:
        self._options = options
        self._threads = asyncio.Semaphore(threads)
        self._processes = asyncio.Semaphore(options.processes or _cores())
        self._warm: deque[Child] = deque()
        self._ending: set[asyncio.Task[int]] = set()

    async def enter(self, task: Task[..., Any]) -> Child | None:
        """Wait for a place, and give its process; None for a thread, which begins with the call.

        Raises:
            WorkerChildDied: the process died over the imports.
            BaseException: what an import raised.
        """
        if task.isolation == "thread":
            await self._threads.acquire()
            return None
        await self._processes.acquire()
        try:
            while task.isolation == "process" and self._warm:
                if (child := self._warm.pop()).is_usable:
                    return child
                self._end(child)
            return await Child.start([task.body.__module__], memory=self._options.memory)
        except BaseException:
            self._processes.release()
            raise

    def leave(self, task: Task[..., Any], child: Child | None) -> None:
        """Free the place; a process that is worn or was made for this call ends."""
        if child is None:
            self._threads.release()
            return
        if task.isolation == "process" and child.is_usable and child.calls < self._options.recycle_jobs:
            self._warm.append(child)
        else:
            self._end(child)
        self._processes.release()

    async def run(self, task: Task[..., Any], ctx: Context, args: Any, kwargs: Any) -> Any:
        """Run a call at the place that ``enter`` gave; raises what the task raises."""
        child: Child | None = ctx["place"]
        if child is None:
            return await run_in_thread(task, ctx, args, kwargs)
        return await child.run(task, ctx, args, kwargs)

    async def close(self) -> None:
        """End all processes that are warm, and wait for those that end."""
        while self._warm:
            self._end(self._warm.pop())
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, child: Child) -> None:
        child.kill()
        ending = asyncio.get_running_loop().create_task(child.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def check_importable(task: Task[..., Any]) -> None:
    """Refuse a task that a process of its own could not find.

    Raises:
        InvalidTask: it is declared in ``__main__`` or inside a function.
    """
    if task.isolation not in ("process", "fresh"):
        return
    name, registry = task.body.__module__, Registry()
    if name != "__main__" and (module := sys.modules.get(name)) is not None:
        registry.add_module(module)
    if registry.get(task.name) is None:
        where = "in __main__" if name == "__main__" else f"not at the top level of module '{name}'"
        msg = (
            f"task '{task.name}': isolation='{task.isolation}' imports it in another process, and it is "
            f"{where}: declare it at the top level of a module that can be imported"
        )
        raise InvalidTask(msg)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
