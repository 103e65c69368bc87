"""Locks with fences: one holder at a time, in turn, freed when the holder is done or dead."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..arguments import Parameters
from ..effects import SKIPPED, Lock, checked_name
from ..errors import InvalidArguments, ServerError, Snooze
from ..job import Attempt
from ..outcome import Dead, Lost, Outcome, Snoozed, Succeeded
from ..wire.effects import LockAnswer, LockAsk, Verb
from .chain import CallNext
from .holds import Held, Holds

BUSY_FIRST_S = 1.0
BUSY_LONGEST_S = 30.0
"""A snoozed job looks again after 1, 2, 4 … 30 s, with jitter."""


class HeldLock(Held):
    """A lock for one attempt, from the asking on; see ``ahead``.

    Args:
        holds: where it is kept while it is held.
        attempt: for whom.
        name: of the lock.
        may_wait: whether a place in the line will do.

    Attributes:
        name: of the lock.
        entry: what is asked.
        fence: as text; None: not asked yet; empty: it is busy.
    """

    __slots__ = ("entry", "fence", "name")

    verb: Verb = "lock"

    def __init__(self, holds: Holds, attempt: Attempt, name: str, *, may_wait: bool) -> None:
        super().__init__(holds, "lock:" + name, attempt)
        self.name = name
        self.entry: LockAsk = (name, self.owner, 1 if may_wait else 0)
        self.fence: bytes | None = None

    def hear(self, answer: LockAnswer) -> bool:
        """Keep the fence; without one the call does not go on from here."""
        self.fence = answer if isinstance(answer, bytes) else b""
        return self.fence != b""

    def undo(self) -> None:
        """Give the lock back, or the place in line."""
        self.holds.scripts.release.post((self.name, self.owner))


async def take(lock: HeldLock, *, wait_s: float) -> bool:
    """Take a lock, waiting in line for it at most so long; False when it is busy.

    Raises:
        ServerError: nothing was taken, or what was taken falls free with its lease.
    """
    try:
        if lock.fence is None:
            lock.hear(await lock.holds.scripts.lock.put(lock.entry))
        if not lock.fence and wait_s > 0:
            lock.fence = await _wait_in_line(lock.holds, lock.name, lock.owner, wait_s)
    except BaseException:
        lock.undo()
        raise
    return lock.fence != b""


async def _wait_in_line(holds: Holds, name: str, owner: str, wait_s: float) -> bytes:
    fence = b""

    async def ask() -> int | None:
        nonlocal fence
        answer = await holds.scripts.lock.put((name, owner, 1))
        fence = answer if isinstance(answer, bytes) else b""
        return answer if isinstance(answer, int) else None

    await holds.wait(f"lock {name} {owner}", ask, wait_s)
    if not fence:
        holds.scripts.release.post((name, owner))
    return fence


def give_back(holds: Holds, lock: HeldLock, *, with_outcome: bool = False) -> None:
    """Free a lock, now or with the outcome of its job; it goes straight to whoever has waited longest."""
    if not holds.drop(lock):
        return
    if with_outcome:
        holds.endings.gives.append((lock.name, lock.owner))
    else:
        lock.undo()


@asynccontextmanager
async def locked(holds: Holds, attempt: Attempt, name: str, wait_s: float) -> AsyncGenerator[int, None]:
    """Hold a lock around a block of a task; gives its fence. See ``Context.lock``."""
    held = HeldLock(holds, attempt, checked_name(name), may_wait=wait_s > 0)
    outer = holds.get(held.key, held.owner)
    if isinstance(outer, HeldLock):
        yield int(outer.fence or 0)
        return
    held.running = asyncio.current_task()
    if not await take(held, wait_s=wait_s):
        raise Snooze(busy_s(attempt), reason=f"lock {name} is busy")
    holds.add(held)
    try:
        yield int(held.fence or 0)
    except asyncio.CancelledError:
        if held.is_lost and not attempt.cancel_reason:
            raise Snooze(1, reason=f"lock {name} was lost") from None
        raise
    finally:
        give_back(holds, held)


def busy_s(attempt: Attempt) -> float:
    """Give the pause before a job looks again."""
    longest = min(BUSY_LONGEST_S, BUSY_FIRST_S * 2 ** min(attempt.snoozes, 10))
    return random.uniform(longest / 2, longest)


@dataclass(frozen=True, slots=True)
class OneAtATime:
    """Runs the call while holding the task's lock.

    Attributes:
        lock: as declared.
        parameters: the task's.
    """

    lock: Lock
    parameters: Parameters

    def question(self, attempt: Attempt, holds: Holds) -> HeldLock:
        """Give what to ask for an attempt.

        Raises:
            InvalidArguments: its arguments give no name.
        """
        named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
        name = self.lock.name_for(attempt.task, named)
        return HeldLock(holds, attempt, name, may_wait=self.lock.may_wait)

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        holds: Holds = attempt.ctx["effects"].holds
        try:
            held: HeldLock = attempt.ahead.pop(0) if attempt.ahead else self.question(attempt, holds)
            if not held.fence and not await take(held, wait_s=self._wait_s):
                return self._busy(attempt, held.name)
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        except ServerError as error:
            return Snoozed(1000, str(error))
        holds.add(held)
        outcome: Outcome | None = None
        try:
            attempt.ctx["lock_fence"] = int(held.fence or 0)
            outcome = await call_next(attempt)
            if held.is_lost:
                outcome = held.judge(outcome)
            return outcome
        finally:
            is_written = outcome is not None and type(outcome) is not Lost and not attempt.is_over
            give_back(holds, held, with_outcome=is_written)

    @property
    def _wait_s(self) -> float:
        return self.lock.wait_s if self.lock.may_wait else 0.0

    def _busy(self, attempt: Attempt, name: str) -> Outcome:
        if self.lock.on_busy == "skip":
            return Succeeded(dict(SKIPPED))
        return Snoozed(round(busy_s(attempt) * 1000), f"lock {name} is busy")
