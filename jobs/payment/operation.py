"""What follows from what a gateway says of an operation. Pure: no clock, no I/O.

``react`` is for the answer to a request, ``conclude`` for what a lookup found; each gives the Step to write.
"""

from dataclasses import dataclass, replace

from .declines import Decline
from .gateway import (
    Declined,
    Executed,
    Found,
    InProgress,
    Misconfigured,
    NotSent,
    Order,
    Outcome,
    Rejected,
    Throttled,
    Unknown,
)
from .state import State

LATER_S = (900, 3600, 4 * 3600, 12 * 3600, *(7 * (86_400,)))
"""Waits of an unknown operation after those of the settings; then a person has to look."""

PAUSE_S = 30.0
ASK_S = 30.0
PROOF_READS = 3


@dataclass(frozen=True, slots=True)
class Rules:
    """What is known of a gateway and how patient to be.

    Attributes:
        retry_s: waits before each look at an operation whose outcome is unknown; LATER_S follow.
        proof_s: an operation counts as not executed when this long after its last send it is still not found,
            the third time in a row. At least the gateway's timeout plus the lag of its index.
    """

    retry_s: tuple[float, ...] = (10, 60, 300)
    proof_s: float = 900


@dataclass(frozen=True, slots=True)
class Doing:
    """What a step has to know of an operation in hand.

    Attributes:
        order: what is asked.
        state: SENDING, or what it is while somebody looks: CREATED, RESOLVING, PENDING, REQUIRES_ACTION.
        tries: how often it was looked at since it was last sent.
        reads: how often in a row it was not found.
        since_send_s: since it was last sent.
    """

    order: Order
    state: State
    tries: int = 0
    reads: int = 0
    since_send_s: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to write down, and when to come back.

    Attributes:
        to: the next state.
        wait_s: until it is worth doing something again; None when it is not.
        spends: whether the wait counts as an attempt of the job.
        reason: for people.
        alert: somebody has to look.
        pause_s: nothing new is to be sent to this gateway for so long.
        ref: the gateway's name of the operation, when it has been told.
        reads: see Doing.
        tries: see Doing.
        is_new_attempt: it is proved that nothing was executed, so the next send has a new key.
        decline: of a declined one.
        next_action: of one that requires action.
        evidence: what was seen.
    """

    to: State
    wait_s: float | None = None
    spends: bool = True
    reason: str = ""
    alert: bool = False
    pause_s: float = 0
    ref: str = ""
    reads: int = 0
    tries: int = 0
    is_new_attempt: bool = False
    decline: Decline | None = None
    next_action: str = ""
    evidence: str = ""


def react(doing: Doing, outcome: Outcome, rules: Rules) -> Step:
    """Say what follows the answer to a request, the first one or a repeat under the same key.

    That nothing left this process, or that it was refused at the door, proves something only of this request:
    of a repeat it says nothing about the first.
    """
    match outcome:
        case Executed():
            return adopt(doing, outcome, rules)
        case Declined(decline=decline) if decline.kind == "duplicate":
            return _unknown(doing, rules, f"declined as {decline.code}: perhaps it is ours")
        case Declined():
            return _declined(outcome)
        case Rejected(reason, is_bug):
            return Step(to=State.REJECTED, reason=reason, alert=is_bug, evidence=reason)
        case InProgress(reason):
            step = _unknown(doing, rules, reason)
            return replace(step, wait_s=step.wait_s and min(step.wait_s, 2.0 ** min(doing.tries, 8)))
        case Unknown(reason, is_alarming):
            step = _unknown(doing, rules, reason)
            return replace(step, alert=step.alert or is_alarming)
        case _ if doing.state is State.SENDING:
            return _put_back(doing, outcome, rules)
        case _:
            wait_s = _rest(outcome, rules.retry_s[0])
            step = _again(doing, outcome.reason, wait_s, alert=isinstance(outcome, Misconfigured))
            return replace(step, tries=doing.tries)  # nothing was asked: the list stays where it is


def conclude(
    doing: Doing, found: Found | Misconfigured | Throttled | NotSent | Unknown, rules: Rules
) -> Step:
    """Say what follows a lookup."""
    match found:
        case Unknown(reason):
            return replace(_unknown(doing, rules, f"asked, and {reason}"), reads=doing.reads)
        case Misconfigured() | Throttled() | NotSent():
            return react(doing, found, rules)
        case Found() if len(found.successes) > 1:
            refs = ", ".join(each.ref for each in found.successes)
            reason = f"the gateway executed it {len(found.successes)} times: {refs}"
            return Step(to=State.NEEDS_REVIEW, reason=reason, alert=True, evidence=reason)
        case Found():
            seen = _of_this_attempt(doing, found)
            if seen is None:
                return _absent(doing, rules)
            return adopt(doing, seen, rules) if isinstance(seen, Executed) else _declined(seen)


def adopt(doing: Doing, seen: Executed, rules: Rules) -> Step:
    """Make the gateway's word ours, unless it is about something else than was asked."""
    order = doing.order
    wrong = [
        f"{name} {theirs!r} instead of {ours!r}"
        for name, theirs, ours in (
            ("amount", seen.amount_minor, order.amount_minor),
            ("currency", seen.currency, order.currency),
            ("op_id", seen.op_id or order.op_id, order.op_id),
        )
        if theirs != ours
    ]
    if wrong:
        return replace(_unknown(doing, rules, f"the gateway answered with {'; '.join(wrong)}"), alert=True)
    to = State(seen.status)
    waits = to in (State.PENDING, State.REQUIRES_ACTION)
    return Step(
        to=to,
        wait_s=_wait(doing, rules) or LATER_S[-1] if waits else None,
        spends=False,
        reason=f"the gateway says {seen.status}",
        ref=seen.ref,
        tries=doing.tries + 1 if waits else 0,
        next_action=seen.next_action,
        evidence=seen.evidence,
    )


