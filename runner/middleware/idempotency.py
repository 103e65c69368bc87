"""The idempotency cache: an effect happens once for each key, whoever asks for it how often.

(nothing) ──begin──► in progress ──► done      a result, given to every later caller until its TTL ends
                      │    ▲    └──► failed    for good; a replay of the same job may try again
       holder gone or │    │ RECOVER, with what steps recorded, to one owner at a time
       did not say    ▼    │
                      unknown
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ..errors import (
    GiveUp,
    IdempotencyConflict,
    InvalidArguments,
    JobFailed,
    LeaseLost,
    ServerError,
    Snooze,
)
from ..job import Attempt
from ..wire import codec
from ..wire.effects import BeginAnswer, BeginAsk, Verb
from .holds import Held, Holds
from .lock import busy_s

logger = logging.getLogger("runner.middleware")

UNASKED = (b"", b"")


class Effect(Held):
    """Which effect, for whom; held from when it was begun.

    Args:
        holds: where records are begun and kept.
        attempt: on whose behalf.
        digest: of the key.
        fingerprint: of the request; another one under the same key is a conflict.
        ttl_ms: how long done and failed are remembered.

    Attributes:
        entry: what is asked, by ``begin`` or ahead of the call.
        answer: to it; it has to come before ``once``.
    """

    __slots__ = ("_once", "answer", "digest", "entry", "fingerprint", "ttl_ms")

    verb: Verb = "begin"

    def __init__(self, holds: Holds, attempt: Attempt, digest: str, fingerprint: str, ttl_ms: int) -> None:
        super().__init__(holds, "once:" + digest, attempt)
        self.digest, self.fingerprint, self.ttl_ms = digest, fingerprint, ttl_ms
        self.entry: BeginAsk = (digest, fingerprint, self.owner)
        self.answer: BeginAnswer = UNASKED
        self._once: Once | None = None

    @property
    def once(self) -> "Once":
        """The effect as the task sees it; made when somebody looks."""
        if self._once is None:
            word, data = self.answer
            steps = msgspec.json.decode(data) if data else {}
            self._once = Once(self, is_recovering=word == b"recover", steps=steps)
        return self._once

    async def begin(self, *, wait_s: float) -> BeginAnswer:
        """Ask what is known, waiting at most so long for somebody else who makes the effect happen.

        Raises:
            ServerError: nothing is known; if it was begun all the same, the next attempt finds it.
        """
        if self.answer is UNASKED:
            await self._ask()
        if self.answer[0] == b"busy" and wait_s > 0:
            await self.holds.wait(f"once {self.digest}", self._ask, wait_s)
        return self.answer

    def hear(self, answer: BeginAnswer) -> bool:
        """Keep the answer to what was asked ahead; True when the call is to make it happen."""
        self.answer = answer
        return answer[0] in (b"new", b"recover")

    def undo(self) -> None:
        """Say that the call never began: what was new is new again, what was unknown is unknown still."""
        if self.answer[0] in (b"new", b"recover"):
            state = "N" if self.answer[0] == b"new" else "U"
            self.holds.scripts.leave.post((self.digest, self.owner, state, 0, b""))

    async def _ask(self) -> int | None:
        """Give None, or the ms after which a busy record changes by itself unless renewed."""
        self.answer = await self.holds.scripts.begin.put(self.entry)
        return int(self.answer[1].split(b" ", 1)[0]) if self.answer[0] == b"busy" else None

    async def end(self, state: Literal["D", "F"], data: bytes) -> bool:
        """Write how it ended, however long the server is away; False when the record was lost to another."""
        end = (self.digest, self.owner, state, self.ttl_ms, data)
        while True:
            try:
                return bool(await self.holds.scripts.finish.put(end))
            except ServerError as error:
                logger.warning("job %s has made its effect and cannot say so: %s", self.attempt.job_id, error)
                await asyncio.sleep(1)

    def end_with_job(self, state: Literal["D", "F"], data: bytes) -> None:
        """Have it written before the job's outcome is; one that is over has none: ``end``."""
        self.holds.endings.ends.append((self.digest, self.owner, state, self.ttl_ms, data))

    async def abandon(self) -> None:
        """As ``leave``, and wait until it is said; a server that is away learns it when the lease ends."""
        with suppress(ServerError):
            await self.holds.scripts.finish.put((self.digest, self.owner, "U", 0, b""))

    def leave(self) -> None:
        """Say that nobody knows whether it happened: the next caller gets RECOVER. Costs no wait."""
        self.holds.scripts.leave.post((self.digest, self.owner, "U", 0, b""))


