"""The script of rate limits, against a model in exact fractions, and at its edges."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from runner.rates import Adaptive, Rate, rate_of
from runner.wire import lua_loader
from runner.wire.limits import DENIED, FAR_US, GRANTED, NO_RATE, TOO_MUCH

START_US = 1_700_000_000_000_000
CUT = lua_loader.load("rate_limit_cut")
SCRIPT = lua_loader.load("rate_limit_take")
ENOUGH = settings(max_examples=150)
Bucket = tuple[str, Rate | None, int]


class Desk:
    """Calls the script at a time of its own. Buckets stay whatever the server's own clock says."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.now_us = START_US
        self.left_ms = -2
        self.adaptive: dict[str, Adaptive] = {}
        redis.script_load(CUT.source)
        redis.script_load(SCRIPT.source)

    def take(self, *buckets: Bucket, mode: str = "try") -> tuple[int, int, int]:
        return self.take_all((mode, buckets))[0]

    def take_all(self, *takes: tuple[str, tuple[Bucket, ...]]) -> list[tuple[int, int, int]]:
        args: list[Any] = [self.now_us, FAR_US]
        names: list[str] = []
        for (mode, buckets), alike in groupby(takes):
            args += [mode, len(list(alike)), len(buckets)]
            for name, rate, cost in buckets:
                shape = f"0 1 {cost}" if rate is None else f"{rate.count} {rate.period_us} {rate.burst}"
                args += [name, name.partition(":")[0], cost, shape, int(name in self.adaptive)]
                names.append(name)
        with self.redis.pipeline(transaction=True) as whole:
            whole.evalsha(SCRIPT.sha, 1, "runner:", *args)
            for name in names:
                whole.pttl(f"runner:bucket:{name}")
                whole.persist(f"runner:bucket:{name}")
            reply, self.left_ms, *_ = whole.execute()
        return [tuple(reply[i : i + 3]) for i in range(0, len(reply), 3)]

    def cut(self, name: str, rate: Rate, took_us: int = 0) -> int:
        how = self.adaptive[name]
        shapes = (f"{rate.count} {rate.period_us} {rate.burst}", f"{how.least.count} {how.least.period_us}")
        args = (self.now_us, name, name.partition(":")[0], *shapes, how.kept, how.recover_us, took_us)
        with self.redis.pipeline(transaction=True) as whole:
            whole.evalsha(CUT.sha, 1, "runner:", *args).persist(f"runner:adaptive:{name}")
            [cut], _ = whole.execute()
        return cut


@pytest.fixture
def desk(redis_url: str) -> Iterator[Desk]:
    with Redis.from_url(redis_url) as redis:
        yield Desk(redis)


@dataclass
class Model:
    """A token bucket as in the textbook: fractions of tokens, no credits, no rounding."""

    rate: Rate
    tokens: Fraction
    last_us: int

    def take(self, now_us: int, cost: int) -> tuple[int, int]:
        if cost > self.rate.burst:
            return TOO_MUCH, self.rate.burst
        gained = Fraction(max(0, now_us - self.last_us) * self.rate.count, self.rate.period_us)
        self.tokens, self.last_us = min(Fraction(self.rate.burst), self.tokens + gained), now_us
        if self.tokens < cost:
            return DENIED, math.ceil((cost - self.tokens) * self.rate.period_us / self.rate.count)
        self.tokens -= cost
        return GRANTED, 0

    @property
    def full_in_us(self) -> Fraction:
        return (self.rate.burst - self.tokens) * self.rate.period_us / self.rate.count


RATES = st.builds(
    Rate,
    count=st.integers(1, 10**6),
    period_us=st.sampled_from([10**6, 60 * 10**6, 3600 * 10**6]) | st.integers(10**6, 3600 * 10**6),
    burst=st.integers(1, 10**5) | st.integers(1, 5),
)
Steps = list[tuple[str, int, int, bool]]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["on", "retry", "early", "back"]),
        st.integers(0, 10**7),
        st.integers(1, 12),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


