"""Locks with fences: one holder at a time, in turn, freed when the holder is done or dead."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from ..arguments import Parameters
from ..effects import SKIPPED, Lock, checked_name
from ..errors import InvalidArguments, ServerError, Snooze
from ..job import Attempt
from ..outcome import Dead, Lost, Outcome, Snoozed, Succeeded
from ..wire.effects import LockAnswer, LockAsk, Verb, owner_of
from .chain import CallNext
from .holds import Held, Holds

BUSY_FIRST_S = 1.0
BUSY_LONGEST_S = 30.0
"""A snoozed job looks again after 1, 2, 4 … 30 s, with jitter."""


class LockQuestion:
    """Asks for a lock, for one attempt; see ``ahead``."""

    __slots__ = ("entry", "fence", "holds")

    verb: Verb = "lock"

    def __init__(self, holds: Holds, attempt: Attempt, name: str, *, may_wait: bool) -> None:
        self.holds = holds
        owner = owner_of(attempt.token, attempt.fence, attempt.job_id)
        self.entry: LockAsk = (name, owner, 1 if may_wait else 0)
        self.fence: bytes | None = None  # not asked yet; b"": it is busy

    def hear(self, answer: LockAnswer) -> bool:
        """Keep the fence; without one the call does not go on from here."""
        self.fence = answer if isinstance(answer, bytes) else b""
        return self.fence != b""

    def held(self, attempt: Attempt, running: asyncio.Task[Any] | None = None) -> Held | None:
        """Give the lock as something held from now on; None while it is not ours."""
        if not self.fence:
            return None
        return self.holds.add("lock:" + self.entry[0], self.entry[1], attempt, int(self.fence), running)

    def undo(self) -> None:
        """Give the lock back, or the place in line."""
        self.holds.scripts.release.post(self.entry[:2])


async def take(
    question: LockQuestion, attempt: Attempt, *, wait_s: float, running: asyncio.Task[Any] | None = None
) -> Held | None:
    """Take a lock, waiting in line for it at most so long; None when it is busy.

    Args:
        question: which; asked now unless it has been.
        attempt: for whom.
        wait_s: longest wait.
        running: cancelled when the lock is lost; None: what carries the attempt is.

    Raises:
        ServerError: nothing was taken, or what was taken falls free with its lease.
    """
    holds, (name, owner, _) = question.holds, question.entry
    try:
        if question.fence is None:
            question.hear(await holds.scripts.lock.put(question.entry))
        if not question.fence and wait_s > 0:
            question.fence = await _wait_in_line(holds, name, owner, wait_s)
    except BaseException:
        question.undo()
        raise
    return question.held(attempt, running)


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


def give_back(holds: Holds, held: Held, *, with_outcome: bool = False) -> None:
    """Free a lock, now or with the outcome of its job; it goes straight to whoever has waited longest."""
    if not holds.drop(held):
        return
    give = (held.key[len("lock:") :], held.owner)
    if with_outcome:
        holds.endings.gives.append(give)
    else:
        holds.scripts.release.post(give)


@asynccontextmanager
async def locked(holds: Holds, attempt: Attempt, name: str, wait_s: float) -> AsyncGenerator[int, None]:
    """Hold a lock around a block of a task; gives its fence. See ``Context.lock``."""
    key = f"lock:{checked_name(name)}"
    owner = owner_of(attempt.token, attempt.fence, attempt.job_id)
    if (outer := holds.get(key, owner)) is not None:
        yield outer.fence
        return
    question = LockQuestion(holds, attempt, name, may_wait=wait_s > 0)
    held = await take(question, attempt, wait_s=wait_s, running=asyncio.current_task())
    if held is None:
        raise Snooze(busy_s(attempt), reason=f"lock {name} is busy")
    try:
        yield held.fence
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

    def question(self, attempt: Attempt, holds: Holds) -> LockQuestion:
        """Give what to ask for an attempt.

        Raises:
            InvalidArguments: its arguments give no name.
        """
        named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
        name = self.lock.name_for(attempt.task, named)
        return LockQuestion(holds, attempt, name, may_wait=self._wait_s > 0)

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        holds: Holds = attempt.ctx["effects"].holds
        try:
            question: LockQuestion = attempt.ahead.pop(0) if attempt.ahead else self.question(attempt, holds)
            held = question.held(attempt) or await take(question, attempt, wait_s=self._wait_s)
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        except ServerError as error:
            return Snoozed(1000, str(error))
        if held is None:
            return self._busy(attempt, question.entry[0])
        outcome: Outcome | None = None
        try:
            attempt.ctx["lock_fence"] = held.fence
            outcome = held.judge(await call_next(attempt))
            return outcome
        finally:
            is_written = outcome is not None and type(outcome) is not Lost and not attempt.is_over
            give_back(holds, held, with_outcome=is_written)

    @property
    def _wait_s(self) -> float:
        return self.lock.wait_s if self.lock.on_busy == "wait" else 0.0

    def _busy(self, attempt: Attempt, name: str) -> Outcome:
        if self.lock.on_busy == "skip":
            return Succeeded(dict(SKIPPED))
        return Snoozed(round(busy_s(attempt) * 1000), f"lock {name} is busy")
