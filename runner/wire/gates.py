"""The scripts of gates as typed calls that coalesce: one GateScripts a queue, whose slot the gates lie in.

A report that is sent twice counts twice, a retry that asks twice pays twice: gates err towards fewer calls.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .coalesce import Coalesced
from .keys import Keys
from .scripts import Execute, run_script

StateWord = Literal["paused", "open", "half_open", "recovering", "closed"]
_STATES: Mapping[tuple[str, bool], StateWord] = {
    ("open", True): "open",
    ("open", False): "half_open",
    ("recovering", True): "paused",
    ("recovering", False): "recovering",
    ("", True): "closed",
    ("", False): "closed",
}

FAR_MS = 600_000
"""No time to come back is farther off than 10 minutes: who is told so asks again within them."""


class Visit(NamedTuple):
    """A job at its gates.

    Attributes:
        job_id: whose.
        is_retry: counts against retry budgets.
        has_turn: it waited in line and its turn has come.
        jitter: 0 to 1000.
        gates: key, breaker and budget (``str(RetryBudget)`` or nothing) of each.
    """

    job_id: str
    is_retry: bool
    has_turn: bool
    jitter: int
    gates: Sequence[tuple[str, str, str]]


class Admission(NamedTuple):
    """What a job is told at its gates.

    Attributes:
        wait_ms: until it shall come back; 0: go.
        which: of its gates holds it up, from 1.
        word: closed, full or budget.
        until_ms: the gate is closed till then.
        why: for people.
    """

    wait_ms: int
    which: int
    word: str
    until_ms: int
    why: str


@dataclass(slots=True)
class Call:
    """How a call through a gate went; ``gate_report.lua`` has the verdicts.

    Attributes:
        key: of the gate.
        name: of its breaker; empty for what people say.
        job_id: whose call.
        verdict: how it went.
        count: so many calls went alike.
        retry_ms: the wait that was asked for.
        took_ms: how long it took; the longest of those that went alike.
        is_retry: counts against the retry budget, not for it.
        jitter: in thousandths.
        why: for people.
        policy: ``Breaker.policy``.
        budget: ``Breaker.budget``.
    """

    key: str
    name: str
    job_id: str
    verdict: str
    count: int = 1
    retry_ms: int = 0
    took_ms: int = 0
    is_retry: bool = False
    jitter: int = 0
    why: str = ""
    policy: str = ""
    budget: str = ""

    @property
    def parts(self) -> tuple[str | int, ...]:
        """As the script takes it."""
        said = (self.key, self.name, self.job_id, self.verdict, self.count, self.retry_ms, self.took_ms)
        return *said, int(self.is_retry), self.jitter, self.why, self.policy, self.budget


class Standing(NamedTuple):
    """A gate after a report.

    Attributes:
        state: closed, open (then half open) or recovering.
        now_ms: the server's clock.
        until_ms: nobody passes till then; 0 for never closed.
        most: at once; None for any number.
        change: what the call changed: opened, paused, closed or nothing.
        why: for people.
    """

    state: str
    now_ms: int
    until_ms: int
    most: int | None
    change: Literal["opened", "paused", "closed", ""]
    why: str


class Gate(NamedTuple):
    """A gate as it is now.

    Attributes:
        key: its key.
        state: a word of GateState.
        closed_for_ms: nobody passes for so long; 0: some pass.
        most: at once; None for any number.
        why: for people.
        openings: in a row.
    """

    key: str
    state: StateWord
    closed_for_ms: int
    most: int | None
    why: str
    openings: int


class GateScripts:
    """The scripts of one queue's gates.

    Args:
        execute: sends one command.
        keys: of the queue.
        hold_ms: one who was let through a narrow gate and never reports counts for so long.
    """

    def __init__(self, execute: Execute, keys: Keys, *, hold_ms: int = 60_000) -> None:
        self._execute = execute
        self._keys = keys
        self._hold_ms = hold_ms
        self.enter: Coalesced[Visit, Admission] = Coalesced(self.enter_all)
        self._report: Coalesced[Call, Standing] = Coalesced(self.report_all)
        self._well: dict[str, Call] = {}

    async def enter_all(self, visits: Sequence[Visit], *, now_ms: int = 0) -> list[Admission]:
        """Ask for up to 500 jobs whether they may call now: one round trip."""
        args: list[Any] = [now_ms, self._hold_ms, FAR_MS]
        for visit in visits:
            args += (visit.job_id, int(visit.is_retry), int(visit.has_turn), visit.jitter, len(visit.gates))
            for gate in visit.gates:
                args += gate
        reply = iter(await self._run("gate_enter", args))
        return [
            Admission(int(wait), int(which), word.decode(), int(until), why.decode(errors="replace"))
            for wait, which, word, until, why in zip(*(reply,) * 5, strict=True)
        ]

    def joined(self, key: str, took_ms: int) -> bool:
        """Count a first try that went well with those of its gate that wait for a trip; False: none do."""
        waiting = self._well.get(key)
        if waiting is None:
            return False
        waiting.count, waiting.took_ms = waiting.count + 1, max(waiting.took_ms, took_ms)
        return True

    def report(self, call: Call, *, may_be_joined: bool = False) -> "asyncio.Future[Standing]":
        """Send a report with the next trip; the others of its gate that wait go before it.

        Args:
            call: how it went.
            may_be_joined: others that go alike may be counted with it until it is sent.
        """
        self._well.pop(call.key, None)
        if may_be_joined:
            self._well[call.key] = call
        return self._report.put(call)

    def post(self, call: Call) -> None:
        """Send a report and do not ask what became of it."""
        self._well.pop(call.key, None)
        self._report.post(call)

    async def reported(self) -> None:
        """Wait until no report is on its way."""
        await self._report.settled()

    async def report_all(self, calls: Iterable[Call], *, now_ms: int = 0) -> list[Standing]:
        """Tell how up to 500 calls went: one round trip."""
        self._well.clear()
        args: list[Any] = [now_ms]
        for call in calls:
            args += call.parts
        now_ms, *flat = await self._run("gate_report", args)
        reply = iter(flat)
        return [
            Standing(
                state.decode() or "closed",
                now_ms,
                int(until),
                int(most) if most else None,
                change.decode(),
                _text(why),
            )
            for state, until, most, change, why in zip(*(reply,) * 5, strict=True)
        ]

    async def gates(self, most: int) -> list[str]:
        """Give the keys of gates that hold somebody up, at most so many."""
        found = await self._execute("ZRANGE", self._keys.gates, 0, most - 1)
        return [key.decode() for key in found]

    async def gate(self, key: str) -> Gate | None:
        """Give a gate as it is now; None when nothing is known of it: it is closed and healthy."""
        u, n, s, why, m = await self._execute("HMGET", self._keys.gate(key), "u", "n", "s", "why", "m")
        if m is None:
            return None
        seconds, us = await self._execute("TIME")
        left_ms = max(0, int(u) - int(seconds) * 1000 - int(us) // 1000)
        return Gate(
            key,
            _STATES[s.decode(), left_ms > 0],
            left_ms,
            int(n) if n else None,
            _text(why),
            int(m.split()[2]),
        )

    async def _run(self, verb: str, args: list[Any]) -> Any:
        return await run_script(self._execute, verb, (self._keys.queue, self._keys.here), args)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
