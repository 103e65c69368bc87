"""What follows from what a gateway says: the table, row by row."""

import pytest

from jobs.payment.declines import classify
from jobs.payment.gateway import (
    Declined,
    Executed,
    Found,
    InProgress,
    Misconfigured,
    NotSent,
    Order,
    Rejected,
    Throttled,
    Unknown,
)
from jobs.payment.operation import LATER_S, PAUSE_S, Doing, Rules, conclude, react
from jobs.payment.state import ARROWS, CLOSED, State

RULES = Rules(retry_s=(10, 60, 300), proof_s=900)
ORDER = Order(
    kind="charge",
    op_id="op",
    order_id="o-1",
    amount_minor=1999,
    currency="EUR",
    key="k",
    source="tok",
    attempt=2,
)


def doing(state=State.SENDING, **more) -> Doing:
    return Doing(ORDER, state, **more)


def executed(status="succeeded", **more) -> Executed:
    facts = {"ref": "pi_1", "amount_minor": 1999, "currency": "EUR", "op_id": "op", "attempt": 2}
    return Executed(status=status, **(facts | more))


def declined(code="insufficient_funds", **more) -> Declined:
    return Declined(decline=classify(code), **more)


@pytest.mark.parametrize(
    ("outcome", "to", "wait_s"),
    [
        (executed(), State.SUCCEEDED, None),
        (executed("authorized"), State.AUTHORIZED, None),
        (executed("pending"), State.PENDING, 10),
        (executed("requires_action"), State.REQUIRES_ACTION, 10),
        (declined(), State.DECLINED_SOFT, None),
        (declined("stolen_card"), State.DECLINED_HARD, None),
        (declined("duplicate_transaction"), State.UNKNOWN, 10),
        (Rejected("bad"), State.REJECTED, None),
        (Rejected("key reused", True), State.REJECTED, None),
        (Misconfigured("401"), State.CREATED, PAUSE_S),
        (InProgress("409"), State.UNKNOWN, 1),
        (Throttled(7.0), State.CREATED, 7),
        (Throttled(None), State.CREATED, PAUSE_S),
        (NotSent("refused"), State.CREATED, 1),
        (Unknown("timeout"), State.UNKNOWN, 10),
    ],
)
def test_the_first_answer(outcome, to, wait_s):
    """Only what surely was not executed goes back to be sent again; and under the same key."""
    step = react(doing(), outcome, RULES)
    assert (step.to, step.wait_s, step.is_new_attempt) == (to, wait_s, False)
    assert to in ARROWS[State.SENDING]


@pytest.mark.parametrize(
    "outcome", [NotSent("refused"), Throttled(7.0), Misconfigured("401"), Unknown("timeout")]
)
def test_a_repeat_that_fails_says_nothing_about_the_first_request(outcome):
    """What was unknown stays unknown, and is never put back to be sent."""
    step = react(doing(State.RESOLVING, tries=1), outcome, RULES)
    assert step.to is State.UNKNOWN
    assert step.wait_s > 0


@pytest.mark.parametrize("outcome", [NotSent("refused"), Throttled(7.0), Misconfigured("401")])
def test_a_refusal_at_the_door_spends_no_wait_of_the_list(outcome):
    """A gateway that is shut for an hour brings no operation nearer to a person's desk."""
    step, waits = react(doing(State.RESOLVING, tries=1), outcome, RULES), []
    for _ in range(len(RULES.retry_s) + len(LATER_S)):
        step = react(doing(State.RESOLVING, tries=step.tries), outcome, RULES)
        waits.append(step.wait_s)
        assert (step.to, step.tries, step.spends) == (State.UNKNOWN, 1, False)
    assert set(waits) == {7.0 if isinstance(outcome, Throttled) else step.wait_s}
    assert react(doing(State.RESOLVING, tries=step.tries), Unknown("timeout"), RULES).wait_s == 60


