"""Ticks over ten zones and three years, against an oracle that walks through real time."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from runner.schedules.schedule import cron_rule

ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Santiago",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
    "Asia/Kolkata",
)
FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)
TIMES = ((0, 0), (0, 30), (1, 30), (2, 0), (2, 30), (3, 15))
"""Wall times that fall into gaps and repetitions of the zones above."""


@pytest.fixture(scope="module", params=ZONES)
def days(request):
    """Local days near changes, each with its minutes in real time: (wall time, instant)."""
    zone = ZoneInfo(request.param)
    found = {}
    at = FIRST - timedelta(days=1)
    while at < LAST + timedelta(days=1):
        is_near_change = (at - timedelta(days=1)).astimezone(zone).utcoffset() != (
            at + timedelta(days=2)
        ).astimezone(zone).utcoffset()
        if is_near_change:
            for minute in range(24 * 60):
                moment = at + minute * STEP
                wall = moment.astimezone(zone)
                found.setdefault(wall.date(), []).append((wall.hour * 60 + wall.minute, moment))
        at += timedelta(days=1)
    whole = {}
    for day, minutes in found.items():
        start = min(moment for _, moment in minutes)
        before = (start - STEP).astimezone(zone).date()
        after = (max(moment for _, moment in minutes) + STEP).astimezone(zone).date()
        if before != day and after != day:
            whole[day] = sorted(minutes, key=lambda each: each[1])
    assert len(whole) >= 12 or request.param == "Asia/Kolkata", "six changes, two days each"
    return request.param, whole


def due(minutes, wanted):
    """Give when a daily rule runs: the first time the wall shows it, else the first minute behind the gap."""
    for wall, moment in minutes:
        if wall == wanted:
            return moment
    behind = [moment for (was, _), (wall, moment) in pairwise(minutes) if was < wanted < wall]
    return behind[0] if behind else minutes[0][1]


@pytest.mark.parametrize("time", TIMES, ids=lambda t: f"{t[0]:02}:{t[1]:02}")
def test_a_daily_rule_ticks_once_a_day_whatever_the_clocks_do(days, time):
    """In a gap: the first moment after it. In a repetition: the first time. Else: when the wall shows it."""
    zone, whole = days
    hour, minute = time
    rule = cron_rule(f"{minute} {hour} * * *", zone)
    for day, minutes in whole.items():
        start, end = minutes[0][1], minutes[-1][1]
        ticks = []
        tick = rule.after(round(start.timestamp() * 1000) - 1000)
        while tick is not None and tick <= end.timestamp() * 1000:
            ticks.append(datetime.fromtimestamp(tick / 1000, UTC))
            tick = rule.after(tick)
        assert ticks == [due(minutes, hour * 60 + minute)], f"{zone} {day}"


def test_a_rule_for_every_half_hour_follows_real_time(days):
    """Nothing is left out and nothing runs twice: the wall shows a half hour, the rule ticks."""
    zone, whole = days
    rule = cron_rule("*/30 * * * *", zone)
    assert zone == "Asia/Kolkata" or whole
    for day, minutes in whole.items():
        expected = [moment for wall, moment in minutes if wall % 30 == 0]
        ticks, tick = [], rule.after(round(minutes[0][1].timestamp() * 1000) - 1000)
        while tick is not None and tick <= minutes[-1][1].timestamp() * 1000:
            ticks.append(datetime.fromtimestamp(tick / 1000, UTC))
            tick = rule.after(tick)
        assert ticks == expected, f"{zone} {day}"


@pytest.mark.parametrize("zone", ZONES)
def test_over_three_years_a_daily_rule_ticks_on_every_day(zone):
    """1,095 days, 1,095 ticks, each on its own day."""
    rule = cron_rule("30 2 * * *", zone)
    local_first = datetime(2025, 1, 1, tzinfo=ZoneInfo(zone))
    days, tick = [], round(local_first.timestamp() * 1000) - 1000
    for _ in range(3 * 365):
        tick = rule.after(tick)
        days.append(datetime.fromtimestamp(tick / 1000, ZoneInfo(zone)).date())
    assert days == [(local_first + timedelta(days=n)).date() for n in range(3 * 365)]
