"""The scripts of the idempotency cache, against a model of them in Python, step by random step."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from redis.asyncio import Redis

from runner.wire.effects import EffectEnd, packed, packed_ends
from runner.wire.scripts import run_script

LEASE_MS = 1000
TTL_MS = 60_000
KEYS = ("runner:",)


@dataclass
class Record:
    """What the cache must know of one key."""

    fingerprint: str
    state: str = "P"
    owner: tuple[str, int] | None = None
    until: int = 0
    data: bytes = b""


@dataclass
class Model:
    """The cache as its table of states says: pure, one line a rule."""

    now: int = 1_000_000
    records: dict[str, Record] = field(default_factory=dict)

    def begin(self, key: str, fingerprint: str, owner: tuple[str, int]) -> tuple[bytes, bytes]:
        record = self.records.get(key)
        if record is None:
            self.records[key] = Record(fingerprint, "P", owner, self.now + LEASE_MS)
            return b"new", b""
        if record.fingerprint != fingerprint:
            return b"conflict", record.fingerprint.encode()
        later = record.owner is not None and record.owner[0] == owner[0] and owner[1] > record.owner[1]
        if record.state == "D" or (record.state == "F" and not later):
            return {"D": b"done", "F": b"failed"}[record.state], record.data
        if record.state == "P" and record.owner == owner and not record.data:
            record.until = self.now + LEASE_MS
            return b"new", b""
        is_held = record.state != "F" and record.owner not in (None, owner) and record.until > self.now
        if is_held and not later:
            assert record.owner is not None
            return b"busy", f"{record.until - self.now} {record.owner[0]}".encode()
        data = b"" if record.state == "F" else record.data
        self.records[key] = Record(fingerprint, "U", owner, self.now + LEASE_MS, data)
        return b"recover", data

    def owns(self, key: str, owner: tuple[str, int]) -> bool:
        return key in self.records and self.records[key].owner == owner

    def step(self, key: str, owner: tuple[str, int], data: bytes) -> int:
        if not self.owns(key, owner) or self.records[key].state not in "PU":
            return 0
        self.records[key].data = data
        return 1

    def end(self, key: str, owner: tuple[str, int], state: str, data: bytes) -> int:
        if not self.owns(key, owner):
            return 0
        record = self.records[key]
        if record.state in "DF":
            return 2
        if state == "N" and record.state == "P" and not record.data:
            del self.records[key]
            return 1
        record.state = "U" if state == "N" else state
        if record.state == "U":
            record.owner, record.until = None, 0
        else:
            record.data, record.until = data, 0
        return 1

    def keep(self, key: str, owner: tuple[str, int]) -> int:
        if not self.owns(key, owner) or self.records[key].state in "DF":
            return 0
        self.records[key].until = self.now + LEASE_MS
        return 1


keys = st.sampled_from(["a", "b"])
owners = st.tuples(st.sampled_from(["job one", "job two"]), st.integers(1, 3))
prints = st.sampled_from(["x", "x", "x", "y"])
blobs = st.binary(min_size=1, max_size=8)
repeats = st.integers(1, 2)


def word(owner: tuple[str, int]) -> str:
    return f"token {owner[1]} {owner[0]}"


class Cache(RuleBasedStateMachine):
    """Random calls, each sent once or twice: the server answers as the model does, the second time too."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis: Redis = Redis.from_url(self.url)
        self.loop.run_until_complete(self.redis.flushdb())
        self.model = Model()

    def teardown(self) -> None:
        self.loop.run_until_complete(self.redis.aclose())
        self.loop.close()

    def call(self, verb: str, *args: Any) -> list[Any]:
        return self.loop.run_until_complete(run_script(self.redis.execute_command, verb, KEYS, args))

    @rule(key=keys, fingerprint=prints, owner=owners, times=repeats)
    def begin(self, key: str, fingerprint: str, owner: tuple[str, int], times: int) -> None:
        for _ in range(times):
            asks = packed([(key, fingerprint, word(owner))])
            asked = ("idempotency_begin", self.model.now, LEASE_MS, "bell", asks)
            word_and_text = self.model.begin(key, fingerprint, owner)
            assert self.call(*asked) == ([] if word_and_text == (b"new", b"") else [0, *word_and_text])

    @rule(key=keys, owner=owners, data=blobs, times=repeats)
    def step(self, key: str, owner: tuple[str, int], data: bytes, times: int) -> None:
        for _ in range(times):
            given = self.call("idempotency_step", packed([(key, word(owner))]), data)
            assert given == [self.model.step(key, owner, data)]

    @rule(key=keys, owner=owners, state=st.sampled_from("DFUN"), data=blobs, times=repeats)
    def end(self, key: str, owner: tuple[str, int], state: Any, data: bytes, times: int) -> None:
        for _ in range(times):
            end: EffectEnd = (key, word(owner), state, TTL_MS, data)
            given = self.call("idempotency_finish", *packed_ends([end]))
            assert given == [self.model.end(key, owner, state, data)]
        self.check_ttl(key)

    @rule(key=keys, owner=owners)
    def keep(self, key: str, owner: tuple[str, int]) -> None:
        given = self.call("keep_held", self.model.now, LEASE_MS, packed([(f"once:{key}", word(owner))]))
        assert given == [self.model.keep(key, owner)]

    @rule(ms=st.integers(1, 1500))
    def time_passes(self, ms: int) -> None:
        self.model.now += ms

    def check_ttl(self, key: str) -> None:
        """Done and failed have a TTL, in progress and unknown have none."""
        ttl = self.loop.run_until_complete(self.redis.pttl(f"runner:once:{key}"))
        if key in self.model.records:
            assert (ttl > 0) is (self.model.records[key].state in "DF")


