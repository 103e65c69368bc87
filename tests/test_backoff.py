from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import backoff
from runner.backoff import Backoff, constant, exponential, intervals

JITTERS = ("full", "equal", "decorrelated", "none")

seeds = st.integers(0, 2**32)
retries = st.integers(1, 10**6)
spans = st.floats(0, 10**7)
bases = st.floats(1e-3, 10**4)
growths = st.floats(1, 100)

endless = st.one_of(
    st.builds(constant, spans),
    st.builds(
        lambda base, factor, times, jitter: exponential(base, factor, base * times, jitter),
        bases,
        growths,
        st.floats(1, 10**4),
        st.sampled_from(JITTERS),
    ),
)
ending = st.one_of(
    st.builds(
        lambda delays, jitter, most: intervals(*delays, jitter=jitter, max_jitter=most),
        st.lists(spans, min_size=1, max_size=5),
        st.floats(0, 3),
        st.none() | spans,
    ),
    st.builds(lambda policy, n: policy.times(n), endless, st.integers(1, 8)),
)
joined = st.builds(lambda a, b: a + b, ending, endless | ending)
policies = st.one_of(endless, ending, joined, st.builds(lambda p, n: p.times(n), joined, st.integers(1, 8)))


def delays_of(policy: Backoff, seed: int = 0, most: int = 12) -> list[float]:
    """The delays of one job that fails every time: what the retry middleware asks for, in order."""
    rng, given_so_far, previous = Random(seed), [], None
    for n in range(1, most + 1):
        previous = policy.delay(n, rng, previous)
        if previous is None:
            break
        given_so_far.append(previous)
    return given_so_far


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (exponential(jitter="none"), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]),
        (exponential(base=0.5, factor=3, cap=20, jitter="none"), [0.5, 1.5, 4.5, 13.5, *[20] * 8]),
        (exponential(base=3, factor=1, cap=3, jitter="none"), [3] * 12),
        (intervals(10, 60, 300), [10, 60, 300]),
        (intervals(0, timedelta(minutes=5)), [0, 300]),
        (constant(5), [5] * 12),
        (constant(timedelta(milliseconds=20)), [0.02] * 12),
        (intervals(10, 60, 300).times(2), [10, 60]),
        (intervals(10, 60).times(9), [10, 60]),
        (constant(1).times(3) + intervals(10, 60), [1, 1, 1, 10, 60]),
        (constant(1).times(2) + exponential(base=10, jitter="none", cap=40), [1, 1, 10, 20, *[40] * 8]),
        ((intervals(1, 2) + constant(7)).times(4), [1, 2, 7, 7]),
        (intervals(1) + intervals(2).times(1) + intervals(3, 4), [1, 2, 3, 4]),
    ],
    ids=repr,
)
def test_a_policy_without_jitter_gives_its_exact_table(policy: Backoff, expected: list[float]) -> None:
    """Without jitter a policy is a table anyone can write down."""
    assert delays_of(policy) == expected


def test_the_schedule_of_webhooks_adds_up_to_75_hours() -> None:
    """Minutes and hours as timedelta make the schedule that the Standard Webhooks specification shows."""
    hours = [timedelta(hours=h) for h in (2, 5, 10, 14, 20, 24)]
    schedule = intervals(5, timedelta(minutes=5), timedelta(minutes=30), *hours)
    assert timedelta(seconds=sum(delays_of(schedule))) == timedelta(hours=75, minutes=35, seconds=5)


@given(base=bases, factor=growths, times=st.floats(1, 10**4), n=retries, seed=seeds)
def test_full_jitter_stays_between_zero_and_the_top(
    base: float, factor: float, times: float, n: int, seed: int
) -> None:
    """Full: anywhere in [0, top]."""
    top = exponential(base, factor, base * times, "none").delay(n, Random(0))
    assert 0 <= exponential(base, factor, base * times, "full").delay(n, Random(seed)) <= top


@given(base=bases, factor=growths, times=st.floats(1, 10**4), n=retries, seed=seeds)
def test_equal_jitter_stays_in_the_upper_half(
    base: float, factor: float, times: float, n: int, seed: int
) -> None:
    """Equal: anywhere in [top / 2, top]."""
    top = exponential(base, factor, base * times, "none").delay(n, Random(0))
    assert top / 2 <= exponential(base, factor, base * times, "equal").delay(n, Random(seed)) <= top


@given(
    base=bases,
    factor=growths,
    times=st.floats(1, 10**4),
    n=retries,
    previous=st.none() | st.floats(0, allow_infinity=True),
    seed=seeds,
)
def test_decorrelated_jitter_stays_between_the_base_and_the_cap(
    base: float, factor: float, times: float, n: int, previous: float | None, seed: int
) -> None:
    """Decorrelated: never below base, never above cap, never above (1 + factor) x previous."""
    cap = base * times
    delay = exponential(base, factor, cap, "decorrelated").delay(n, Random(seed), previous)
    assert base <= delay <= cap
    if previous is not None:
        assert delay <= max(base, previous) * (1 + factor) * (1 + 1e-9)