@dataclass(slots=True)
class Once:
    """One effect, begun.

    Attributes:
        effect: which.
        done: it has happened; do not make it happen again.
        result: of it, as plain JSON; None unless done.
        is_recovering: an earlier caller began it and vanished, or failed without saying how: find out first.
        steps: what earlier callers and this one recorded, by name, as plain JSON.
    """

    effect: Effect
    done: bool = False
    result: Any = None
    is_recovering: bool = False
    steps: dict[str, Any] = field(default_factory=dict[str, Any])

    async def step(self, name: str, data: Any = None) -> None:
        """Record how far it is, before going on; whoever recovers it finds this in ``steps``.

        Raises:
            LeaseLost: another caller has it now: make no effect.
            InvalidArguments: the data has no JSON form.
        """
        steps = {**self.steps, name: data}
        try:
            encoded = codec.encode_value(steps)
        except (TypeError, ValueError) as error:
            msg = f"step '{name}' cannot be recorded: {error}"
            raise InvalidArguments(msg) from error
        recorded = await self.effect.holds.scripts.step.put((self.effect.digest, self.effect.owner, encoded))
        if not recorded:
            msg = f"step '{name}' was refused: another caller has this effect now"
            raise LeaseLost(msg)
        self.steps = steps

    async def complete(self, result: Any = None) -> None:
        """Write that it has happened, with the result that every later caller gets.

        Raises:
            LeaseLost: another caller has it now.
            InvalidArguments: the result has no JSON form; nothing was written.
        """
        try:
            data = codec.encode_value(result)
        except (TypeError, ValueError) as error:
            msg = f"the result of an effect cannot be stored: {error}"
            raise InvalidArguments(msg) from error
        if not await self.effect.end("D", data):
            msg = "the result was refused: another caller has this effect now"
            raise LeaseLost(msg)
        self.done, self.result = True, result


@asynccontextmanager
async def idempotent(effect: Effect, *, what: str, wait_s: float) -> AsyncGenerator[Once, None]:
    """Guard a block of a task; see ``Context.idempotent``."""
    answer = await effect.begin(wait_s=wait_s)
    match answer:
        case b"done", data:
            yield Once(effect, done=True, result=msgspec.json.decode(data))
            return
        case b"failed", data:
            msg = f"{what} failed for good before: {error_of(data)}"
            raise GiveUp(msg)
        case b"conflict", known:
            raise IdempotencyConflict(what, known=known.decode(), given=effect.fingerprint)
        case b"busy", data:
            holder = data.split(b" ", 1)[1].decode()
            raise Snooze(busy_s(effect.attempt), reason=f"{what} is in progress in job {holder}")
        case _:
            once = effect.once
    effect.running = asyncio.current_task()
    effect.holds.add(effect)
    try:
        yield once
        if not once.done:
            await once.complete()
    except GiveUp as error:
        await effect.end("F", error_bytes(error))
        raise
    except asyncio.CancelledError:
        if effect.is_lost and not effect.attempt.cancel_reason:
            raise Snooze(1, reason=f"{what} was lost") from None
        raise
    finally:
        if effect.holds.drop(effect) and not once.done:
            effect.leave()


def error_bytes(error: BaseException) -> bytes:
    """Give how a definite failure is stored."""
    return msgspec.json.encode(codec.describe_error(error))


def error_of(data: bytes) -> JobFailed:
    """Give the failure that was stored."""
    error = msgspec.json.decode(data, type=codec.RemoteError)
    return JobFailed(error.type, error.message, error.traceback)
