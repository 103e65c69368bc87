"""The door to gates, for web apps and the command line: look, pause a key, let calls through again."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from .breaker import Breaker
from .effects import span
from .errors import Delay
from .key_names import bucket_of, checked_limit
from .wire.gates import Call, GateScripts, StateWord
from .wire.keys import Keys
from .wire.scripts import Execute

LONGEST = 10 * 365 * 86_400
"""Seconds for which a person may pause a key."""


@dataclass(frozen=True, slots=True)
class GateState:
    """A gate of one queue as it is now.

    Attributes:
        key: its key.
        queue: name of the queue.
        state: paused (somebody asked for a wait), open (the other side fails: nobody passes), half_open
            (probes pass), recovering (growing numbers pass) or closed (all pass).
        closed_for_s: nobody passes for so long; 0: some do.
        most: at once; None for any number.
        why: for people.
    """

    key: str
    queue: str
    state: StateWord
    closed_for_s: float
    most: int | None
    why: str


class Gates:
    """Reads gates and changes them by hand, in all queues.

    Args:
        execute: sends one command.
        queues: their keys.
    """

    def __init__(self, execute: Execute, queues: Iterable[Keys]) -> None:
        self._gates = [(keys.name, GateScripts(execute, keys)) for keys in queues]

    async def states(self, key: str | None = None, *, most: int = 1000) -> list[GateState]:
        """Give the gates that hold somebody up, at most so many a queue; with a key all gates of that key."""
        found: list[GateState] = []
        for queue, scripts in self._gates:
            keys = await scripts.gates(most) if key is None else [bucket_of(key)]
            for gate in await asyncio.gather(*(scripts.gate(each) for each in keys)):
                if gate is not None:
                    left_s = gate.closed_for_ms / 1000
                    found.append(GateState(gate.key, queue, gate.state, left_s, gate.most, gate.why))
        return sorted(found, key=lambda each: (each.key, each.queue))

    async def pause(self, key: str, for_: Delay | str, *, why: str = "paused by hand") -> None:
        """Let nobody through the gates of that key for so long; then as after a wait that was asked for.

        Jobs that pass such a gate wait and spend nothing. One that is closed for longer stays so.

        Args:
            key: of a gate, as ``host:example.com``.
            for_: seconds, a timedelta, or text such as ``5m``.
            why: for people; the jobs that wait say it.

        Raises:
            ValueError: it is no key, or no time from 1 ms to ten years.
        """
        for_s = span(for_)
        if not 0.001 <= for_s <= LONGEST:
            msg = f"a pause is 1 ms to ten years long, not {for_s:g} s"
            raise ValueError(msg)
        await self._tell(key, "throttled", retry_ms=round(for_s * 1000), why=why)

    async def resume(self, key: str) -> None:
        """Let jobs through again, now, in growing numbers; a gate that holds nobody up stays as it is."""
        await self._tell(key, "resume")

    async def reset(self, key: str) -> None:
        """Let everybody through, now, and forget what was known of that key's health."""
        await self._tell(key, "reset")

    async def _tell(self, key: str, verdict: str, *, retry_ms: int = 0, why: str = "") -> None:
        call = Call(
            key=bucket_of(checked_limit(key)),
            name="",
            job_id="",
            verdict=verdict,
            retry_ms=retry_ms,
            is_retry=True,
            why=why,
            policy=_BY_HAND.policy,
        )
        await asyncio.gather(*(scripts.report_all([call]) for _, scripts in self._gates))


_BY_HAND = Breaker("gate", pause_cap=LONGEST)