def test_decorrelated_jitter_starts_below_three_times_its_base() -> None:
    """At factor 2 the first delay is uniform in [base, 3 base], as the source of the formula has it."""
    firsts = [exponential(10, jitter="decorrelated").delay(1, Random(seed)) for seed in range(1000)]
    assert 10 <= min(firsts) < 10.2
    assert 29.8 < max(firsts) <= 30


def test_decorrelated_jitter_grows_from_the_delay_before() -> None:
    """The delay before sets the range of the next; when it is not known the range is the unjittered one."""
    policy = exponential(10, cap=10_000, jitter="decorrelated")
    rng = Random(3)
    assert max(policy.delay(9, rng, previous=10) for _ in range(500)) <= 30
    assert max(policy.delay(9, rng, previous=1000) for _ in range(500)) > 2000
    assert 3000 < max(policy.delay(9, rng, previous=None) for _ in range(500)) <= 3 * 10 * 2**7


def test_full_jitter_spreads_over_its_whole_range() -> None:
    """A crowd that failed together comes back spread evenly, not in a lump."""
    rng = Random(7)
    delays = [exponential(8, jitter="full").delay(1, rng) for _ in range(4000)]
    eighths = [sum(low <= delay < low + 1 for delay in delays) for low in range(8)]
    assert all(400 < count < 600 for count in eighths), eighths


@given(base=bases, factor=growths, times=st.floats(1, 10**4))
def test_the_top_never_falls_and_never_passes_the_cap(base: float, factor: float, times: float) -> None:
    """Unjittered delays start at base, rise with n and stop at cap."""
    policy = exponential(base, factor, base * times, "none")
    tops = [policy.delay(n, Random(0)) for n in (*range(1, 40), 10**3, 10**6)]
    assert tops[0] == base
    assert all(low <= high for low, high in pairwise(tops))
    assert tops[-1] <= base * times


@pytest.mark.parametrize("jitter", JITTERS)
def test_the_millionth_retry_does_not_overflow(jitter: backoff.Jitter) -> None:
    """factor ** n leaves the range of floats long before n = 10**6; the delay is then drawn below the cap."""
    for n in (1024, 10**6, 10**400):
        delay = exponential(base=1, factor=100, cap=600, jitter=jitter).delay(n, Random(1))
        assert 0 <= delay <= 600


@given(
    delays=st.lists(spans, min_size=1, max_size=6), jitter=st.floats(0, 3), most=st.none() | spans, seed=seeds
)
def test_jitter_on_intervals_is_only_added(
    delays: list[float], jitter: float, most: float | None, seed: int
) -> None:
    """A written delay is a lower bound; jitter adds at most its fraction, and at most max_jitter seconds."""
    got = delays_of(intervals(*delays, jitter=jitter, max_jitter=most), seed)
    assert len(got) == len(delays)
    for written, delay in zip(delays, got, strict=True):
        added = written * jitter if most is None else min(written * jitter, most)
        assert written <= delay <= (written + added) * (1 + 1e-9)


def test_jitter_on_intervals_does_spread() -> None:
    """A fifth of ten seconds spreads over two seconds; max_jitter narrows that to one."""
    wide = [intervals(10, jitter=0.2).delay(1, Random(seed)) for seed in range(500)]
    narrow = [intervals(10, jitter=0.2, max_jitter=1).delay(1, Random(seed)) for seed in range(500)]
    assert (min(wide) < 10.05, 11.95 < max(wide) <= 12) == (True, True)
    assert (min(narrow) < 10.05, 10.95 < max(narrow) <= 11) == (True, True)


@given(first=ending, second=ending | endless, seed=seeds)
def test_joined_policies_run_one_after_the_other(first: Backoff, second: Backoff, seed: int) -> None:
    """The second begins with its own first delay when the first has run out; lengths add up."""
    both = first + second
    assert first.length is not None
    assert both.length == (None if second.length is None else first.length + second.length)
    for n in range(1, first.length + 6):
        own, at = (first, n) if n <= first.length else (second, n - first.length)
        expected = own.delay(at, Random(seed), 5.0 if at > 1 else None)
        assert both.delay(n, Random(seed), 5.0 if n > 1 else None) == expected


def test_a_policy_that_takes_over_knows_no_delay_of_the_one_before() -> None:
    """Decorrelated jitter after a join grows from its own base, not from a delay of the policy before."""
    policy = constant(3600).times(1) + exponential(1, cap=9000, jitter="decorrelated")
    assert all(policy.delay(2, Random(seed), previous=3600) <= 3 for seed in range(200))


