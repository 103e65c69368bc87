"""The whole machine, its real scripts included, against a gateway that may commit and not answer.

Hypothesis chooses what the gateway does, when a worker dies, who comes next and how much time passes.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import pytest
import redis as redis_sync
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.payment.declines import classify
from jobs.payment.desk import Desk
from jobs.payment.events import Event, take_in
from jobs.payment.gateway import Declined, Executed, Found, InProgress, NotSent, Throttled, Unknown
from jobs.payment.operation import Rules
from jobs.payment.records import is_intact
from jobs.payment.request import Request
from jobs.payment.state import State
from jobs.payment.store import PREFIX, Store
from runner.wire.lua_loader import load_from

REQUEST = Request(kind="charge", order_id="o-1", amount_minor=1999, currency="EUR", source="tok")
RULES = Rules(retry_s=(10, 60, 300), proof_s=900)
KEY_TTL_S = 24 * 3600
LAG_S = 600
"""How late a request may take effect, or a lookup show it: less than RULES.proof_s."""

ANSWERS = (
    "answers",
    "loses the answer",
    "loses the request",
    "is late",
    "throttles",
    "is unreachable",
    "declines",
)


class Died(BaseException):
    """A worker is no more."""


class Scripts:
    """Runs scripts on a plain client; the machine is not asynchronous."""

    def __init__(self, url: str) -> None:
        self.redis = redis_sync.Redis.from_url(url)

    async def run_script(self, package, verb, keys, args):
        return self.redis.eval(load_from(package, verb).source, len(keys), *keys, *args)


@dataclass
class Gateway:
    """Commits charges; keeps keys for KEY_TTL_S if it honours them; shows charges with a lag."""

    honours_keys: bool
    now_s: float = 1_000_000.0
    mood: str = "answers"
    dies: str = ""
    charges: list = field(default_factory=list)
    keys: dict = field(default_factory=dict)

    def committed(self):
        return [each for each in self.charges if each["at_s"] <= self.now_s]

    async def execute(self, order):
        if self.dies == "before":
            raise Died
        outcome = self._execute(order)
        if self.dies == "after":
            raise Died
        return outcome

    def _execute(self, order):
        mood = self.mood
        if mood == "is unreachable":
            return NotSent("unreachable")
        if mood == "throttles":
            return Throttled(5.0)
        if mood == "loses the request":
            return Unknown("no answer")
        kept = self.keys.get(order.key) if self.honours_keys else None
        if kept is None or self.now_s - kept["first_s"] > KEY_TTL_S:
            at_s = self.now_s + (LAG_S if mood == "is late" else 0)
            kept = {"at_s": at_s, "first_s": self.now_s, "attempt": order.attempt, "ok": mood != "declines"}
            self.keys[order.key] = kept
            self.charges.append(kept)
        if mood in ("loses the answer", "is late"):
            return Unknown("no answer")
        return self._seen(kept) if kept["at_s"] <= self.now_s else InProgress("409")

    async def find(self, _order):
        if self.mood in ("loses the answer", "loses the request", "is unreachable"):
            return Unknown("no answer")
        return Found(tuple(self._seen(each) for each in self.committed() if each["at_s"] + 60 <= self.now_s))

    def _seen(self, charge):
        facts = {"ref": "pi", "op_id": "", "attempt": charge["attempt"]}
        if charge["ok"]:
            return Executed(status="succeeded", amount_minor=1999, currency="EUR", **facts)
        return Declined(decline=classify("stolen_card"), **facts)

    @property
    def successes(self) -> int:
        return sum(each["ok"] for each in self.charges)


class Machine(RuleBasedStateMachine):
    url: str
    honours_keys: bool

    def __init__(self) -> None:
        super().__init__()
        self.scripts = Scripts(self.url)
        self.scripts.redis.flushdb()
        self.gateway = Gateway(self.honours_keys)
        store = Store(self.scripts, now_ms=lambda: round(self.gateway.now_s * 1000))
        ttl_s = KEY_TTL_S if self.honours_keys else 0
        self.desk = Desk(store, self.gateway, RULES, timeout_s=30, key_ttl_s=ttl_s)
        self.loop = asyncio.Runner()
        self.fence = 0
        self.heard: set[str] = set()

    def turn(self, job: str) -> None:
        self.fence += 1
        with contextlib.suppress(Died):
            self.loop.run(self.desk.take(REQUEST, job, self.fence))

    @rule(
        mood=st.sampled_from(ANSWERS),
        dies=st.sampled_from(["", "", "before", "after"]),
        job=st.sampled_from(["its own", "its own", "another"]),
    )
    def works(self, mood, dies, job):
        self.gateway.mood, self.gateway.dies = mood, dies
        self.turn(job)

    @rule(seconds=st.sampled_from([1, 15, 120, 1000, 30_000]))
    def time_passes(self, seconds):
        self.gateway.now_s += seconds

    @precondition(lambda self: self.fence)
    @rule()
    def the_ledger_is_lost(self):
        self.gateway.now_s += LAG_S + 61  # what was under way has landed before it is begun anew
        self.scripts.redis.flushdb()

    @rule(number=st.integers(0, 9))
    def an_event_arrives(self, number):
        """Of any charge there ever was, in any order, however often."""
        committed = self.gateway.committed()
        if committed:
            charge = committed[number % len(committed)]
            body = {"object": "payment_intent", "id": "pi", "amount": 1999, "currency": "eur"}
            body["status"] = "succeeded" if charge["ok"] else "requires_payment_method"
            attempt = str(charge["attempt"])
            body["metadata"] = {"op_id": REQUEST.op_id(""), "order_id": "o-1", "attempt": attempt}
            taking = take_in(self.desk.store, Event(f"evt_{number}", body), RULES, tells=False)
            heard, _ = self.loop.run(taking)
            self.heard.add(heard)

    def state(self):
        return self.loop.run(self.desk.store.read("o-1", with_trail=True))

    @invariant()
    def never_charged_twice(self):
        assert self.gateway.successes <= 1

    @invariant()
    def a_closed_operation_is_what_the_gateway_did(self):
        payment = self.state()
        if payment is None:
            return
        assert is_intact(payment.trail)
        state = payment.operations[0].state
        if state is State.SUCCEEDED:
            assert self.gateway.successes == 1
        elif state in (State.DECLINED_HARD, State.DECLINED_SOFT, State.REJECTED):
            assert self.gateway.successes == 0

    def teardown(self):
        self.gateway.mood, self.gateway.dies = "answers", ""
        for _ in range(12):
            self.gateway.now_s += 2000
            self.turn("its own")
        payment = self.state()
        open_ones = self.scripts.redis.zcard(f"{PREFIX}open")
        self.loop.close()
        self.scripts.redis.close()
        assert payment.operations[0].state in (State.SUCCEEDED, State.DECLINED_HARD)
        assert open_ones == 0


@pytest.mark.parametrize("honours_keys", [True, False], ids=["honours keys", "ignores keys"])
def test_whatever_happens_there_is_one_charge_and_we_know_it(redis_url, honours_keys):
    """Never two charges, and the right word in the end, however answers, workers and the ledger get lost."""
    run_state_machine_as_test(
        type("Told", (Machine,), {"url": redis_url, "honours_keys": honours_keys}),
        settings=settings(max_examples=80, stateful_step_count=12, suppress_health_check=list(HealthCheck)),
    )
