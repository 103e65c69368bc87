"""What a task declares about calls that would do the same, and what is refused."""

import pytest

from runner import Context, InvalidTask, Unique, task
from runner.settings.queues import QueueTable


def test_the_forms_of_a_declaration() -> None:
    """A state, a span, and two by the names that people look for."""
    assert (Unique().until, Unique().on_conflict) == ("done", "keep")
    assert Unique("until_started").until == "started"
    assert (Unique("1h").until, Unique("1h").period_s) == ("period", 3600)
    assert Unique.throttle("1h") == Unique("1h")
    debounced = Unique.debounce("10s", max_wait=60)
    assert (debounced.until, debounced.on_conflict) == ("started", "replace")
    assert (debounced.wait_s, debounced.max_wait_s) == (10, 60)


def test_what_makes_calls_the_same() -> None:
    """The task, its queue, and all arguments or the key that is given; 1 and "1" differ."""
    by_arguments, by_key = Unique(), Unique(key="account:{account}")

    def digest(unique: Unique, task: str = "t", queue: str = "q", **named: object) -> str:
        return unique.claim(task, queue, named).digest

    same = digest(by_arguments, account=1, note="a")
    assert digest(by_arguments, note="a", account=1) == same
    others = [
        digest(by_arguments, account=1, note="b"),
        digest(by_arguments, account="1", note="a"),
        digest(by_arguments, task="u", account=1, note="a"),
        digest(by_arguments, queue="r", account=1, note="a"),
        digest(by_key, account=1, note="a"),
        digest(by_key, account=2, note="a"),
    ]
    assert len({same, *others}) == 7
    assert digest(by_key, account=1, note="b") == others[4]


@pytest.mark.parametrize(
    ("declare", "complaint"),
    [
        (lambda: Unique("until_dawn"), "'until_done', 'until_started', or a span of time such as '1h'"),
        (lambda: Unique(0), "a span of time is a millisecond or more, not 0"),
        (lambda: Unique(-1), "takes 'until_done'"),
        (lambda: Unique(on_conflict="drop"), "is 'keep', 'replace' or 'reject', not 'drop'"),
        (lambda: Unique(key=5), "a template or a function of the task's arguments, not 5"),
        (lambda: Unique.throttle("often"), "Unique.throttle takes a span of time"),
        (lambda: Unique.debounce("10s", max_wait="5s"), r"max_wait \(5 s\) is shorter than the wait itself"),
        (lambda: task(unique=Unique(key="{id}"))(fetch), r"task 'fetch': .*'id' is not one of .*\(url\)"),
        (lambda: task(unique=Unique(key=lambda id: id))(fetch), "'id' is not one of the task's parameters"),
        (lambda: task(unique=Unique(key="{}"))(fetch), "name the parameter inside the braces"),
        (lambda: task(unique=True)(fetch), r"task 'fetch': unique= is made by Unique\(…\), not True"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_declared(declare: object, complaint: str) -> None:
    """One sentence that names what was given, and what was expected."""
    with pytest.raises((InvalidTask, ValueError, TypeError), match=complaint):
        declare()  # type: ignore[operator]


async def fetch(ctx: Context, url: str) -> None: ...


def test_a_queue_without_a_limit_is_never_full() -> None:
    """when_full without max_waiting would do nothing, so it is refused."""
    with pytest.raises(ValueError, match="max_waiting beside when_full and wait"):
        QueueTable(when_full="wait")
    assert QueueTable(max_waiting=1).when_full == "reject"
