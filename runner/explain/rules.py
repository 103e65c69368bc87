"""The table of reasons: why a job does not run, the most decisive first. A reason is a line of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..job import JobState
from .facts import Explanation, Facts, Gate, Reason, Serving


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of the table.

    Attributes:
        kind: its word.
        applies: whether it does.
        says: the sentence.
        until: when it is over; None: nobody knows.
    """

    kind: str
    applies: Callable[[Facts], Any]
    says: Callable[[Facts], str]
    until: Callable[[Facts], int | None] = lambda _: None


def explained(facts: Facts) -> Explanation:
    """Say why a job does not run; how it ended, or who runs it, where that is so."""
    reasons = tuple(Reason(rule.kind, rule.says(facts), rule.until(facts)) for rule in _applying(facts))
    return Explanation(facts.id, facts.queue, facts.task, facts.state, facts.now_ms, reasons)


def _applying(facts: Facts) -> Iterator[Rule]:
    if facts.state in (JobState.SCHEDULED, JobState.READY):
        yield from (rule for rule in RULES if rule.applies(facts))
    else:
        yield next(rule for rule in NOT_WAITING if rule.applies(facts))


def _is_later(facts: Facts) -> bool:
    return facts.state is JobState.SCHEDULED


def _is_timed(facts: Facts) -> bool:
    """Whether nothing but the time keeps it."""
    return _is_later(facts) and not (facts.waits_for or facts.worker or facts.suspect_since_ms)


def _asked(facts: Facts) -> bool:
    """Whether it left its slot for something that no other line tells of."""
    return _is_later(facts) and bool(facts.waits_for) and not (facts.lock or facts.closed or facts.narrow)


def _due(facts: Facts) -> int | None:
    return facts.due_at_ms


def _error(facts: Facts) -> str:
    return f" ({facts.error})" if facts.error else ""


def _held(facts: Facts) -> str:
    name, holder = facts.lock or ("", None)
    if holder is None:
        return f"lock {name} was busy and is free now; it looks again at {facts.at(facts.due_at_ms)}"
    worker = f" of worker {holder.worker}" if holder.worker else ""
    who = f"lock {name} is held by job {holder.job_id}{worker} since {facts.at(holder.since_ms)}"
    return f"{who}; it looks again at {facts.at(facts.due_at_ms)}"


def _full(facts: Facts) -> list[Serving]:
    able = facts.able
    return able if able and all(worker.running >= worker.max_jobs for worker in able) else []


def _paused(facts: Facts) -> str:
    at_ms, by = facts.paused or (facts.now_ms, "?")
    return f"queue '{facts.queue}' is paused since {facts.at(at_ms)} by {by}: nothing of it starts"


def _unserved(facts: Facts) -> str:
    others = "; ".join(f"{worker.name} serves {', '.join(worker.queues)}" for worker in facts.workers[:5])
    return f"no worker serves queue '{facts.queue}'{f': {others}' if others else ': none is alive'}"


def _grants(facts: Facts) -> str:
    if facts.in_line:
        is_limit = facts.waits_for.startswith("limit ")
        grants = " grants at" if is_limit else "; its turn comes at"
        return f"{facts.waits_for}{grants} {facts.at(facts.due_at_ms)}: its place in line"
    return f"{facts.waits_for}; it asks again at {facts.at(facts.due_at_ms)}"


def _behind(facts: Facts) -> str:
    ahead, what = (facts.ahead, "queue") if facts.lane_ahead is None else (facts.lane_ahead, "lane")
    since = f"it is due since {facts.at(facts.due_at_ms)}"
    if not ahead:
        return f"{since}, and the next of its {what}"
    return f"{since}, behind {ahead:,} job{'s' if ahead > 1 else ''} of its {what}"


def _closed(facts: Facts) -> str:
    said = (
        f"{gate.key} is paused until {facts.at(gate.closed_until_ms)}: {gate.why}"
        if gate.is_asked
        else f"the breaker of {gate.key} is open until {facts.at(gate.closed_until_ms)}: {gate.why}"
        for gate in facts.closed
    )
    return "; ".join(said)


def _opens(facts: Facts) -> int | None:
    return max(gate.closed_until_ms for gate in facts.closed)


def _narrow(facts: Facts) -> str:
    return "; ".join(
        f"{gate.key} lets {gate.at_once:,} run at once{_by(gate)}: {_who(facts, gate)}"
        for gate in facts.narrow
    )


