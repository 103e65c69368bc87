"""The scripts of gates, against a model of the table in runner/breaker.py, and over a simulated outage."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from runner.breaker import RAMP_TOP, Breaker, RetryBudget
from runner.wire import lua_loader
from runner.wire.gates import FAR_MS, Call
from runner.wire.keys import Keys, keys_of

START_MS = 1_700_000_000_000
ENTER, REPORT = lua_loader.load("gate_enter"), lua_loader.load("gate_report")
HOLD_MS = 60_000
ENOUGH = settings(max_examples=60)


class Desk:
    """Calls the scripts at a time of its own. Gates stay whatever the server's own clock says."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis, self.keys = redis, keys
        self.now_ms = START_MS
        redis.script_load(ENTER.source)
        redis.script_load(REPORT.source)

    def _run(self, script: lua_loader.Script, key: str, *args: Any) -> list[Any]:
        mine = self.keys.gate(key), self.keys.here + "probes:" + key
        with self.redis.pipeline(transaction=True) as whole:
            whole.evalsha(script.sha, 2, self.keys.queue, self.keys.here, self.now_ms, *args)
            whole.pttl(mine[0])
            for each in mine:
                whole.persist(each)
            reply, self.left_ms, *_ = whole.execute()
        return [part.decode() if isinstance(part, bytes) else part for part in reply]

    def report(
        self,
        verdict: str,
        *,
        job: str = "j",
        key: str = "k",
        retry_ms: int = 0,
        took_ms: int = 0,
        is_retry: bool = False,
        jitter: int = 0,
        breaker: Breaker = Breaker("k"),  # noqa: B008 - a frozen value
    ) -> tuple[str, int, str, str]:
        """Gives state, closed until, concurrency, what changed."""
        budget = breaker.budget
        call = Call(
            key,
            breaker.name,
            job,
            verdict,
            1,
            retry_ms,
            took_ms,
            is_retry,
            jitter,
            "why",
            breaker.policy,
            budget,
        )
        _, state, until, most, change, _ = self._run(REPORT, key, *call.parts)
        return state, int(until), most, change

    def enter(
        self,
        job: str = "j",
        *,
        key: str = "k",
        budget: object = "",
        is_retry: bool = False,
        turn: bool = False,
    ) -> tuple[int, str]:
        """Gives the wait and the word for it."""
        return self.enter_all([job], key=key, budget=budget, is_retry=is_retry, turn=turn)[0]

    def enter_all(
        self, jobs: list[str], *, key: str, budget: object = "", is_retry: bool = False, turn: bool = False
    ) -> list[tuple[int, str]]:
        each = [(job, int(is_retry), int(turn), 500, 1, key, "k", str(budget)) for job in jobs]
        flat = self._run(ENTER, key, HOLD_MS, FAR_MS, *itertools.chain(*each))
        return [(int(wait_ms), word) for wait_ms, word in zip(flat[::5], flat[2::5], strict=True)]


@pytest.fixture
def desk(redis_url: str, keys: Keys) -> Iterator[Desk]:
    with Redis.from_url(redis_url) as redis:
        yield Desk(redis, keys)


