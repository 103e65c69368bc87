"""The worker processes: started, killed, held, and looked after.

They are forked from one that has everything imported (tests/jobs/payment/workers.py), which also knows how to
die at a named point of a payment. When the program that started them is gone, however it went, they go too.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import connection
from pathlib import Path
from random import Random
from typing import Any, Self

from tests.jobs.payment import workers

from .gauge import measure
from .tasks import LEDGER


def run_worker(settings: dict[str, Any], crash_at: str, folder: str, gauge: bool) -> None:
    """Be one worker, until SIGTERM."""
    os.environ[LEDGER] = f"{folder}/events"
    log = os.open(f"{folder}/worker-{os.getpid()}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if gauge:
        measure(Path(folder) / "gauge")
    workers.run_worker(settings, crash_at)


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(0)


class Crew:
    """So many workers, whatever becomes of them; whoever dies is replaced.

    Attributes:
        hands: living processes by pid.
        deaths: when we killed which.
        holds: when we stopped which.
        exits: those that ended by themselves, with their exit code: there must be none.
        crashes: how many died at a point laid in their code.
    """

    def __init__(self, settings: dict[str, Any], folder: Path, rng: Random, *, gauge: bool = False) -> None:
        self.hands: dict[int, Any] = {}
        self.deaths: dict[int, float] = {}
        self.holds: list[tuple[int, float]] = []
        self.exits: list[tuple[int, int]] = []
        self.crashes = 0
        self._settings = settings
        self._folder = folder
        self._rng = rng
        self._gauge = gauge
        self._laid: set[int] = set()
        self._held: set[int] = set()
        self._watching: asyncio.Task[None] | None = None
        # The fork server tells an exit code once: only one thread may ever ask.
        self._asking = ThreadPoolExecutor(1)

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
        for pid in self.hands:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for hand in self.hands.values():
            await self._ask(hand.join)
        self._asking.shutdown()

    def _ask(self, call: Callable[[], Any]) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._asking, call)

    async def start(self, count: int = 1, crash_at: str = "") -> None:
        for _ in range(count):
            words = (self._settings, crash_at, str(self._folder), self._gauge)
            hand = workers._CONTEXT.Process(target=run_worker, args=words, daemon=True)
            await self._ask(hand.start)
            self.hands[hand.pid] = hand
            if crash_at:
                self._laid.add(hand.pid)

    async def _draw(self) -> int:
        """Draw one that is neither held nor about to die, as soon as there is one."""
        while not (free := sorted(self.hands.keys() - self._held - self._laid)):
            await asyncio.sleep(0.05)
        return self._rng.choice(free)

    async def kill(self) -> None:
        """SIGKILL one, and start another."""
        pid = await self._draw()
        hand = self.hands.pop(pid)
        self.deaths[pid] = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await self._ask(hand.join)
        await self.start()

    async def hold(self, seconds: float) -> None:
        """SIGSTOP one for so long."""
        pid = await self._draw()
        self._held.add(pid)
        self.holds.append((pid, time.monotonic()))
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            self._held.discard(pid)

    async def lay(self) -> None:
        """Start one more that will die at a point of a payment, drawn by the seed."""
        await self.start(crash_at=self._rng.choice(workers.CRASH_POINTS))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            hands = dict(self.hands)
            for pid in await self._ask(
                lambda hands=hands: [p for p, hand in hands.items() if not hand.is_alive()]
            ):
                if pid not in self.hands:
                    continue  # killed meanwhile
                hand = self.hands.pop(pid)
                if pid in self._laid and hand.exitcode == -signal.SIGKILL:
                    self._laid.discard(pid)
                    self.crashes += 1
                    self.deaths[pid] = time.monotonic()
                else:
                    self.exits.append((pid, hand.exitcode))
                    await self.start()