def _by(gate: Gate) -> str:
    what = gate.why or (f"limit {gate.limit}" if gate.limit not in ("", gate.key) else "")
    return f" ({what})" if what else ""


def _who(facts: Facts, gate: Gate) -> str:
    named = [
        f"job {holder.job_id}{f' of worker {holder.worker}' if holder.worker else ''} "
        f"since {facts.at(holder.since_ms)}"
        for holder in gate.holders
    ]
    rest = gate.held - len(named)
    return ", ".join([*named, f"{rest:,} {'more' if named else 'do'}"] if rest else named)


def _ward(facts: Facts) -> str:
    return f"; worker {facts.ward} takes nothing else until then" if facts.ward else ""


def _names(workers: Sequence[Serving]) -> str:
    return ", ".join(worker.name for worker in workers[:5]) + (", …" if len(workers) > 5 else "")


NOT_WAITING: tuple[Rule, ...] = (
    Rule(
        "running",
        lambda f: f.state is JobState.RUNNING,
        lambda f: (
            f"it runs: attempt {f.attempts} on worker {f.worker or '(a stock one)'}"
            + (f" since {f.at(f.since_ms)}" if f.since_ms else "")
            + ("; it is asked to stop" if f.cancel_asked else "")
        ),
    ),
    Rule(
        "unknown",
        lambda f: f.state is JobState.UNKNOWN,
        lambda f: (
            f"the server knows no such job in queue '{f.queue}': it is of another queue, never was, or ended "
            "and its result is not kept"
        ),
    ),
    Rule("ended", lambda f: f.reason, lambda f: f"it has ended: {f.state}, {f.reason}{_error(f)}"),
    Rule("ended", lambda _: True, lambda f: f"it has ended: {f.state}{_error(f)}"),
)
"""Of a job that does not wait: the first that applies."""

RULES: tuple[Rule, ...] = (
    Rule(
        "paused",
        lambda f: f.paused,
        _paused,
    ),
    Rule("unserved", lambda f: not f.serving, _unserved),
    Rule(
        "unknown_task",
        lambda f: f.serving and not f.able,
        lambda f: f"no worker of the queue knows a task '{f.task}': {_names(f.serving)}",
    ),
    Rule(
        "cancelled",
        lambda f: f.cancel_asked,
        lambda _: "somebody asked to cancel it: it ends when a worker takes it",
    ),
    Rule(
        "suspect",
        lambda f: f.suspect_since_ms is not None,
        lambda f: (
            "workers died while they ran it: it waits for one that runs nothing else, since "
            f"{f.at(f.suspect_since_ms)}{_ward(f)}"
        ),
    ),
    Rule(
        "lost",
        lambda f: f.worker and not f.is_leased and f.suspect_since_ms is None,
        lambda f: (
            f"worker {f.worker} had it and did not renew its lease: the next worker that looks takes it"
        ),
    ),
    Rule("lock", lambda f: _is_later(f) and f.lock, _held, _due),
    Rule("closed", lambda f: f.closed, _closed, _opens),
    Rule("narrow", lambda f: f.narrow, _narrow),
    Rule("limit", lambda f: _asked(f) and f.in_line is not None, _grants, _due),
    Rule(
        "snoozed",
        lambda f: _asked(f) and f.in_line is None,
        lambda f: f"{f.waits_for}; it comes back at {f.at(f.due_at_ms)}",
        _due,
    ),
    Rule(
        "retry",
        lambda f: _is_timed(f) and f.attempts > 0,
        lambda f: f"attempt {f.attempts} failed{_error(f)}; the next is due at {f.at(f.due_at_ms)}",
        _due,
    ),
    Rule(
        "due",
        lambda f: _is_timed(f) and f.attempts == 0,
        lambda f: f"it is due at {f.at(f.due_at_ms)}",
        _due,
    ),
    Rule(
        "full",
        lambda f: not _is_later(f) and _full(f),
        lambda f: (
            f"all workers that would take it are full: {_names(_full(f))}, "
            f"{sum(w.running for w in _full(f))} jobs run of {sum(w.max_jobs for w in _full(f))} at once"
        ),
    ),
    Rule("behind", lambda f: not _is_later(f), _behind),
    Rule(
        "expires",
        lambda f: f.expires_at_ms,
        lambda f: f"it ends as expired unless it starts by {f.at(f.expires_at_ms)}",
        lambda f: f.expires_at_ms,
    ),
)
"""Of a job that waits: all that apply."""