@dataclass
class Model:
    """The table of runner/breaker.py, in the plainest way."""

    breaker: Breaker
    state: str = ""
    until: int = 0
    level: int = 0
    in_a_row: int = 0
    openings: int = 0
    good: int = 0
    stepped_at: int = 0
    window: int = 0
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    seen_at: int = 0

    def report(self, now: int, verdict: str, retry_ms: int, took_ms: int, jitter: int) -> str:
        names = "after volume percent window open cap probes close step top pause"
        self.p = dict(zip(names.split(), map(int, self.breaker.policy.split()), strict=True))
        if verdict == "none" and not self.state:
            return ""
        if now < self.seen_at:
            back = self.seen_at - now
            self.until = max(1, self.until - back) if self.until else 0
            self.stepped_at = max(1, self.stepped_at - back) if self.stepped_at else 0
            self.window = -1
        self.seen_at = now
        if verdict == "throttled":
            return self._throttled(now, retry_ms)
        if verdict == "none" or now - took_ms < self.until:
            return ""
        if self.state == "open":
            return self._probed(now, verdict, jitter)
        self._count(now, verdict)
        if self._is_ill(now, verdict):
            return self._open(now, jitter)
        if self.state == "recovering" and verdict == "ok" and now - self.stepped_at >= self.p["step"]:
            self.level, self.stepped_at = self.level * 2, now
            if self.level > self.p["top"]:
                self.state, self.until, self.level, self.openings, self.good, self.in_a_row = (
                    "",
                    0,
                    0,
                    0,
                    0,
                    0,
                )
                self.counts, self.stepped_at = [0, 0, 0, 0], 0
                return "closed"
        return ""

    def _throttled(self, now: int, retry_ms: int) -> str:
        till = now + min(retry_ms, self.p["pause"])
        if till <= max(self.until, now):
            return ""
        self.until, self.level, self.stepped_at = till, self.p["probes"], till
        self.state = self.state or "recovering"
        return "paused"

    def _probed(self, now: int, verdict: str, jitter: int) -> str:
        if verdict == "failed":
            return self._open(now, jitter)
        self.good += 1
        if self.good >= self.p["close"]:
            self.state, self.level, self.stepped_at, self.until = "recovering", self.p["probes"] * 2, now, 0
        return ""

    def _count(self, now: int, verdict: str) -> None:
        window = now // self.p["window"]
        if window != self.window:
            self.counts = [0, 0, *(self.counts[:2] if window == self.window + 1 else (0, 0))]
            self.window = window
        self.counts[0] += 1
        self.counts[1] += verdict == "failed"
        self.in_a_row = self.in_a_row + 1 if verdict == "failed" else 0

    def _is_ill(self, now: int, verdict: str) -> bool:
        if self.in_a_row >= self.p["after"]:
            return True
        left = (self.window + 1) * self.p["window"] - now
        calls, failed, calls_before, failed_before = self.counts
        calls += calls_before * left // self.p["window"]
        failed += failed_before * left // self.p["window"]
        return verdict == "failed" and calls >= self.p["volume"] and failed * 100 >= self.p["percent"] * calls

    def _open(self, now: int, jitter: int) -> str:
        self.openings = min(30, self.openings + 1)
        span = min(self.p["cap"], self.p["open"] * 2 ** (self.openings - 1))
        self.until, self.state, self.level = now + span * (1000 + jitter) // 1000, "open", self.p["probes"]
        self.in_a_row, self.good, self.counts = 0, 0, [0, 0, 0, 0]
        return "opened"

    @property
    def seen(self) -> tuple[str, int, str]:
        return self.state, self.until, str(self.level) if self.state else ""


BREAKERS = st.builds(
    lambda **numbers: Breaker("k", open_cap=max(0.2, numbers["open_for"]) * 3, **numbers),
    open_after=st.sampled_from([2, 5, 50]),
    share=st.sampled_from([0.3, 0.5, 1.0]),
    volume=st.integers(2, 12),
    window=st.sampled_from([0.4, 1.5, 60]),
    open_for=st.sampled_from([0.2, 30]),
    probes=st.integers(1, 3),
    close_after=st.integers(1, 3),
    ramp=st.sampled_from([0.01, 4]),
    pause_cap=st.sampled_from([1, 3600]),
)
VERDICTS = st.sampled_from(["ok", "ok", "ok", "failed", "failed", "failed", "throttled", "none"])
STEPS = st.lists(
    st.tuples(
        VERDICTS,
        st.integers(0, 3000) | st.integers(-400_000, 400_000),
        st.integers(0, 5000),
        st.sampled_from([0, 0, 10, 40_000]),
        st.integers(0, 200),
    ),
    min_size=5,
    max_size=60,
)