@pytest.mark.parametrize("outcome", [Throttled(7.0), Misconfigured("401")])
def test_a_request_refused_at_the_door_is_sent_again_as_if_for_the_first_time(outcome):
    """It comes back when the gateway said, spends no attempt, and the waits for what is unknown are whole."""
    step = react(doing(tries=1), outcome, RULES)
    assert (step.to, step.tries, step.spends) == (State.CREATED, 1, False)


@pytest.mark.parametrize(
    "wrong",
    [{"amount_minor": 2000}, {"currency": "USD"}, {"op_id": "another"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_answer_about_something_else_is_not_adopted(wrong):
    """It is unknown what was done, and somebody has to look."""
    step = react(doing(), executed(**wrong), RULES)
    assert (step.to, step.alert) == (State.UNKNOWN, True)


def test_alerts_are_raised_for_what_a_person_must_see():
    """A key used with other parameters, wrong credentials, an answer that is none; not for a timeout."""
    told = (Rejected("x", True), Misconfigured("x"), Unknown("x", True), Rejected("x"), Unknown("x"))
    assert [react(doing(), each, RULES).alert for each in told] == [True, True, True, False, False]


def test_unknown_waits_the_settings_intervals_and_then_longer_ones_until_a_person_has_to_look():
    """10, 60, 300 s, then up to days; in the end needs_review, never failed."""
    waits, now = [], doing()
    while (step := react(now, Unknown("timeout"), RULES)).to is State.UNKNOWN:
        waits.append(step.wait_s)
        now = doing(State.RESOLVING, tries=step.tries)
    assert tuple(waits) == (10, 60, 300, *LATER_S)
    assert (step.to, step.alert) == (State.NEEDS_REVIEW, True)


def test_not_found_is_proof_only_the_third_time_and_late_enough():
    """Three reads in a row, the last one proof_s after the last send; then, and only then, a new key."""
    for reads, since_s, proved in (
        (0, 9999, False),
        (1, 9999, False),
        (2, 899, False),
        (2, 900, True),
        (9, 1, False),
    ):
        step = conclude(doing(State.RESOLVING, reads=reads, since_send_s=since_s), Found(), RULES)
        assert step.is_new_attempt is proved
        assert step.to is (State.CREATED if proved else State.UNKNOWN)
        assert step.reads == (0 if proved else reads + 1)


def test_two_successes_are_for_a_person():
    """A double charge is never papered over."""
    step = conclude(doing(State.RESOLVING), Found((executed(), executed(ref="pi_2"))), RULES)
    assert (step.to, step.alert) == (State.NEEDS_REVIEW, True)


def test_a_success_counts_more_than_the_decline_of_an_earlier_attempt():
    """And such a decline alone says nothing about the attempt in hand."""
    earlier = declined(attempt=1)
    assert conclude(doing(State.RESOLVING), Found((earlier, executed())), RULES).to is State.SUCCEEDED
    assert conclude(doing(State.RESOLVING), Found((earlier,)), RULES).to is State.UNKNOWN
    assert conclude(doing(State.RESOLVING), Found((declined(attempt=2),)), RULES).to is State.DECLINED_SOFT


def test_after_a_lost_ledger_the_gateway_is_asked_before_anything_is_sent():
    """Known there: adopted. Unknown there: free to be sent. No answer: ask again."""
    asking = doing(State.CREATED)
    assert conclude(asking, Found((executed(),)), RULES).to is State.SUCCEEDED
    free = conclude(asking, Found(), RULES)
    assert (free.to, free.wait_s, free.is_new_attempt) == (State.CREATED, 0, False)
    again = conclude(asking, Unknown("timeout"), RULES)
    assert again.to is State.CREATED
    assert again.wait_s > 0


def test_closed_states_are_closed():
    """No arrow leaves a success, an authorization, a hard decline or a rejection; reviews are a person's."""
    assert {state for state in CLOSED if ARROWS[state]} == {State.DECLINED_SOFT, State.NEEDS_REVIEW}
    assert State.CREATED not in ARROWS[State.UNKNOWN]
    assert State.SENDING not in ARROWS[State.UNKNOWN] | ARROWS[State.RESOLVING]
