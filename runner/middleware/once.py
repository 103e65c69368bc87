"""The idempotency middleware: a task's call happens once for each key, and everybody else gets its result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ..arguments import Parameters
from ..effects import Idempotency
from ..errors import IdempotencyConflict, InvalidArguments, ServerError
from ..job import Attempt
from ..outcome import Dead, Failed, Lost, Outcome, Snoozed, Succeeded
from ..wire import codec
from .chain import CallNext
from .holds import Holds
from .idempotency import Effect, error_bytes, error_of
from .lock import busy_s


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

    def question(self, attempt: Attempt, holds: Holds) -> Effect:
        """Give what to ask for an attempt.

        Raises:
            InvalidArguments: its arguments give no key.
        """
        named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
        digest, fingerprint = self.idempotency.identify(attempt.task, named)
        return Effect(holds, attempt, digest, fingerprint, round(self.idempotency.ttl_s * 1000))

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        holds: Holds = attempt.ctx["effects"].holds
        try:
            effect: Effect = attempt.ahead.pop(0) if attempt.ahead else self.question(attempt, holds)
            if (word := effect.answer[0]) != b"new":
                word, _ = await effect.begin(wait_s=self.idempotency.wait_s)
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        except ServerError as error:
            return Snoozed(1000, str(error))
        if word != b"new" and (known := _known(effect)) is not None:
            return known
        attempt.ctx["effect"] = effect
        holds.add(effect)
        outcome: Outcome | None = None
        is_ended = False
        try:
            outcome = await call_next(attempt)
            if effect.is_lost:
                outcome = effect.judge(outcome)
            if (end := self._end(attempt, outcome)) is not None:
                if attempt.is_over:  # nothing is written of it any more
                    await effect.end(*end)
                else:
                    effect.end_with_job(*end)
                is_ended = True
            return outcome
        finally:
            if holds.drop(effect) and not is_ended and type(outcome) is not Lost:
                effect.leave()

    def _end(self, attempt: Attempt, outcome: Outcome) -> tuple[Literal["D", "F"], bytes] | None:
        """Give how the effect has ended; None: nobody knows."""
        if type(outcome) is Succeeded:
            return "D", b"null" if outcome.result is None else _result_bytes(outcome.result)
        if type(outcome) is Failed and self.is_final(attempt, outcome.error):
            return "F", error_bytes(outcome.error)
        return None


def _known(effect: Effect) -> Outcome | None:
    """Give the outcome of a call that must not run; None for one that must."""
    match effect.answer:
        case b"done", data:
            return Succeeded(msgspec.json.decode(data))
        case b"failed", data:
            return Dead("gave_up", error_of(data))
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