@ENOUGH
@given(breaker=BREAKERS, steps=STEPS, jumps=st.booleans())
def test_the_script_is_the_table(
    desk: Desk, breaker: Breaker, steps: list[tuple[str, int, int, int, int]], jumps: bool
) -> None:
    """Same state, closing time, concurrency and changes as the model, over clock jumps both ways."""
    desk.redis.flushdb()
    desk.now_ms = START_MS
    model = Model(breaker)
    for verdict, passed_ms, retry_ms, took_ms, jitter in steps:
        desk.now_ms += passed_ms if jumps else abs(passed_ms) % 400
        change = model.report(desk.now_ms, verdict, retry_ms, took_ms, jitter)
        given = {"retry_ms": retry_ms, "took_ms": took_ms, "jitter": jitter, "breaker": breaker}
        assert desk.report(verdict, **given) == (*model.seen, change)
        listed = desk.redis.zrange(desk.keys.gates, 0, -1)
        assert listed == ([b"k"] if model.state else [])
        # Whoever comes without having been let through by a claim: held up exactly while the gate is closed.
        assert (desk.enter()[1] == "closed") == (desk.now_ms < model.until)


def test_the_share_is_that_of_a_sliding_window(desk: Desk) -> None:
    """A window that has just begun counts what came before it: the 20th call opens the breaker."""
    breaker = Breaker("k", open_after=99, share=0.5, volume=20, window=60)
    desk.now_ms = START_MS - START_MS % 60_000 - 1
    for n in range(19):
        assert desk.report("failed" if n % 2 else "ok", breaker=breaker)[0] == ""
    desk.now_ms += 1
    assert desk.report("failed", breaker=breaker)[3] == "opened"
    desk.report("reset")
    for n in range(19):
        desk.report("failed" if n % 2 else "ok", breaker=breaker)
    desk.now_ms += 90_000  # half of the window is over: half of what came before it counts
    assert desk.report("failed", breaker=breaker)[3] == ""


@ENOUGH
@given(
    budget=st.builds(
        RetryBudget,
        share=st.sampled_from([0.0, 0.1, 0.2, 1.0]),
        per_s=st.sampled_from([0.001, 0.5, 1.0, 50.0]),
        burst=st.integers(1, 20),
    ),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 2000), st.integers(1, 8)), max_size=40),
)
def test_retries_keep_their_budget(
    desk: Desk, budget: RetryBudget, steps: list[tuple[bool, int, int]]
) -> None:
    """In any window: retries <= burst + share × first tries + per_s × t; and nobody is put off for good."""
    desk.redis.flushdb()
    desk.now_ms = START_MS
    breaker = Breaker("k", retry_budget=budget)
    retries, firsts, first_retry_wait = [], [], 0
    for is_retry, passed_ms, count in steps:
        desk.now_ms += passed_ms
        for _ in range(count):
            if not is_retry:
                desk.report("ok", breaker=breaker)
                firsts.append(desk.now_ms)
                continue
            wait_ms, word = desk.enter(budget=budget, is_retry=True)
            assert wait_ms <= FAR_MS
            if word == "":
                retries.append(desk.now_ms)
            else:
                assert word == "budget"
                has_place = wait_ms != FAR_MS * 3 // 4
                first_retry_wait = first_retry_wait or (has_place and desk.now_ms + wait_ms) or 0
    for begin, end in itertools.combinations_with_replacement(sorted({*retries}), 2):
        made = sum(begin <= at <= end for at in retries)
        paid = sum(begin < at <= end for at in firsts) + sum(at == begin for at in firsts)
        assert made <= budget.burst + budget.share * paid + budget.per_s * (end - begin) / 1000 + 1e-6
    if first_retry_wait > desk.now_ms:
        desk.now_ms = first_retry_wait
        assert desk.enter(budget=budget, is_retry=True, turn=True) == (0, "")