def moved(desk: Desk, how: str, us: int, retry_us: int) -> int:
    """Give the next time: on by some, exactly when tokens were promised, 1 us before, or back up to hours."""
    return {
        "on": desk.now_us + us,
        "retry": desk.now_us + retry_us,
        "early": desk.now_us + max(0, retry_us - 1),
        "back": desk.now_us - us * 400,
    }[how]


@ENOUGH
@given(rate=RATES, steps=STEPS)
def test_it_is_the_model_to_the_microsecond(desk: Desk, rate: Rate, steps: Steps) -> None:
    """Same verdicts and same waits as exact fractions, clock jumps both ways; no key means full."""
    desk.redis.flushdb()
    desk.now_us, retry_us = START_US, 0
    model = Model(rate, Fraction(rate.burst), START_US)
    for how, us, cost, is_large in steps:
        desk.now_us = moved(desk, how, us, retry_us)
        cost = max(1, rate.burst - cost) if is_large else cost
        expected = model.take(desk.now_us, cost)
        assert desk.take(("b", rate, cost))[:2] == expected
        verdict, retry_us = expected if expected[0] == DENIED else (expected[0], 0)
        if verdict != TOO_MUCH:
            assert desk.left_ms * 1000 >= model.full_in_us
            assert desk.left_ms * 1000 <= model.full_in_us + 3000


@ENOUGH
@given(rate=RATES, steps=STEPS)
def test_no_window_gets_more_than_the_bound(desk: Desk, rate: Rate, steps: Steps) -> None:
    """Between any two grants, both counted: at most burst + rate × t; also for jobs that wait in line."""
    desk.redis.flushdb()
    desk.now_us, retry_us = START_US, 0
    granted: list[tuple[int, int]] = []
    for step, (how, us, cost, is_large) in enumerate(steps):
        desk.now_us = moved(desk, "on" if how == "back" else how, us, retry_us)
        cost = min(rate.burst, max(1, rate.burst - cost) if is_large else cost)
        verdict, retry_us, _ = desk.take(("b", rate, cost), mode=("try", "line", "turn")[step % 3])
        if verdict == GRANTED:
            granted.append((desk.now_us, cost))
    for first, (since_us, _) in enumerate(granted):
        total = 0
        for at_us, cost in granted[first:]:
            total += cost
            assert total <= rate.burst + Fraction((at_us - since_us) * rate.count, rate.period_us)


@ENOUGH
@given(rates=st.lists(RATES, min_size=2, max_size=4), steps=STEPS)
def test_changing_rates_grants_no_more_than_the_highest(desk: Desk, rates: list[Rate], steps: Steps) -> None:
    """Whatever is set in between, a window gets at most the largest burst and the fastest rate."""
    desk.redis.flushdb()
    desk.now_us = START_US
    granted: list[tuple[int, int]] = []
    for step, (_, us, cost, _) in enumerate(steps):
        desk.now_us += us
        rate = rates[step % len(rates)]
        cost = min(rate.burst, cost)
        if desk.take(("b", rate, cost), mode=("line", "turn")[step % 2])[0] == GRANTED:
            granted.append((desk.now_us, cost))
    burst = max(rate.burst for rate in rates)
    fastest = max(Fraction(rate.count, rate.period_us) for rate in rates)
    for first, (since_us, _) in enumerate(granted):
        total = 0
        for at_us, cost in granted[first:]:
            total += cost
            assert total <= burst + (at_us - since_us) * fastest


def test_several_buckets_are_taken_all_or_none(desk: Desk) -> None:
    """The one that has tokens keeps them when the other has none."""
    wide, narrow = rate_of("10/s"), rate_of("1/s")
    assert desk.take(("wide", wide, 1), ("narrow", narrow, 1))[0] == GRANTED
    assert desk.take(("wide", wide, 1), ("narrow", narrow, 1)) == (DENIED, 1_000_000, 1_000_000)
    assert desk.take(("wide", wide, 9))[0] == GRANTED


