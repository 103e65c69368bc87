"""The table of reasons: which lines apply to which facts, and what they say."""

from typing import Any

import pytest

from runner.explain import Facts, Gate, Holder, Serving, explained
from runner.explain.rules import NOT_WAITING, RULES
from runner.job import JobState

NOW_MS = 1_800_000_000_000  # 2027-01-15 08:00:00 UTC
HELD = Holder("k", "w2", NOW_MS - 90_000, 0)


def gate(**facts: Any) -> Gate:
    healthy = {"key": "host:a", "limit": "host", "at_once": 2, "held": 0, "holders": ()}
    return Gate(**{**healthy, "closed_until_ms": 0, "is_asked": False, "why": "", **facts})


W = Serving("w1", ["default"], ["pay"], 3, 10)


def kinds(state: JobState, **facts: Any) -> dict[str, str]:
    """The sentences for these facts, by the word of their rule."""
    facts = {"task": "pay", "due_at_ms": NOW_MS - 5_000, "workers": [W], **facts}
    explanation = explained(Facts(id="j", queue="default", state=state, now_ms=NOW_MS, **facts))
    return {reason.kind: reason.text for reason in explanation.reasons}


def ready(**facts: Any) -> dict[str, str]:
    return kinds(JobState.READY, **facts)


def later(**facts: Any) -> dict[str, str]:
    return kinds(JobState.SCHEDULED, due_at_ms=NOW_MS + 4_250, **facts)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (later(), {"due": "it is due at 08:00:04 UTC (in 4.25 s)"}),
        (ready(), {"behind": "it is due since 07:59:55 UTC (5 s ago), and the next of its queue"}),
        (
            ready(ahead=12_345),
            {"behind": "it is due since 07:59:55 UTC (5 s ago), behind 12,345 jobs of its queue"},
        ),
        (
            later(attempts=2, error="TypeError: no"),
            {"retry": "attempt 2 failed (TypeError: no); the next is due at 08:00:04 UTC (in 4.25 s)"},
        ),
        (
            later(waits_for="limit stripe", in_line=True),
            {"limit": "limit stripe grants at 08:00:04 UTC (in 4.25 s): its place in line"},
        ),
        (
            later(waits_for="limit x: cost 9 is above the burst of 5", in_line=False),
            {
                "limit": "limit x: cost 9 is above the burst of 5; it asks again at 08:00:04 UTC (in 4.25 s)",
            },
        ),
        (
            later(
                waits_for="lock till is busy", lock=("till", Holder("k", "w2", NOW_MS - 90_000, NOW_MS + 9))
            ),
            {
                "lock": "lock till is held by job k of worker w2 since 07:58:30 UTC (90 s ago); "
                "it looks again at 08:00:04 UTC (in 4.25 s)"
            },
        ),
        (
            later(waits_for="lock till is busy", lock=("till", None)),
            {"lock": "lock till was busy and is free now; it looks again at 08:00:04 UTC (in 4.25 s)"},
        ),
        (
            later(waits_for="in progress in job k"),
            {"snoozed": "in progress in job k; it comes back at 08:00:04 UTC (in 4.25 s)"},
        ),
        (
            ready(workers=[Serving("w9", ["bulk", "slow"], ["pay"], 0, 1)]),
            {
                "unserved": "no worker serves queue 'default': w9 serves bulk, slow",
                "behind": "it is due since 07:59:55 UTC (5 s ago), and the next of its queue",
            },
        ),
        (later(workers=[]), {"unserved": "no worker serves queue 'default': none is alive", **later()}),
        (
            later(task="other"),
            {"unknown_task": "no worker of the queue knows a task 'other': w1", **later()},
        ),
        (
            ready(workers=[W._replace(running=10)]),
            {"full": "all workers that would take it are full: w1, 10 jobs run of 10 at once", **ready()},
        ),
        (
            ready(suspect_since_ms=NOW_MS - 7_200_000, ward="w1", worker="w0"),
            {
                "suspect": "workers died while they ran it: it waits for one that runs nothing else, since "
                "06:00:00 UTC (2.0 h ago); worker w1 takes nothing else until then",
                **ready(),
            },
        ),
        (
            later(worker="w0", attempts=1),
            {
                "lost": "worker w0 had it and did not renew its lease: the next worker that looks takes it",
            },
        ),
        (
            ready(paused=(NOW_MS - 60_000, "ann@host")),
            {
                "paused": "queue 'default' is paused since 07:59:00 UTC (60 s ago) by ann@host: "
                "nothing of it starts",
                **ready(),
            },
        ),
        (
            later(expires_at_ms=NOW_MS + 86_400_000),
            {
                **later(),
                "expires": "it ends as expired unless it starts by 2027-01-16 08:00:00 UTC (in 24.0 h)",
            },
        ),
        (
            ready(cancel_asked=True),
            {"cancelled": "somebody asked to cancel it: it ends when a worker takes it", **ready()},
        ),
        (
            ready(gates=[gate(held=2, holders=[HELD])], lane_ahead=4),
            {
                "narrow": "host:a lets 2 run at once (limit host): job k of worker w2 since "
                "07:58:30 UTC (90 s ago), 1 more",
                "behind": "it is due since 07:59:55 UTC (5 s ago), behind 4 jobs of its lane",
            },
        ),
        (
            later(waits_for="gate host:a: too many retries", in_line=True),
            {
                "limit": "gate host:a: too many retries; its turn comes at 08:00:04 UTC (in 4.25 s): "
                "its place in line"
            },
        ),
        (
            ready(gates=[gate(held=1)], lane_ahead=0),
            {"behind": "it is due since 07:59:55 UTC (5 s ago), and the next of its lane"},
        ),
        (
            later(
                gates=[gate(closed_until_ms=NOW_MS + 30_000, why="5 failures in a row")],
                waits_for="gate host:a is closed: 5 failures in a row",
                in_line=False,
            ),
            {"closed": "the breaker of host:a is open until 08:00:30 UTC (in 30 s): 5 failures in a row"},
        ),
        (
            ready(
                gates=[
                    gate(
                        closed_until_ms=NOW_MS + 30_000,
                        is_asked=True,
                        why="told to job x",
                    )
                ]
            ),
            {
                "closed": "host:a is paused until 08:00:30 UTC (in 30 s): told to job x",
                **ready(),
            },
        ),
        (
            kinds(JobState.RUNNING, attempts=2, worker="w1", since_ms=NOW_MS - 1_000, cancel_asked=True),
            {"running": "it runs: attempt 2 on worker w1 since 07:59:59 UTC (1 s ago); it is asked to stop"},
        ),
        (
            kinds(JobState.DEAD, reason="max_tries", error="TypeError: no"),
            {"ended": "it has ended: dead, max_tries (TypeError: no)"},
        ),
        (kinds(JobState.SUCCEEDED), {"ended": "it has ended: succeeded"}),
        (
            kinds(JobState.UNKNOWN),
            {
                "unknown": "the server knows no such job in queue 'default': it is of another queue, "
                "never was, or ended and its result is not kept"
            },
        ),
    ],
)
def test_what_is_told_of_a_job(told: dict[str, str], expected: dict[str, str]) -> None:
    """Every reason that applies, and no other, in the order of the table."""
    assert list(told.items()) == list(expected.items())


def test_a_time_is_machine_readable_too() -> None:
    """A reason that ends at a known time says so in server milliseconds."""
    facts = Facts(id="j", queue="q", state=JobState.SCHEDULED, now_ms=1, due_at_ms=5, task="t")
    assert [(r.kind, r.until_ms) for r in explained(facts).reasons] == [("unserved", None), ("due", 5)]
    assert str(explained(facts)).splitlines()[0] == "j  t  scheduled in q"


def test_every_line_of_the_table_has_a_word_of_its_own() -> None:
    """Programs tell reasons apart by their kind."""
    words = [rule.kind for rule in RULES]
    assert len(set(words)) == len(words)
    assert not set(words) & {rule.kind for rule in NOT_WAITING}