@pytest.mark.parametrize("keys", [keys_of("default", "tagged")])
def test_an_outage_is_met_by_few_calls_and_ends_without_a_herd(desk: Desk) -> None:
    """60 s of outage at one host, 40 jobs a second: few calls reach it, it comes back in steps, no job is
    lost, and another host never notices."""
    breaker = Breaker("h", open_for=5, ramp=8)
    waiting: list[tuple[int, str]] = []
    running: list[tuple[int, str, str]] = []
    calls = [0] * 120
    down, up = START_MS + 5_000, START_MS + 65_000
    for tick in range(0, 120_000, 250):
        desk.now_ms = now = START_MS + tick
        for _, job, verdict in [each for each in running if each[0] <= now]:
            desk.report(verdict, job=job, key="host:a", took_ms=100, breaker=breaker)
        running = [each for each in running if each[0] > now]
        coming = [f"{tick}-{n}" for n in range(10)] + [job for at, job in waiting if at <= now]
        waiting = [each for each in waiting if each[0] > now]
        for job, (wait_ms, _) in zip(coming, desk.enter_all(coming, key="host:a"), strict=True):
            if wait_ms:
                waiting.append((now + wait_ms, job))
            else:
                calls[tick // 1000] += 1
                running.append((now + 100, job, "failed" if down <= now < up else "ok"))
        assert desk.enter("other", key="host:b") == (0, "")
    assert sum(calls[6:65]) <= 4  # openings of 5, 10, 20 and 40 s: one probe at the end of each
    back = next(second for second in range(65, 120) if calls[second])
    assert calls[back] <= 8
    assert all(calls[n + 1] <= max(40, 3 * calls[n]) for n in range(back, 110))
    assert max(calls[65:]) <= 40 + 100  # fresh ones, and those that come back 10 ms apart
    assert calls[-1] == 40
    assert sum(calls) + len(waiting) == 4800


def test_a_narrow_gate_lets_through_as_many_as_it_says_and_forgets_who_never_reports(desk: Desk) -> None:
    """One probe at a time; the same job again is the same probe; a lost one counts for a minute."""
    desk.report("open", retry_ms=1000)
    desk.now_ms += 1000
    assert desk.enter("a") == (0, "")
    assert desk.enter("a") == (0, "")
    assert desk.enter("b")[1] == "full"
    desk.report("none", job="a")
    assert desk.enter("b") == (0, "")
    desk.now_ms += HOLD_MS
    assert desk.enter("c") == (0, "")


def test_what_waits_comes_back_one_by_one(desk: Desk) -> None:
    """A thousand jobs at a closed gate get times after its opening, 10 ms apart, none beyond ten minutes."""
    desk.report("open", retry_ms=1000)
    waits = [desk.enter(f"j{n}")[0] for n in range(1000)]
    assert waits == [1000 + 10 * (n + 1) for n in range(1000)]
    desk.report("open", retry_ms=FAR_MS * 2)
    assert FAR_MS / 2 <= desk.enter("late")[0] <= FAR_MS


def test_by_hand_a_gate_is_resumed_growing_or_reset_at_once(desk: Desk) -> None:
    """``resume`` lets few through and then more; ``reset`` forgets that anything was."""
    desk.report("open", retry_ms=3_600_000)
    assert desk.report("resume") == ("recovering", 0, "1", "")
    assert desk.enter("a") == (0, "")
    assert desk.enter("b")[1] == "full"
    assert desk.report("reset") == ("", 0, "", "closed")
    assert desk.enter("b") == (0, "")
    assert desk.redis.zcard(desk.keys.gates) == 0


def test_a_healthy_gate_leaves_nothing_behind(desk: Desk) -> None:
    """Every gate expires, after what it remembers is old; one that nobody reports to has no key."""
    desk.enter("a")
    assert desk.redis.keys("*") == []
    desk.report("ok")
    assert 120_000 <= desk.left_ms <= 700_000
    desk.report("throttled", retry_ms=3_000_000)
    assert 3_000_000 < desk.left_ms <= 3_700_000


def test_a_verdict_that_nobody_knows_changes_nothing(desk: Desk) -> None:
    """Checked before the first write."""
    with pytest.raises(Exception, match="BADVERDICT unwell"):
        desk.report("unwell")
    assert desk.redis.keys("*") == []


def test_the_ramp_ends_where_nothing_is_held_back() -> None:
    """Eight doublings from two at once are more than the table's 256."""
    assert 2 * 2**8 > RAMP_TOP >= 2 * 2**7
