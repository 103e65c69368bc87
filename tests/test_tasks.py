"""Declaring tasks, placing calls of them, and knowing them by name."""

import functools
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from runner import Context, backoff
from runner.errors import InvalidJob, InvalidTask
from runner.registry import Registry
from runner.tasks import Task, task


async def plain(ctx: Context, order: str) -> str:
    return f"{order} done"


def test_a_task_without_options_is_its_function_with_defaults() -> None:
    """``@task`` alone gives the function's name, the default queue and the worker's own number of tries."""
    made = task(plain)
    assert (made.name, made.queue, made.retry.max_tries) == ("plain", "default", None)
    assert (made.timeout_s, made.soft_timeout_s, made.keep_result_s) == (None, None, None)


async def test_calling_a_task_runs_its_function() -> None:
    """A task called by hand, as in a unit test, is the coroutine function itself."""
    assert await task(plain)({}, "o-1") == "o-1 done"


def test_times_are_seconds_or_timedeltas() -> None:
    """Every option that is a time takes a number of seconds or a timedelta, and holds seconds."""
    made = task(
        timeout=timedelta(minutes=1), soft_timeout=50, keep_result=timedelta(hours=1), max_age=86_400
    )(plain)
    assert (made.timeout_s, made.soft_timeout_s, made.keep_result_s) == (60.0, 50.0, 3600.0)
    assert made.retry.max_age_s == 86_400.0


def test_one_exception_class_is_taken_as_one() -> None:
    """``retry_on=ValueError`` is the class, not a function that judges (a class can be called, too)."""
    made = task(retry_on=ValueError, give_up_on=UnicodeError)(plain)
    assert made.retry.judge is None
    assert made.retry.wants(ValueError())
    assert not made.retry.wants(KeyError())
    assert not made.retry.wants(UnicodeError())


def test_a_function_judges_errors() -> None:
    """``retry_on`` may be a function of the error; ``give_up_on`` wins over it."""
    made = task(retry_on=lambda error: "again" in str(error), give_up_on=(KeyError,))(plain)
    assert made.retry.wants(ValueError("again"))
    assert not made.retry.wants(ValueError("never"))
    assert not made.retry.wants(KeyError("again"))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_tries": 0}, "max_tries counts the first attempt too, so it is at least 1, not 0"),
        ({"max_snoozes": -1}, "max_snoozes must be 0 or more, not -1"),
        ({"retry": 5}, "retry= takes a backoff"),
        ({"retry_on": (ValueError, "KeyError")}, "retry_on= takes exception classes, not 'KeyError'"),
        ({"give_up_on": int}, "give_up_on= takes exception classes, not <class 'int'>"),
        ({"timeout": 0}, "timeout must be more than 0 seconds"),
        ({"timeout": -1}, "finite number of seconds, zero or more, not -1"),
        ({"timeout": float("nan")}, "finite number of seconds, zero or more, not nan"),
        ({"timeout": 5, "soft_timeout": 5}, "soft_timeout (5 s) must be shorter than timeout (5 s)"),
        ({"queue": ""}, "a queue's name is text of 1 to 200 characters"),
        ({"queue": "two words"}, "without spaces and braces, not 'two words'"),
        ({"name": ""}, "name= must be printable text, not ''"),
        ({"name": "a\nb"}, "name= must be printable text"),
        ({"tiemout": 5}, "unexpected keyword argument 'tiemout'"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_where_it_stands(options: dict, complaint: str) -> None:
    """What is wrong with a task is said when the module is imported, with the task's name."""
    with pytest.raises(InvalidTask) as refused:
        task(**options)(plain)
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("task '")


def test_a_partial_needs_a_name_and_then_works() -> None:
    """What has no name of its own is asked for one."""
    with pytest.raises(InvalidTask, match="name= must be printable text, not None"):
        task(functools.partial(plain, order="o-1"))
    assert task(name="first_order")(functools.partial(plain, order="o-1")).name == "first_order"


def test_using_gives_a_copy_and_leaves_the_task_alone() -> None:
    """``using`` places one call otherwise; what was set before stays unless it is set again."""
    made = task(plain)
    placed = made.using(delay=10, queue="bulk").using(key="k-1", delay=timedelta(seconds=2))
    assert (placed.placement.delay_s, placed.placement.queue, placed.placement.key) == (2.0, "bulk", "k-1")
    assert made.placement.delay_s == 0
    assert made.placement.key is None
    assert placed.fn is made.fn


@pytest.mark.parametrize(
    ("placed", "complaint"),
    [
        ({"delay": 5, "until": datetime(2030, 1, 1, tzinfo=UTC)}, "give either delay= or until=, not both"),
        ({"until": "tomorrow"}, "until= needs an aware datetime, not 'tomorrow'"),
        ({"delay": "soon"}, "could not convert string to float: 'soon'"),
        ({"key": ""}, "a key is text of 1 to 1024 characters without control characters, not ''"),
        ({"key": 17}, "a key is text of 1 to 1024 characters without control characters, not 17"),
        ({"key": "a\nb"}, "not 'a\\nb'"),
        ({"key": "\ud800"}, "not '\\ud800'"),
        ({"queue": "{bulk}"}, "without spaces and braces, not '{bulk}'"),
    ],
)
def test_a_placement_that_cannot_be_is_refused(placed: dict, complaint: str) -> None:
    """``using`` refuses what the server could not hold or nobody could mean, naming the task."""
    with pytest.raises(InvalidJob) as refused:
        task(plain).using(**placed)
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("task 'plain': ")


def test_the_default_backoff_grows_from_one_second_to_ten_minutes() -> None:
    """A task that names no backoff has exponential(base=1, cap=600) with full jitter."""
    assert task(plain).retry.backoff == backoff.exponential(base=1, cap=600, jitter="full")


def test_a_registry_knows_tasks_by_name() -> None:
    """A module's tasks become known once, however often they are seen; other names are not."""
    made = task(plain)
    module = ModuleType("orders")
    module.first, module.again, module.other = made, made.using(queue="bulk"), "no task"
    registry = Registry([made])
    registry.add_module(module)
    assert len(registry) == 1
    assert registry.get("plain") is made
    assert list(registry) == [made]
    assert registry.get("unknown") is None


def test_the_same_function_declared_twice_is_two_tasks() -> None:
    """One name cannot stand for two declarations, also of one function: which timeout would it have?"""
    with pytest.raises(InvalidTask, match="two tasks are named 'plain'"):
        Registry([task(timeout=5)(plain), task(timeout=9)(plain)])


def test_a_registry_takes_only_tasks() -> None:
    """A function that was given without ``@task`` is named."""
    with pytest.raises(InvalidTask, match=r"plain.* is no task: put @task above its 'async def'"):
        Registry([plain])
    assert isinstance(task(plain), Task)
