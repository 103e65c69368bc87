from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from runner import Runner, Settings, cron, every, task
from runner.errors import InvalidTask, SettingsError
from runner.registry import Registry
from runner.schedules.collect import collect
from runner.schedules.definition import decode_schedule, encode_schedule
from runner.settings import ScheduleTable


@task
async def greet(ctx, name: str, loud: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("61 * * * *", "field 1 (minute) is 0-59, not '61'"),
        ("0 25 * * *", "field 2 (hour) is 0-23, not '25'"),
        ("0 25 * 13 *", "field 4 (month) is 1-12 or JAN-DEC, not '13'"),
        ("* * * *", "has 4 fields; give 5 (minute, hour,"),
        ("0 0 31 2 *", "never ticks: no date fits it"),
        ("@dayly", "is no cron alias; did you mean @daily?"),
        ("70 0 0 * * *", "field 1 (second) is 0-59, not '70'"),
    ],
)
def test_a_wrong_expression_is_told_with_its_place_and_why(expression, says):
    """Also one that no date fits, which arq would look for for ever."""
    with pytest.raises(InvalidTask) as caught:
        cron(expression, greet, args=("x",))
    assert says in str(caught.value)


def test_an_unknown_zone_gets_a_suggestion():
    """Berlni is not Berlin."""
    with pytest.raises(InvalidTask, match="no time zone 'Europe/Berlni'; did you mean Europe/Berlin"):
        cron("0 8 * * *", greet, args=("x",), tz="Europe/Berlni")


def test_everything_wrong_with_one_schedule_is_told_at_once():
    """A line each: rule, arguments, options."""
    with pytest.raises(InvalidTask) as caught:
        every(
            0,
            greet,
            args=(1, 2, 3),
            until=datetime(2030, 1, 1),
            count=0,
            max_instances=-1,
            expires="soon",
            catch_up="some",
            overlap="maybe",
            queue="a b",
            anchor=None,
        )
    lines = str(caught.value).splitlines()
    assert all(line.startswith("schedule 'greet': ") for line in lines)
    for part in (
        "longer than zero",
        "aware",
        "count=0",
        "max_instances=-1",
        "expires",
        "catch_up",
        "overlap",
    ):
        assert any(part in line for line in lines), part
    assert any("greet" in line and "argument" in line for line in lines)
    assert any("queue" in line for line in lines)


def test_a_naive_anchor_is_refused():
    """Nobody could say which instant it is."""
    with pytest.raises(InvalidTask, match="aware datetime"):
        every("5m", greet, args=("x",), anchor=datetime(2026, 1, 1))


def test_a_function_that_is_no_task_is_refused():
    """The cure is named."""

    async def plain(ctx): ...

    with pytest.raises(InvalidTask, match="put @task above"):
        every("5m", plain)


def test_a_schedule_survives_being_bytes():
    """What the server keeps of one made at run time is all of it."""
    schedules = [
        cron("*/5 8-18 * * MON-FRI", greet, args=("x",), kwargs={"loud": True}, tz="Asia/Tokyo"),
        every(
            timedelta(minutes=7),
            greet,
            args=("y",),
            name="other",
            anchor=datetime(2026, 1, 1, tzinfo=UTC),
            catch_up="all",
            misfire_grace=60,
            overlap="buffer_one",
            until=datetime(2027, 1, 1, tzinfo=UTC),
            count=9,
            jitter="1s",
            queue="bulk",
        ),
    ]
    for schedule in schedules:
        read = decode_schedule(schedule.name, encode_schedule(schedule))
        assert (read.fingerprint, read.rule, list(read.args), read.kwargs) == (
            schedule.fingerprint,
            schedule.rule,
            list(schedule.args),
            schedule.kwargs,
        )
        assert [read.after(0), read.queue, read.catch_up, read.overlap, read.count, read.until_ms] == [
            schedule.after(0),
            schedule.queue,
            schedule.catch_up,
            schedule.overlap,
            schedule.count,
            schedule.until_ms,
        ]


def test_bytes_that_are_no_definition_are_told():
    """Somebody wrote to the server by hand."""
    with pytest.raises(ValueError, match="definition of schedule 's' cannot be read"):
        decode_schedule("s", b"{")


def module(name, *schedules):
    made = ModuleType(name)
    made.schedules = list(schedules)
    return made


def test_all_declarations_are_checked_in_one_report():
    """Settings and modules: unknown tasks, both or neither rule, arguments, duplicate names."""
    registry = Registry([greet])

    @task(name="lonely")
    async def lonely(ctx) -> None: ...

    modules = [
        module("shop", every("5m", greet, args=("x",), name="twice"), every("5m", lonely)),
        module("other", every("6m", greet, args=("x",), name="twice"), "every 5 minutes"),
    ]
    tables = {
        "typo": ScheduleTable(task="gret", every=5),
        "both": ScheduleTable(task="greet", every=5, cron="@daily", args=["x"]),
        "neither": ScheduleTable(task="greet", args=["x"]),
        "misfit": ScheduleTable(task="greet", every=5),
        "naive": ScheduleTable(task="greet", every=5, args=["x"], until=datetime(2030, 1, 1)),
        "off": ScheduleTable(task="nobody", enabled=False),
    }
    with pytest.raises(SettingsError) as caught:
        collect(registry, modules, tables)
    report = str(caught.value)
    for part in (
        "schedules.typo.task: no task is named 'gret'; did you mean greet?",
        "schedules.both: schedule 'both': give one of cron=",
        "schedules.neither: schedule 'neither': give one of cron=",
        "schedules.misfit: schedule 'misfit': ",
        "schedules.naive: schedule 'naive': until=",
        "2 schedules are named 'twice': module shop and module other",
        "module shop: schedule 'lonely': no task is named 'lonely'",
        "module other: schedules holds 'every 5 minutes'; expected runner.cron(…) or runner.every(…)",
    ):
        assert part in report, part
    assert "nobody" not in report


def test_a_runner_knows_the_schedules_of_code_and_settings():
    """Those given, and the tables; one that is turned off is not there."""
    tables = {
        "nightly": ScheduleTable(task="greet", cron="0 3 * * *", args=["x"], tz="Europe/Berlin"),
        "off": ScheduleTable(task="greet", every=5, enabled=False),
    }
    given = every("5m", greet, args=("x",))
    runner = Runner(Settings(tasks=(), schedules=tables), tasks=[greet], schedules=[given])
    assert [schedule.name for schedule in runner.declared_schedules] == ["greet", "nightly"]
    assert runner.declared_schedules[1].rule.words() == "At 03:00 every day (Europe/Berlin)"