def test_a_cost_above_the_burst_never_passes_and_costs_nothing(desk: Desk) -> None:
    """The answer names the burst, and no bucket of the take is touched."""
    rate = rate_of("10/s", 5)
    assert desk.take(("a", rate, 1), ("b", rate, 6)) == (TOO_MUCH, 5, 0)
    assert desk.redis.keys("*") == []


def test_no_rate_is_no_grant(desk: Desk) -> None:
    """A limit that nobody has given a rate is told as such."""
    assert desk.take(("stripe", None, 1)) == (NO_RATE, 0, 0)


def test_a_rate_set_at_run_time_goes_before_the_declared_one(desk: Desk) -> None:
    """Of the bucket before the limit before what the caller says; gone again, the caller's counts."""
    declared = rate_of("1/s")
    desk.redis.hset("runner:limits", "host", "3 1000000 3")
    desk.redis.hset("runner:limits", "host:a", "2 1000000 2")
    granted = {
        bucket: sum(desk.take((bucket, declared, 1))[0] == GRANTED for _ in range(5))
        for bucket in ("host:a", "host:b", "other:c")
    }
    assert granted == {"host:a": 2, "host:b": 3, "other:c": 1}
    desk.redis.delete("runner:limits")
    desk.now_us += 1_000_000
    assert [desk.take(("host:a", declared, 1))[0] for _ in range(2)] == [GRANTED, DENIED]


def test_waiters_get_places_one_after_the_other(desk: Desk) -> None:
    """No two come back at the same time, in one call or in many; a newcomer does not pass them."""
    rate = rate_of("10/s", 1)
    first = desk.take_all(*[("line", (("b", rate, 1),)) for _ in range(4)])
    assert first == [(0, 0, 0), (1, 100_000, 100_000), (1, 100_000, 200_000), (1, 100_000, 300_000)]
    desk.now_us += 100_000
    assert desk.take(("b", rate, 1), mode="line") == (DENIED, 0, 300_000)
    assert desk.take(("b", rate, 1), mode="turn")[0] == GRANTED


def test_a_place_too_far_off_is_not_kept(desk: Desk) -> None:
    """The line is no longer than ten minutes; beyond, it does not grow."""
    rate = rate_of("1/5m")
    desk.take(("b", rate, 1), mode="line")
    places = [desk.take(("b", rate, 1), mode="line")[2] for _ in range(5)]
    assert places == [300_000_000, 600_000_000, 900_000_000, 900_000_000, 900_000_000]


def test_a_clock_that_goes_back_holds_nobody_up(desk: Desk) -> None:
    """An hour back gives no token; then tokens come as ever, and the line is as long as before."""
    rate = rate_of("10/s")
    assert desk.take(("b", rate, 10))[0] == GRANTED
    assert desk.take(("b", rate, 1), mode="line")[2] == 100_000
    desk.now_us -= 3_600_000_000
    assert desk.take(("b", rate, 1), mode="line") == (DENIED, 100_000, 200_000)
    desk.now_us += 200_000
    assert desk.take(("b", rate, 2), mode="turn")[0] == GRANTED


def test_a_raised_rate_shortens_the_line(desk: Desk) -> None:
    """What newcomers wait for is counted by the new rate."""
    slow, fast = rate_of("1/s"), rate_of("100/s", 1)
    for _ in range(11):
        desk.take(("b", slow, 1), mode="line")
    assert desk.take(("b", fast, 1), mode="line")[2] == 110_000


