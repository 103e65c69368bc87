"""The scripts of the locks, against a model of them in Python, step by random step."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from redis.asyncio import Redis

from runner.wire.effects import packed
from runner.wire.scripts import run_script

LEASE_MS = 1000
KEYS = ("runner:",)
Owner = tuple[str, int]


@dataclass
class Model:
    """One lock and the line before it: pure."""

    now: int = 1_000_000
    holder: Owner | None = None
    until: int = 0
    fence: int = 0
    line: dict[Owner, int] = field(default_factory=dict)

    def occupy(self, owner: Owner) -> int:
        self.line.pop(owner, None)
        self.fence = max(self.now * 1000, self.fence + 1)
        self.holder, self.until = owner, self.now + LEASE_MS
        return self.fence

    def heir(self) -> Owner | None:
        """Drop the dead from the front of the line and give the first who lives."""
        for owner, until in list(self.line.items()):
            if until > self.now:
                return owner
            del self.line[owner]
        return None

    def ask(self, owner: Owner, *, waits: bool) -> tuple[int, int]:
        if self.holder == owner:
            self.until = self.now + LEASE_MS
            return self.fence, 0
        is_later = self.holder is not None and self.holder[0] == owner[0] and owner[1] > self.holder[1]
        is_free = self.holder is None or self.until <= self.now or is_later
        if waits and (not is_free or self.line):
            self.line[owner] = self.now + LEASE_MS
        if not is_free:
            return 0, self.until - self.now
        first = self.heir()
        if first is None or first == owner:
            return self.occupy(owner), 0
        self.occupy(first)
        return 0, LEASE_MS

    def give(self, owner: Owner) -> int:
        self.line.pop(owner, None)
        if self.holder != owner:
            return 0
        first = self.heir()
        if first is None:
            self.holder, self.until = None, 0
        else:
            self.occupy(first)
        return 1

    def keep(self, owner: Owner) -> int:
        if self.holder != owner:
            return 0
        self.until = self.now + LEASE_MS
        return 1


owners = st.tuples(st.sampled_from(["one", "two", "job three"]), st.integers(1, 2))


def word(owner: Owner) -> str:
    return f"token {owner[1]} {owner[0]}"


class Locks(RuleBasedStateMachine):
    """Random calls by several jobs and their later attempts: the server answers as the model does."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis: Redis = Redis.from_url(self.url)
        self.loop.run_until_complete(self.redis.flushdb())
        self.model = Model()
        self.fences: list[int] = []

    def teardown(self) -> None:
        self.loop.run_until_complete(self.redis.aclose())
        self.loop.close()

    def call(self, verb: str, *args: Any) -> list[Any]:
        given = run_script(self.redis.execute_command, verb, KEYS, (self.model.now, LEASE_MS, *args))
        return self.loop.run_until_complete(given)

    @rule(owner=owners, waits=st.booleans(), times=st.integers(1, 2))
    def ask(self, owner: Owner, waits: bool, times: int) -> None:
        for _ in range(times):
            (answer,) = self.call("lock_acquire", "bell", packed([("a lock", word(owner), int(waits))]))
            fence = int(answer) if isinstance(answer, bytes) else 0
            assert (fence, 0 if fence else answer) == self.model.ask(owner, waits=waits)
            if fence and (not self.fences or fence != self.fences[-1]):
                self.fences.append(fence)
            self.model.now += 1

    @rule(owner=owners, times=st.integers(1, 2))
    def give(self, owner: Owner, times: int) -> None:
        for _ in range(times):
            assert self.call("lock_release", packed([("a lock", word(owner))])) == [self.model.give(owner)]

    @rule(owner=owners)
    def keep(self, owner: Owner) -> None:
        assert self.call("keep_held", packed([("lock:a lock", word(owner))])) == [self.model.keep(owner)]

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms: int) -> None:
        self.model.now += ms

    @rule()
    def fences_only_rise_and_never_expire(self) -> None:
        assert self.fences == sorted(set(self.fences))
        if self.model.fence:
            assert self.loop.run_until_complete(self.redis.pttl("runner:lock:a lock")) == -1


def test_locks_answer_as_their_model(redis_url: str) -> None:
    """One holder, in turn, with a fence that only rises, whatever the order of calls, crashes and pauses."""
    quick = settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type("OnUrl", (Locks,), {"url": redis_url}), settings=quick)


async def test_a_fence_rises_although_the_clock_goes_back(redis: Redis) -> None:
    """Taken anew and handed over: whoever stores by fence must not take the older holder for the newer."""
    run, fences = redis.execute_command, []
    for now_ms, owner in ((9000, "t 1 one"), (7000, "t 2 two"), (5000, "t 3 three")):
        asks = packed([("a", owner, 0)])
        (fence,) = await run_script(run, "lock_acquire", KEYS, (now_ms, LEASE_MS, "bell", asks))
        fences.append(int(fence))
        await run_script(run, "lock_release", KEYS, (now_ms, LEASE_MS, packed([("a", owner)])))
    assert fences == sorted(set(fences))


async def test_locks_of_one_batch_do_not_mix(redis: Redis) -> None:
    """Two asks for one name: one gets it; a name that ends in another's key does not touch it."""
    asks = [("a", "t 1 one", 0), ("a", "t 2 two", 1), ("a:waiters", "t 2 two", 0), ("b", "t 2 two", 0)]
    args = (5000, LEASE_MS, "bell", packed(asks))
    answers = await run_script(redis.execute_command, "lock_acquire", KEYS, args)
    assert [isinstance(answer, bytes) for answer in answers] == [True, False, True, True]


async def test_the_next_in_line_is_told_by_name(redis: Redis) -> None:
    """A released lock is handed over in the same call, and only its new holder is woken."""
    run, listener = redis.execute_command, redis.pubsub()
    await listener.subscribe("bell")
    for owner in ("t 1 one", "t 2 two", "t 3 three"):
        asks = packed([("a", owner, 1)])
        await run_script(run, "lock_acquire", KEYS, (0, LEASE_MS, "bell", asks))
    gives = packed([("a", "t 1 one")])
    assert await run_script(run, "lock_release", KEYS, (0, LEASE_MS, gives)) == [1]
    await redis.publish("bell", "end")
    heard = []
    while (message := await listener.get_message(timeout=30)) and message["data"] != b"end":
        heard += [message["data"]] if message["type"] == "message" else []
    await listener.aclose()
    assert heard == [b"lock a t 2 two"]