def _of_this_attempt(doing: Doing, found: Found) -> Executed | Declined | None:
    """Prefer the success; a decline counts only when it is of the attempt in hand, not of an earlier one."""
    if found.successes:
        return found.successes[0]
    declined = [each for each in found.outcomes if each.attempt in (0, doing.order.attempt)]
    return declined[-1] if declined else None


def _declined(seen: Declined) -> Step:
    to = State.DECLINED_SOFT if seen.decline.is_soft else State.DECLINED_HARD
    return Step(
        to=to,
        reason=f"declined: {seen.decline.code}",
        ref=seen.ref,
        decline=seen.decline,
        evidence=seen.evidence,
    )


def _absent(doing: Doing, rules: Rules) -> Step:
    reads = doing.reads + 1
    if doing.state is State.CREATED:
        return Step(to=State.CREATED, wait_s=0, spends=False, reason="never executed before")
    if doing.state is State.RESOLVING and reads >= PROOF_READS and doing.since_send_s >= rules.proof_s:
        reason = f"not executed: not found {reads} times, {doing.since_send_s:.0f} s after the last send"
        return Step(to=State.CREATED, wait_s=0, reason=reason, is_new_attempt=True, evidence=reason)
    return replace(_unknown(doing, rules, "the gateway does not know it (yet)"), reads=reads)


def _unknown(doing: Doing, rules: Rules, reason: str) -> Step:
    if doing.state in (State.PENDING, State.REQUIRES_ACTION, State.CREATED):
        return _again(doing, reason, _wait(doing, rules) or ASK_S)
    if doing.state is State.SENDING:
        doing = replace(doing, tries=0)
    wait_s = _wait(doing, rules)
    if wait_s is None:
        gone = f"unknown for too long, last: {reason}"
        return Step(to=State.NEEDS_REVIEW, reason=gone, alert=True, evidence=reason)
    return Step(to=State.UNKNOWN, wait_s=wait_s, reason=reason, tries=doing.tries + 1, evidence=reason)


def _again(doing: Doing, reason: str, wait_s: float, *, alert: bool = False) -> Step:
    """Look again later; what is not known stays as unknown as it is."""
    to = State.UNKNOWN if doing.state is State.RESOLVING else doing.state
    return Step(
        to=to,
        wait_s=wait_s,
        spends=False,
        reason=reason,
        alert=alert,
        reads=doing.reads,
        tries=doing.tries + 1,
        evidence=reason,
    )


def _put_back(doing: Doing, refusal: Misconfigured | Throttled | NotSent, rules: Rules) -> Step:
    """Say when to send again, under the same key, what surely was not executed."""
    step = Step(to=State.CREATED, reason=refusal.reason, tries=doing.tries, evidence=refusal.reason)
    if isinstance(refusal, NotSent):
        wait_s = min(rules.retry_s[-1], 2.0 ** min(doing.tries, 30))
        return replace(step, wait_s=wait_s, tries=doing.tries + 1)
    wait_s = _rest(refusal, 0)
    is_fault = isinstance(refusal, Misconfigured)
    return replace(step, wait_s=wait_s, pause_s=wait_s, spends=False, alert=is_fault)


def _rest(refusal: Misconfigured | Throttled | NotSent, unsent_s: float) -> float:
    """Give how long a gateway is to be left alone after it refused at the door."""
    match refusal:
        case NotSent():
            return unsent_s
        case Throttled(wait_s) if wait_s is not None:
            return wait_s
        case _:
            return PAUSE_S


def _wait(doing: Doing, rules: Rules) -> float | None:
    waits = (*rules.retry_s, *LATER_S)
    return waits[doing.tries] if doing.tries < len(waits) else None
