"""What calls of scripts are drawn from: few names, so that calls meet."""

from collections.abc import Callable
from random import Random
from typing import Any

from runner.breaker import Breaker, RetryBudget
from runner.lanes import Gate, Lane
from runner.rates import Adaptive, Rate
from runner.unique import Sole
from runner.wire.limits import Want
from runner.wire.queue_scripts import HEAD_BYTES
from runner.wire.scripts import Entry

START_MS = 1_900_000_000_000
STEPS_MS = (*(0, 0, 1, 3, 40, 40, 250, 900) * 4, 6_000, 6_000, 15_000, -5_000, 90_000)
LEAPS_MS = (3_700_000, 90_000_000)
IDS = [f"job{n}" for n in range(12)]
TENANTS = ("", "", "a", "b")
RATES = (Rate(3, 1000, 3), Rate(10, 1_000_000, 4), Rate(7, 60_000_000, 2), Rate(5, 1_000_000, 9))
ADAPTIVES = (Adaptive("1/s", recover=5), Adaptive("2/m", cut=0.9, recover=0.5))
BREAKERS = (
    Breaker("host", open_after=2, volume=4, window=2, open_for=1, open_cap=7, close_after=2, ramp=1),
    Breaker("host", open_after=9, volume=3, probes=3, pause_cap=4, retry_budget=RetryBudget(0.5, 2, 2)),
)
RULES = {
    "breaker:host": ("after 3 probes 2", ""),
    "breaker:host:a": ("open 5000 bcap 0", ""),
    "limit:host": ("1", "2", ""),
    "weight:a": ("3", ""),
}
VERDICTS = (*("ok",) * 4, *("failed",) * 4, "throttled", "none", "open", "resume", "reset")
VERBS = ("done", "dead", "dead", "dead", "again", "later", "back", "suspend")
SLOTS = (("wait:paid#1", "signals:paid"), ("wait:paid#2", "signals:paid"), ("sleep:nap#1", ""))


class Draws:
    """Draws arguments, at a time that goes on."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.now_ms = rng, START_MS

    def one(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def many(self, draw: Callable[[], Any], most: int = 3) -> list[Any]:
        return [draw() for _ in range(self.rng.randint(1, most))]

    def ids(self) -> list[str]:
        return self.rng.sample(IDS, self.rng.randint(1, 4))

    def payload(self) -> bytes:
        tail = b"x" * HEAD_BYTES if self.rng.random() < 0.03 else b""
        return b'{"f":"send","a":%d}' % self.rng.randrange(3) + tail

    def lane(self) -> str:
        gates = (Gate(self.one("host:a", "host:b"), "host"),)
        return Lane(self.one(*TENANTS), self.one(3, 5), self.one((), gates)).spec

    def entry(self, job_id: str) -> Entry:
        at_ms = self.one(0, 0, self.now_ms - 50, self.now_ms + 900)
        return Entry(job_id, at_ms, self.one(0, 0, 700), self.payload(), self.lane())

    def sole(self) -> Sole | None:
        until, conflict = self.one("done", "started", "period"), self.one("keep", "replace", "reject")
        sole = Sole(self.one("d1", "d2"), until, conflict, 3000, *self.one((0, 0), (500, 2000)))
        return self.one(None, sole)

    def want(self) -> Want:
        rate = self.one(*RATES, *RATES, None)
        return Want(
            self.one("pay:a", "pay:b", "mail"), "pay", self.one(1, 1, 2, 3), rate, self.one(True, False)
        )

    def gate(self) -> tuple[str, str, str]:
        return self.one("host:a", "host:b"), "host", self.one(*BREAKERS).budget