def test_the_cache_answers_as_its_model(redis_url: str) -> None:
    """Every answer follows from the table of states, whatever the order of callers and crashes."""
    quick = settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(type("OnUrl", (Cache,), {"url": redis_url}), settings=quick)


async def test_a_batch_answers_each_entry_as_if_it_came_alone(redis: Redis) -> None:
    """Entries of one call see each other in order: of two for one key the first is new, the second waits."""
    asks = packed(
        [("k", "f", "t 1 one"), ("k", "f", "t 2 two"), ("k", "g", "t 3 three"), ("other", "f", "t 4 four")]
    )
    answers = await run_script(
        redis.execute_command, "idempotency_begin", KEYS, (5_000, LEASE_MS, "bell", asks)
    )
    assert answers == [1, b"busy", b"1000 one", 2, b"conflict", b"f"]


@pytest.mark.parametrize("state", ["D", "F", "U", "N"])
async def test_whoever_waits_is_told_of_every_end(redis: Redis, state: str) -> None:
    """One message for each process that asked in vain: the record is done, failed, left or given back."""
    listener = redis.pubsub()
    await listener.subscribe("bell one", "other")
    for bell, owner in (("none", "t 1 first"), ("other", "t 2 second"), ("other", "t 3 third")):
        await run_script(
            redis.execute_command,
            "idempotency_begin",
            KEYS,
            (0, LEASE_MS, bell, packed([("k", "f", owner)])),
        )
    ended = packed_ends([("k", "t 1 first", state, 1000, b"x")])
    await run_script(redis.execute_command, "idempotency_finish", KEYS, ended)
    await redis.publish("other", "end")
    heard = []
    while (message := await listener.get_message(timeout=30)) and message["data"] != b"end":
        heard += [(message["channel"], message["data"])] if message["type"] == "message" else []
    await listener.aclose()
    assert heard == [(b"other", b"once k")]


async def test_results_are_opaque_bytes(redis: Redis) -> None:
    """What is stored comes back byte for byte: zero bytes, invalid UTF-8, line ends."""
    data = bytes(range(256))
    run = redis.execute_command
    first, second = (packed([("k", "f", owner)]) for owner in ("t 1 one", "t 2 two"))
    await run_script(run, "idempotency_begin", KEYS, (0, LEASE_MS, "b", first))
    ended = packed_ends([("k", "t 1 one", "D", 60_000, data)])
    await run_script(run, "idempotency_finish", KEYS, ended)
    answer = await run_script(run, "idempotency_begin", KEYS, (0, LEASE_MS, "b", second))
    assert answer == [0, b"done", data]


async def test_a_batch_of_new_keys_with_one_twice_writes_the_first_of_them(redis: Redis) -> None:
    """Both asked in one call: were the second to overwrite the first, both would make the effect."""
    asks = packed([("k", "f", "t 1 one"), ("k", "f", "t 2 two")])
    answers = await run_script(redis.execute_command, "idempotency_begin", KEYS, (5_000, LEASE_MS, "b", asks))
    assert answers == [1, b"busy", b"1000 one"]


@pytest.mark.parametrize("ttl_ms", [1_000, 30_000_000_000, 3_000_000_000_000])
async def test_round_spans_are_kept_to_the_ms(redis: Redis, ttl_ms: int) -> None:
    """The server writes 30000000000 as 3e+10, which is no TTL, unless a script says it in full."""
    run, asks = redis.execute_command, packed([("k", "f", "t 1 one")])
    await run_script(run, "idempotency_begin", KEYS, (0, LEASE_MS, "b", asks))
    ended = packed_ends([("k", "t 1 one", "D", ttl_ms, b"x")])
    assert await run_script(run, "idempotency_finish", KEYS, ended) == [1]
    assert 0 < await redis.pttl("runner:once:k") <= ttl_ms