@given(a=ending, b=ending, c=ending | endless)
def test_joining_does_not_depend_on_brackets(a: Backoff, b: Backoff, c: Backoff) -> None:
    """(a + b) + c is a + (b + c)."""
    assert (a + b) + c == a + (b + c)
    assert repr((a + b) + c) == repr(a + (b + c))


@given(policy=policies, n=st.integers(1, 12))
def test_times_cuts_a_policy_off(policy: Backoff, n: int) -> None:
    """times(n) gives the same delays, at most n of them."""
    whole = delays_of(policy, seed=1)
    cut = policy.times(n)
    assert cut.length == (n if policy.length is None else min(n, policy.length))
    assert delays_of(cut, seed=1) == whole[:n]


@given(policy=policies, seed=seeds)
def test_a_seed_fixes_every_delay(policy: Backoff, seed: int) -> None:
    """The same seed gives the same delays: a test can say what will happen."""
    assert delays_of(policy, seed) == delays_of(policy, seed)


@given(policy=policies, seed=seeds)
def test_every_delay_is_a_finite_number_of_seconds(policy: Backoff, seed: int) -> None:
    """No policy gives a negative, infinite or NaN delay, and each gives as many as its length says."""
    got = delays_of(policy, seed)
    assert all(0 <= delay < float("inf") for delay in got)
    assert len(got) == (12 if policy.length is None else min(12, policy.length))


@given(policy=policies)
def test_the_repr_is_the_expression_that_makes_it(policy: Backoff) -> None:
    """What a person reads in a log or a dashboard can be pasted into a task."""
    assert eval(repr(policy), vars(backoff)) == policy
    assert hash(eval(repr(policy), vars(backoff))) == hash(policy)


def test_the_repr_reads_like_what_was_written() -> None:
    """Numbers stay short, jitter is shown where it is set."""
    policy = constant(1).times(3) + intervals(10, 0.5, jitter=0.2, max_jitter=900) + exponential(base=2)
    assert repr(policy) == (
        "constant(1).times(3) + intervals(10, 0.5, jitter=0.2, max_jitter=900)"
        " + exponential(base=2, factor=2, cap=600, jitter='full')"
    )


def test_a_policy_cannot_be_changed() -> None:
    """Policies are values, shared by tasks: setting an attribute is refused."""
    with pytest.raises(AttributeError):
        constant(5).seconds = 6  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: exponential(base=-1), r"exponential\(base=…\): a delay must be .* not -1"),
        (lambda: exponential(base=0), r"base=0\) would never grow: .* constant\(0\)"),
        (lambda: exponential(base=float("nan")), r"exponential\(base=…\): .* not nan"),
        (lambda: exponential(base="soon"), r"exponential\(base=…\): .*'soon'"),
        (lambda: exponential(cap=float("inf")), r"exponential\(cap=…\): .* not inf"),
        (lambda: exponential(base=10, cap=5), r"cap=5\) is below base=10: raise cap or lower base"),
        (lambda: exponential(factor=0.5), r"factor=0.5\): expected .* 1 or more"),
        (lambda: exponential(factor=float("nan")), r"factor=nan\)"),
        (lambda: exponential(jitter="ful"), r"'ful'\) is not a kind of jitter: did you mean 'full'\?"),
        (lambda: exponential(jitter="decorelated"), r"did you mean 'decorrelated'\?"),
        (lambda: exponential(jitter="x"), r"expected one of full, equal, decorrelated, none"),
        (lambda: exponential(jitter=None), r"did you mean 'none'\?"),
        (lambda: intervals(), r"at least one delay, as in intervals\(10, 60, 300\)"),
        (lambda: intervals(10, -60), r"intervals, delay number 2: .* not -60"),
        (lambda: intervals(10, None), r"intervals, delay number 2: .*None"),
        (lambda: intervals(timedelta(seconds=-1)), r"delay number 1: .* not datetime.timedelta"),
        (lambda: intervals(10, jitter=-0.1), r"jitter=-0.1\): expected a fraction, 0 or more"),
        (lambda: intervals(10, jitter=float("nan")), r"jitter=nan\)"),
        (lambda: intervals(10, max_jitter=-5), r"intervals\(max_jitter=…\): .* not -5"),
        (lambda: constant(float("nan")), r"constant\(…\): .* not nan"),
        (lambda: constant(5).times(0), r"times\(0\): expected 1 or more; .*max_tries=1"),
        (lambda: constant(5) + constant(6), r"constant\(5\) never runs out.*\.times\(n\)"),
        (lambda: constant(5).delay(0, Random(0)), r"counted from 1, not 0"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_written(make, message: str) -> None:
    """A policy that cannot work says so at construction: which argument, what it got, what it expected."""
    with pytest.raises(ValueError, match=message):
        make()
