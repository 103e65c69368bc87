"""The idempotency cache: an effect happens once for each key, whoever asks for it how often.

(nothing) ──begin──► in progress ──► done      a result, given to every later caller until its TTL ends
                      │    ▲    └──► failed    for good; a replay of the same job may try again
       holder gone or │    │ RECOVER, with what steps recorded, to one owner at a time
       did not say    ▼    │
                      unknown
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ..arguments import Parameters
from ..effects import Idempotency
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
from ..outcome import Dead, Failed, Lost, Outcome, Snoozed, Succeeded
from ..wire import codec
from ..wire.effects import BeginAnswer, BeginAsk, EffectEnd, Step, owner_of
from .chain import CallNext
from .holds import Holds
from .lock import busy_s

logger = logging.getLogger("runner.middleware")


@dataclass(slots=True)
class Effect:
    """Which effect, for whom.

    Attributes:
        holds: where records are begun and kept.
        attempt: on whose behalf.
        digest: of the key.
        fingerprint: of the request; another one under the same key is a conflict.
        ttl_ms: how long done and failed are remembered.
        owner: names the attempt to the scripts.
    """

    holds: Holds
    attempt: Attempt
    digest: str
    fingerprint: str
    ttl_ms: int
    owner: str = field(init=False)

    def __post_init__(self) -> None:
        self.owner = owner_of(self.attempt.token, self.attempt.fence, self.attempt.job_id)

    async def begin(self, *, wait_s: float) -> BeginAnswer:
        """Ask what is known, waiting at most so long for somebody else who makes the effect happen.

        Raises:
            ServerError: nothing is known; if it was begun all the same, the next attempt finds it.
        """
        request = BeginAsk(self.digest, self.fingerprint, self.owner)
        answer = await self.holds.scripts.begin.put(request)
        if answer[0] != b"busy" or wait_s <= 0:
            return answer

        async def ask() -> int | None:
            nonlocal answer
            answer = await self.holds.scripts.begin.put(request)
            return int(answer[1].split(b" ", 1)[0]) if answer[0] == b"busy" else None

        await self.holds.wait(f"once {self.digest}", ask, wait_s)
        return answer

    async def end(self, state: Literal["D", "F"], data: bytes) -> bool:
        """Write how it ended, however long the server is away; False when the record was lost to another."""
        end = EffectEnd(self.digest, self.owner, state, self.ttl_ms, data)
        while True:
            try:
                return bool(await self.holds.scripts.finish.put(end))
            except ServerError as error:
                logger.warning("job %s has made its effect and cannot say so: %s", self.attempt.job_id, error)
                await asyncio.sleep(1)

    async def abandon(self) -> None:
        """As ``leave``, and wait until it is said; a server that is away learns it when the lease ends."""
        with suppress(ServerError):
            await self.holds.scripts.finish.put(EffectEnd(self.digest, self.owner, "U", 0, b""))

    def leave(self) -> None:
        """Say that nobody knows whether it happened: the next caller gets RECOVER. Costs no wait."""
        self.holds.scripts.leave.post(EffectEnd(self.digest, self.owner, "U", 0, b""))


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
        recorded = await self.effect.holds.scripts.step.put(
            Step(self.effect.digest, self.effect.owner, encoded)
        )
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
            msg = f"{what} failed for good before: {_error(data)}"
            raise GiveUp(msg)
        case b"conflict", known:
            raise IdempotencyConflict(what, known=known.decode(), given=effect.fingerprint)
        case b"busy", _:
            raise Snooze(busy_s(effect.attempt), reason=f"{what} is in progress")
        case _:
            once = _once(effect, answer)
    held = effect.holds.add(f"once:{effect.digest}", effect.owner, effect.attempt)
    try:
        yield once
        if not once.done:
            await once.complete()
    except GiveUp as error:
        await effect.end("F", _error_bytes(error))
        raise
    except asyncio.CancelledError:
        if held.is_lost and not effect.attempt.cancel_reason:
            raise Snooze(1, reason=f"{what} was lost") from None
        raise
    finally:
        if effect.holds.drop(held) and not once.done:
            effect.leave()


@dataclass(frozen=True, slots=True)
class OnceForKey:
    """Runs the call once for each key; everybody else gets its result.

    Attributes:
        idempotency: as declared.
        parameters: the task's.
        is_final: says of an error whether it proves that a further attempt is useless.
    """

    idempotency: Idempotency
    parameters: Parameters
    is_final: Callable[[Attempt, BaseException], bool]

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        try:
            named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
            digest, fingerprint = self.idempotency.identify(attempt.task, named)
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        ttl_ms = round(self.idempotency.ttl_s * 1000)
        effect = Effect(attempt.ctx["effects"].holds, attempt, digest, fingerprint, ttl_ms)
        try:
            answer = await effect.begin(wait_s=self.idempotency.wait_s)
        except ServerError as error:
            return Snoozed(1000, str(error))
        if answer[0] != b"new" and (known := _known(effect, answer)) is not None:
            return known
        attempt.ctx["once"] = _once(effect, answer)
        held = effect.holds.add("once:" + digest, effect.owner, attempt)
        is_written = False
        try:
            outcome = held.judge(await call_next(attempt))
            match outcome:
                case Succeeded(result):
                    is_written = await effect.end("D", _result_bytes(result))
                case Failed(error) if self.is_final(attempt, error):
                    is_written = await effect.end("F", _error_bytes(error))
                case Lost():
                    is_written = True
                case _:
                    pass
            return outcome
        finally:
            if effect.holds.drop(held) and not is_written:
                effect.leave()


def _once(effect: Effect, answer: BeginAnswer) -> Once:
    word, data = answer
    return Once(effect, is_recovering=word == b"recover", steps=msgspec.json.decode(data) if data else {})


def _known(effect: Effect, answer: BeginAnswer) -> Outcome | None:
    """Give the outcome of a call that must not run; None for one that must."""
    match answer:
        case b"done", data:
            return Succeeded(msgspec.json.decode(data))
        case b"failed", data:
            return Dead("gave_up", _error(data))
        case b"conflict", known:
            what = f"task '{effect.attempt.task}'"
            return Dead("conflict", IdempotencyConflict(what, known=known.decode(), given=effect.fingerprint))
        case b"busy", data:
            holder = data.split(b" ", 1)[1].decode()
            return Snoozed(round(busy_s(effect.attempt) * 1000), f"in progress in job {holder}")
        case _:
            return None


def _result_bytes(result: Any) -> bytes:
    """Encode a result; one that cannot be makes the job dead, but its effect has happened all the same."""
    try:
        return codec.encode_value(result)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return b"null"


def _error_bytes(error: BaseException) -> bytes:
    return msgspec.json.encode(codec.describe_error(error))


def _error(data: bytes) -> JobFailed:
    error = msgspec.json.decode(data, type=codec.RemoteError)
    return JobFailed(error.type, error.message, error.traceback)