def test_a_million_keys_leave_nothing_behind(desk: Desk) -> None:
    """Each bucket expires when it would be full, so idle ones cost no memory: every key has a TTL."""
    rate = rate_of("100/s")
    args: list[Any] = [0, FAR_US]
    for n in range(500):
        args += ["try", 1, 1, f"b:{n}", "b", 1, f"{rate.count} {rate.period_us} {rate.burst}", 0]
    desk.redis.evalsha(SCRIPT.sha, 1, "runner:", *args)
    left_ms: list[Any] = [desk.redis.pttl(f"runner:bucket:b:{n}") for n in range(500)]
    assert all(left == -2 or 0 <= left <= 12 for left in left_ms)


def test_a_bucket_named_twice_pays_twice(desk: Desk) -> None:
    """Two limits of one task may come out as the same bucket; it never goes below zero."""
    rate = rate_of("10/s", 3)
    assert desk.take(("b", rate, 2), ("b", rate, 2)) == (TOO_MUCH, 3, 0)
    assert desk.take(("b", rate, 1), ("b", rate, 1))[0] == GRANTED
    assert desk.take(("b", rate, 1), ("b", rate, 1)) == (DENIED, 100_000, 100_000)


@settings(ENOUGH, max_examples=40, derandomize=True)
@given(
    count=st.integers(20, 200),
    least=st.integers(1, 20),
    cut=st.sampled_from([0.1, 0.5, 0.9]),
    steps=st.lists(
        st.tuples(st.integers(1, 500_000), st.booleans(), st.integers(0, 700_000)), min_size=3, max_size=12
    ),
)
def test_an_adaptive_rate_stays_between_its_bounds_and_recovers(
    desk: Desk, count: int, least: int, cut: float, steps: list[tuple[int, bool, int]]
) -> None:
    """No window gets more than the declared rate, none less than the least; whole again after its time."""
    desk.redis.flushdb()
    desk.now_us = START_US
    desk.adaptive["b"] = Adaptive(f"{least}/s", cut=cut, recover=10)
    rate = rate_of(f"{count}/s")

    def taken() -> int:
        return sum(answer[0] == GRANTED for answer in desk.take_all(*[("try", (("b", rate, 1),))] * 201))

    assert taken() == count
    granted, rates = [(START_US, 0)], [count]
    for us, is_cut, took_us in steps:
        desk.now_us += us
        rates += [now for now in [desk.cut("b", rate, took_us) if is_cut else 0] if now]
        granted.append((desk.now_us, taken()))
    assert min(rates) >= least
    assert max(rates) <= count
    for first, (since_us, _) in enumerate(granted):
        for last in range(first + 1, len(granted)):
            passed_s = Fraction(granted[last][0] - since_us, 10**6)
            total = sum(tokens for _, tokens in granted[first + 1 : last + 1])
            assert math.floor(passed_s * least) - 1 <= total <= passed_s * count + 1
    desk.now_us += 10_000_000
    taken()  # what came meanwhile came at the slower rate
    desk.now_us += 1_000_000
    assert taken() == count


def test_a_burst_of_refusals_cuts_once_and_the_rate_rises_evenly(desk: Desk) -> None:
    """Calls that began before the cut change nothing; what is set at run time counts as the whole rate."""
    rate = rate_of("100/s")
    desk.adaptive["b:x"] = Adaptive("30/s", recover=10)
    assert desk.cut("b:x", rate, took_us=5_000) == 50
    desk.now_us += 4_999
    assert [desk.cut("b:x", rate, took_us=5_000) for _ in range(3)] == [0, 0, 0]
    desk.now_us += 1_000_001
    assert desk.cut("b:x", rate, took_us=5_000) == 30  # it had risen to 60
    assert desk.take(("b:x", rate, 100))[0] == GRANTED
    assert desk.take(("b:x", rate, 3))[1] == 100_000
    desk.now_us += 2_000_000
    assert desk.take(("b:x", rate, 100))[1] == math.ceil((100 - 60) * 10**6 / 50)  # 2 s at 30/s, now 50/s
    desk.redis.hset("runner:limits", "b", "20 1000000 20")
    assert desk.cut("b:x", rate) == 20  # below the least: that is what is in force
