"""Virtual time, and processes that share it: each with an event loop of its own, which the world lets turn.

Nobody sleeps. The world gives the turn to one of the processes that have something to do, drawn by the seed;
when none has, time jumps to the next timer or event. Inside one process callbacks run in the order that
asyncio promises. A paused process is not given turns while its timers fall due, as after SIGSTOP; a killed
one never has a turn again, and no line of it runs, not even what stands under ``finally``.
"""

import asyncio
import contextlib
import gc
import heapq
import sys
import warnings
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from random import Random
from typing import Any

START_S = 1_767_225_600.0
"""2026-01-01T00:00Z."""
TURNS = 2_000_000
"""More than any seed takes: who comes so far goes round in circles."""


class Handle:
    """A callback that shall run, as asyncio's own, without what that does for debugging."""

    __slots__ = ("_when", "args", "callback", "context", "is_cancelled")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None, when: float = 0.0
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = copy_context() if context is None else context
        self.is_cancelled = False
        self._when = when

    def cancel(self) -> None:
        """Leave it where it is: whoever meets it there passes over it."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self._when


class Loop(asyncio.BaseEventLoop):
    """The event loop of one process: asyncio's own, but for the clock, the callbacks' queue and timers."""

    def __init__(self, world: "World", name: str) -> None:
        super().__init__()
        self.world = world
        self.name = name
        self.ready: deque[Handle] = deque()
        self.is_dead = False
        self.paused_until = 0.0
        self.wall_ahead_ms = 0
        self.began_s = world.now_s

    def time(self) -> float:
        return self.world.now_s

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle(callback, args, context)
        self.ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        timer = Handle(callback, args, context, when)
        self.world.schedule(when, self, timer)
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self.world.now_s + delay, callback, *args, context=context)

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.is_dead and not self.world.is_over:
            self.world.trouble.append(f"{self.name}: {context.get('message')}: {context.get('exception')!r}")

    def turn(self) -> None:
        """Run what is ready now: one round of an event loop."""
        ready = self.ready
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.is_cancelled:
                try:
                    handle.context.run(handle.callback, *handle.args)
                except Exception as error:
                    self.call_exception_handler({"message": repr(handle.callback), "exception": error})


class World:
    """All there is of one seed.

    Args:
        seed: whatever is drawn comes from it.

    Attributes:
        trace: what happened, a line each, when it is kept.
        commands: with the server's time (ms), when the trace is kept.
        inside: the process that has the turn.
        acting: the one whose command the server carries out.
        trouble: what asyncio could tell nobody, as errors of tasks that nobody awaited.
    """

    def __init__(self, seed: int, *, keeps_trace: bool = False) -> None:
        self.seed = seed
        self.rng = Random(f"world {seed}")
        self.now_s = 0.0
        self.turns = 0
        self.loops: list[Loop] = []
        self.trace: list[str] = []
        self.commands: list[tuple[int, list[bytes]]] = []
        self.keeps_trace = keeps_trace
        self.trouble: list[str] = []
        self.is_over = False
        self.inside: Loop | None = None
        self.acting: Loop | None = None
        self._agenda: list[tuple[float, int, Loop | None, Any]] = []
        self._count = 0

    def now_us(self) -> int:
        return int((START_S + self.now_s) * 1_000_000)

    def process(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> Loop:
        """Start a process."""
        loop = Loop(self, name)
        self.loops.append(loop)
        self.enter(loop)
        loop.main = loop.create_task(main())
        return loop

    def at(self, when: float, happens: Callable[[], None]) -> None:
        """Let something happen, not in any process."""
        self.schedule(when, None, happens)

    def schedule(self, when: float, loop: Loop | None, what: Any) -> None:
        """Keep a timer of a process, or what happens to all."""
        self._count += 1
        heapq.heappush(self._agenda, (when, self._count, loop, what))

    def after(self, seconds: float, happens: Callable[[], None]) -> None:
        self.at(self.now_s + seconds, happens)

    def kill(self, loop: Loop) -> None:
        loop.is_dead = True
        loop.ready.clear()
        self.loops.remove(loop)

    def pause(self, loop: Loop, seconds: float) -> None:
        loop.paused_until = self.now_s + seconds
        self.at(loop.paused_until, lambda: None)

    def note(self, *words: Any) -> None:
        if self.keeps_trace:
            self.trace.append(f"{self.now_s:10.4f} {' '.join(map(str, words))}")

    def run(self, until: Callable[[], bool], *, deadline_s: float) -> bool:
        """Go on until something is so; False when it is not by then."""
        while not until():
            if self.now_s > deadline_s or self.turns > TURNS:
                return False
            self.step(deadline_s)
        return True

    def step(self, deadline_s: float) -> None:
        """Give somebody the turn, or let time go on."""
        now = self.now_s
        due = [loop for loop in self.loops if loop.ready and loop.paused_until <= now]
        if due:
            self.turns += 1
            loop = due[0] if len(due) == 1 else self.rng.choice(due)
            self.enter(loop)
            loop.turn()
            return
        if not self._agenda:
            self.now_s = deadline_s + 1
            return
        when, _, owner, what = heapq.heappop(self._agenda)
        self.now_s = max(now, when)
        if owner is None:
            what()
        elif not owner.is_dead and not what.is_cancelled:
            owner.ready.append(what)

    def enter(self, loop: Loop | None) -> None:
        """Let what comes be done as that process.

        asyncio asks the system for a process id whenever it is told of another loop: only if there is need.
        """
        if loop is not self.inside:
            self.inside = loop
            events._set_running_loop(loop)

    def end(self) -> None:
        """Forget everything; what still hangs in the middle of a coroutine is dropped."""
        self.is_over = True
        self.enter(None)
        for loop in self.loops:
            loop.is_dead = True
            loop.ready.clear()
        self.loops.clear()
        self._agenda.clear()


@contextlib.contextmanager
def buried() -> Generator[None]:
    """Let what was dropped in the middle of a coroutine be taken away here, not in a later seed.

    The interpreter closes such coroutines, and says so; what they do then reaches nobody.
    """
    was_on, hook = gc.isenabled(), sys.unraisablehook
    gc.disable()
    gc.freeze()  # so that the collection at the end looks at nothing but the seed's
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
            while gc.collect():  # closing one lets go of others
                pass
    finally:
        sys.unraisablehook = hook
        gc.unfreeze()
        if was_on:
            gc.enable()
