from hypothesis import given
from hypothesis import strategies as st

from runner.schedules.misfire import MAX_CATCH_UP, ON_TIME_MS, plan
from runner.schedules.schedule import IntervalRule, Schedule

START = 1_767_225_600_000
intervals = st.integers(1_000, 600_000)
gaps = st.integers(0, 9_000_000)
graces = st.integers(0, 7_200)
policies = st.sampled_from(["latest", "all", "none"])


def made(every_ms, catch_up, grace_s):
    return Schedule(
        name="s", rule=IntervalRule(every_ms), task="t", catch_up=catch_up, misfire_grace_s=grace_s
    )


def ticks_between(every_ms, after_ms, upto_ms):
    """Count them one by one, without the rule."""
    first = (after_ms // every_ms + 1) * every_ms
    return list(range(first, upto_ms + 1, every_ms))


@given(intervals, gaps, graces, policies)
def test_every_tick_runs_or_is_missed_and_none_is_both(every_ms, gap, grace_s, catch_up):
    """What ran and what was missed add up to the ticks there were; the schedule goes on behind them."""
    now = START + gap
    ticks = ticks_between(every_ms, START, now)
    decided = plan(made(every_ms, catch_up, grace_s), START, now)
    assert len(decided.run) + decided.missed == len(ticks)
    assert set(decided.run) <= set(ticks)
    assert list(decided.run) == sorted(decided.run)
    rest = plan(made(every_ms, catch_up, grace_s), decided.upto_ms, now)
    assert rest.run == ()
    assert rest.missed == 0


@given(intervals, gaps, graces, policies)
def test_what_runs_is_within_the_grace_and_as_many_as_the_policy_says(every_ms, gap, grace_s, catch_up):
    """latest: the last one; all: each, at most 100; none: only one that is on time."""
    now = START + gap
    grace_ms = ON_TIME_MS if catch_up == "none" else grace_s * 1000
    fresh = [tick for tick in ticks_between(every_ms, START, now) if now - tick <= grace_ms]
    wanted = fresh[-MAX_CATCH_UP:] if catch_up == "all" else fresh[-1:]
    assert list(plan(made(every_ms, catch_up, grace_s), START, now).run) == wanted


@given(intervals, gaps)
def test_planning_twice_is_planning_once(every_ms, gap):
    """A plan depends on nothing but its arguments: two workers plan the same."""
    schedule = made(every_ms, "all", 3600)
    assert plan(schedule, START, START + gap) == plan(schedule, START, START + gap)


@given(intervals, st.integers(0, 10**12))
def test_intervals_do_not_drift(every_ms, at):
    """Ticks are multiples of the interval since the epoch, wherever one starts to look."""
    tick = IntervalRule(every_ms).after(at)
    assert tick % every_ms == 0
    assert at < tick <= at + every_ms
