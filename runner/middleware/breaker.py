"""Breakers: a job asks its gates before its call, and tells them afterwards how it went."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from .. import events
from ..arguments import Parameters
from ..breaker import Breaker, Health
from ..errors import InvalidArguments
from ..job import Attempt
from ..key_names import bucket_of
from ..outcome import Dead, Failed, Lost, NotYet, Outcome, Queued, Retrying, Succeeded
from ..wire.destinations import DestinationScripts
from ..wire.gates import Admission, Call, GateScripts, Standing, Visit
from ..wire.passing import TROUBLE
from .chain import CallNext

logger = logging.getLogger("runner.middleware")

JITTER = 200
"""An opening lasts up to so many thousandths longer."""

LONGEST_S = 1.0
"""A job whose call failed waits so long at most until its gates are told."""

Gates = Sequence[tuple[str, Breaker]]
"""The key of each gate a job passes, and the breaker that says how."""


class Gatekeeper:
    """Asks and tells the gates of a worker's queues; calls of one moment share one script call a queue.

    Args:
        scripts: by the queue's key.
        names: of the queues, by the same.
        destinations: what is kept of each queue's calls, by the same.
    """

    def __init__(
        self,
        scripts: Mapping[str, GateScripts],
        names: Mapping[str, str],
        destinations: Mapping[str, DestinationScripts],
    ) -> None:
        self._scripts = scripts
        self._names = names
        self._destinations = destinations

    async def enter(self, attempt: Attempt, gates: Gates) -> Queued | None:
        """Let a job through, or say when it is to come back. A server that is away lets it through."""
        asked = [(key, breaker.name, breaker.budget) for key, breaker in gates]
        visit = Visit(attempt.job_id, attempt.number > 1, attempt.has_turn, random.randrange(1001), asked)
        try:
            answer = await self._scripts[attempt.queue].enter.put(visit)
        except TROUBLE as error:
            logger.debug("job %s was let through unasked: %s", attempt.job_id, error)
            return None
        return _queued(gates, answer) if answer.wait_ms else None

    def report(
        self, attempt: Attempt, gates: Gates, told: Sequence[Health], took_s: float, *, was_asked: bool = True
    ) -> "list[asyncio.Future[Standing]]":
        """Tell gates how a call went; a server that is away is not told.

        Args:
            attempt: which call.
            gates: that it passed.
            told: of each gate, how well the other side is.
            took_s: how long the call took.
            was_asked: a gate was asked by ``enter``: a narrow one may count the job among its probes.

        Returns:
            What is under way of bad news; good news costs the job no wait.
        """
        bad: list[asyncio.Future[Standing]] = []
        scripts, took_ms = self._scripts[attempt.queue], int(took_s * 1000)
        for (key, breaker), health in zip(gates, told, strict=True):
            self._destinations[attempt.queue].note(key, health.verdict, took_s)
            is_alike = health.verdict == "ok" and not was_asked
            if is_alike and scripts.joined(key, took_ms):
                continue
            call = Call(
                key=key,
                name=breaker.name,
                job_id=attempt.job_id,
                verdict=health.verdict,
                retry_ms=round(health.retry_after_s * 1000),
                took_ms=took_ms,
                is_retry=attempt.number > 1,
                jitter=random.randrange(JITTER + 1),
                why=_asked(attempt, health) if health.verdict == "throttled" else "",
                policy=breaker.policy,
                budget=breaker.budget,
            )
            telling = scripts.report(call, may_be_joined=is_alike)
            telling.add_done_callback(partial(self._note, attempt.queue, call))
            if health.verdict in ("failed", "throttled"):
                bad.append(telling)
        return bad

    @asynccontextmanager
    async def guard(self, attempt: Attempt, breaker: Breaker, key: str) -> AsyncGenerator[None]:
        """Pass a gate around a block of a task. See ``Context.breaker``."""
        gates = [(bucket_of(key), breaker)]
        if (queued := await self.enter(attempt, gates)) is not None:
            raise NotYet(queued)
        began, health = attempt.clock.monotonic(), Health("none")
        try:
            yield
            health = Health("ok")
        except Exception as error:
            health = _judged(breaker, error)
            raise
        finally:
            self.report(attempt, gates, [health], attempt.clock.monotonic() - began)

    async def settled(self) -> None:
        """Wait until all is told, also what follows from it."""
        for _ in range(2):
            for scripts in self._scripts.values():
                await scripts.reported()
            await asyncio.sleep(0)

    async def tell_destinations(self) -> None:
        """Tell the server what was counted of calls; what a server that is away misses is not told again."""
        telling = [each.tell() for each in self._destinations.values()]
        for error in await asyncio.gather(*telling, return_exceptions=True):
            if isinstance(error, Exception):
                logger.debug("calls of this worker were not told: %s", error)

    def _note(self, queue: str, call: Call, telling: "asyncio.Future[Standing]") -> None:
        if telling.cancelled():
            return
        if (error := telling.exception()) is not None:
            logger.debug("gate %s was not told of job %s: %s", call.key, call.job_id, error)
            return
        gate = telling.result()
        if gate.change == "closed":
            logger.info("gate %s of queue %s is open again", call.key, self._names[queue])
            events.emit("gate.closed", gate=call.key, queue=self._names[queue])
        elif gate.change:
            for_ms = gate.until_ms - gate.now_ms
            text = "gate %s of queue %s lets nobody through for %.1f s: %s"
            logger.warning(text, call.key, self._names[queue], for_ms / 1000, gate.why)
            told = {"gate": call.key, "queue": self._names[queue], "until_ms": gate.until_ms, "why": gate.why}
            events.emit("gate.opened" if gate.change == "opened" else "gate.paused", **told)
            verdict = "open" if gate.change == "opened" else "throttled"
            self._pass_on(queue, replace(call, verdict=verdict, retry_ms=for_ms, why=gate.why, budget=""))

    def _pass_on(self, queue: str, call: Call) -> None:
        """Tell the gates of that key in the other queues: each queue has its own, in its own slot."""
        for other, scripts in self._scripts.items():
            if other != queue:
                scripts.post(replace(call))


def _asked(attempt: Attempt, health: Health) -> str:
    return f"the other side asked for {health.retry_after_s:g} s, told to job {attempt.job_id}"


def _queued(gates: Gates, answer: Admission) -> Queued:
    key = gates[answer.which - 1][0]
    match answer.word:
        case "budget":
            return Queued(answer.wait_ms, f"gate {key}: too many retries", has_place=True)
        case "full":
            return Queued(answer.wait_ms, f"gate {key} lets few through: {answer.why}", has_place=False)
        case _:
            return Queued(answer.wait_ms, f"gate {key} is closed: {answer.why}", has_place=False)


def heard(breaker: Breaker, outcome: Outcome, told: Mapping[str, Health]) -> Health:
    """Say what an attempt tells of the other side: what the task said of it, else how it ended."""
    said = told.get(breaker.name) or told.get("")
    if said is not None:
        return said
    match outcome:
        case Succeeded():
            return Health("ok")
        case Failed(error) | Retrying(error=BaseException() as error):
            return _judged(breaker, error)
        case _:
            return Health("none")


def _judged(breaker: Breaker, error: BaseException) -> Health:
    """Ask the breaker of an error, and of what it was raised from; a judge that raises has said nothing."""
    seen: BaseException | None = error
    while seen is not None:
        try:
            health = breaker.health(seen)
        except Exception:
            logger.exception("the judge of breaker %r raised over %s", breaker.name, type(seen).__name__)
            return Health("none")
        if health.verdict != "none":
            return health
        seen = seen.__cause__
    return Health("none")


@dataclass(frozen=True, slots=True)
class ThroughGates:
    """Runs the call once the task's gates let it through, and tells them how it went.

    A job that came by its lane has passed them at its claim; then only retries ask, for their budgets.

    Attributes:
        breakers: as declared; all or none.
        parameters: the task's.
    """

    breakers: Sequence[Breaker]
    parameters: Parameters

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        keeper: Gatekeeper = attempt.ctx["gates"]
        try:
            named = self.parameters.named(attempt.task, attempt.args, attempt.kwargs)
            gates = [(each.gate(attempt.task, named), each) for each in self.breakers]
        except InvalidArguments as error:
            return Dead("invalid_arguments", error)
        has_to_ask = not attempt.is_laned or attempt.number > 1
        if has_to_ask and (queued := await keeper.enter(attempt, gates)) is not None:
            return queued
        began = attempt.clock.monotonic()
        told = attempt.ctx["health"] = dict[str, Health]()
        outcome: Outcome = Lost()
        try:
            outcome = await call_next(attempt)
            return outcome
        finally:
            said = [heard(each, outcome, told) for each in self.breakers]
            took_s = attempt.clock.monotonic() - began
            bad = keeper.report(attempt, gates, said, took_s, was_asked=has_to_ask)
            if bad:  # its gates know before the job can come back: it never passes on what it said itself
                await asyncio.wait(bad, timeout=LONGEST_S)
