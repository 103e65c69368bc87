"""Calls that cannot become a job: each is refused where it is made, in one line, and nothing is written."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from runner import InvalidArguments, InvalidJob, InvalidTask, PayloadTooLarge, Runner, task
from runner.registry import Registry

Untouched = Callable[[], Awaitable[bool]]


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_task_that_is_no_coroutine_function() -> None:
    """A plain function is named, with the word that is missing."""

    def pack(ctx: Any) -> None: ...

    with pytest.raises(InvalidTask) as refused:
        task(pack)
    assert one_line(refused) == (
        "task 'pack': a task is an 'async def' function, not the plain function "
        "test_a_task_that_is_no_coroutine_function.<locals>.pack: put 'async' before its 'def', "
        "or give isolation='thread'"
    )


def test_a_task_that_yields() -> None:
    """An async generator is not a coroutine function either."""

    async def pack(ctx: Any) -> Any:
        yield 1

    with pytest.raises(InvalidTask) as refused:
        task(pack)
    assert one_line(refused).endswith("not an async generator: it must return, not yield")


def test_two_tasks_of_one_name() -> None:
    """Both places are named, and what to do."""

    @task(name="pack")
    async def first(ctx: Any) -> None: ...

    @task(name="pack")
    async def second(ctx: Any) -> None: ...

    with pytest.raises(InvalidTask) as refused:
        Registry([first, second])
    here = [f"{__name__}:{each.fn.__code__.co_firstlineno}" for each in (first, second)]
    assert (
        one_line(refused) == f"two tasks are named 'pack': {here[0]} and {here[1]}; give one of them name='…'"
    )


async def test_a_function_instead_of_a_task(runner: Runner, is_untouched: Untouched) -> None:
    """What was never declared, or a name as in arq, is not enqueued."""

    async def pack(ctx: Any) -> None: ...

    for wrong in (pack, "ship"):
        with pytest.raises(InvalidTask) as refused:
            await runner.enqueue(wrong)  # pyright: ignore[reportArgumentType]
        assert one_line(refused).startswith("only tasks can be enqueued, not ")
        assert "put @task above its 'async def'" in str(refused.value)
    assert await is_untouched()


@pytest.mark.parametrize(
    ("args", "kwargs", "complaint"),
    [
        ((), {}, "takes (order: str, boxes: int = 1): missing a required argument: 'order'"),
        (("o-1", 2, 3), {}, "too many positional arguments"),
        (("o-1",), {"box": 2}, "got an unexpected keyword argument 'box'"),
        (("o-1",), {"order": "o-2"}, "multiple values for argument 'order'"),
    ],
)
async def test_a_wrong_number_of_arguments(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    complaint: str,
    runner: Runner,
    sample: SimpleNamespace,
    is_untouched: Untouched,
) -> None:
    """The signature decides at enqueue, not at the worker."""
    with pytest.raises(InvalidArguments) as refused:
        await runner.enqueue(sample.ship, *args, **kwargs)
    assert one_line(refused).startswith("task 'ship' takes (order: str, boxes: int = 1): ")
    assert complaint in str(refused.value)
    assert await is_untouched()


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        ((17,), "task 'ship', argument 'order': expected str, got int 17"),
        (("o-1", "two"), "task 'ship', argument 'boxes': expected int, got str 'two'"),
        (("o-1", 2.5), "task 'ship', argument 'boxes': expected int, got float 2.5"),
        ((None,), "task 'ship', argument 'order': expected str, got NoneType None"),
    ],
)
async def test_an_argument_of_a_wrong_type(
    args: tuple[Any, ...], complaint: str, runner: Runner, sample: SimpleNamespace, is_untouched: Untouched
) -> None:
    """Task, argument, expected type and the value are named."""
    with pytest.raises(InvalidArguments) as refused:
        await runner.enqueue(sample.ship, *args)
    assert one_line(refused) == complaint
    assert await is_untouched()


async def test_an_argument_that_has_no_json_form(
    runner: Runner, sample: SimpleNamespace, is_untouched: Untouched
) -> None:
    """An object, a lone surrogate, a number of 5,001 digits: the argument is named."""
    for value, complaint in [
        (object(), "task 'take', argument 'anything': object cannot be encoded as JSON"),
        ("\ud800", "task 'take': argument 'anything' cannot be encoded: 'utf-8' codec can't encode"),
        (10**5000, "task 'take': argument 'anything' cannot be encoded: "),
    ]:
        with pytest.raises(InvalidArguments) as refused:
            await runner.enqueue(sample.take, value)
        assert one_line(refused).startswith(complaint)
    assert await is_untouched()


def test_a_naive_datetime(sample: SimpleNamespace) -> None:
    """A time without a zone means another moment on another machine."""
    with pytest.raises(InvalidJob) as refused:
        sample.ship.using(until=datetime(2030, 1, 1))
    assert one_line(refused) == (
        "task 'ship': until= needs an aware datetime, not datetime.datetime(2030, 1, 1, 0, 0): add a tzinfo"
    )


@pytest.mark.parametrize("option", ["delay", "expires"])
@pytest.mark.parametrize("value", [-1, timedelta(seconds=-1), float("nan"), float("inf")])
def test_a_time_that_is_none(option: str, value: Any, sample: SimpleNamespace) -> None:
    """Negative spans, NaN and infinity."""
    with pytest.raises(InvalidJob) as refused:
        sample.ship.using(**{option: value})
    assert one_line(refused) == (
        f"task 'ship': a delay must be a finite number of seconds, zero or more, not {value!r}"
    )


async def test_a_number_that_is_none(
    runner: Runner, sample: SimpleNamespace, is_untouched: Untouched
) -> None:
    """NaN as an argument would arrive as null."""
    for value in (float("nan"), {"a": [float("inf")]}):
        with pytest.raises(InvalidArguments) as refused:
            await runner.enqueue(sample.take, value)
        assert one_line(refused).startswith("task 'take', argument 'anything': ")
        assert "has no JSON form" in str(refused.value)
    assert await is_untouched()


async def test_a_payload_of_ten_megabytes(
    runner: Runner, sample: SimpleNamespace, is_untouched: Untouched
) -> None:
    """Size, limit, the setting and the largest argument are named."""
    with pytest.raises(PayloadTooLarge) as refused:
        await runner.enqueue(sample.ship, "x" * 10_000_000, 2)
    text = one_line(refused)
    assert text.startswith("task 'ship': the job takes 10,000,")
    assert " bytes, more than limits.payload = 524,288; " in text
    assert "the largest part is argument 'order' with 10,000,002 bytes" in text
    assert "pass a reference, or raise the limit" in text
    assert await is_untouched()


async def test_deep_nesting(runner: Runner, sample: SimpleNamespace, is_untouched: Untouched) -> None:
    """65 levels, 100,000 levels and a list that holds itself."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (endless, deep):
        with pytest.raises(InvalidArguments) as refused:
            await runner.enqueue(sample.take, value)
        assert one_line(refused) == "task 'take', argument 'anything': nested deeper than 64"
    assert await is_untouched()
    while isinstance(deep, list):  # taken apart by hand: freeing it in one go would nest as deep
        deep = deep.pop()
