"""What happens, told inside this process: a table of events, and whoever subscribed to them.

    from runner import events
    events.subscribe("job.dead", lambda event: pager.ring(event["job_id"], event["reason"]))

Subscribers are called at once, in the event loop, one after the other: hand slow work to a task of your own.
What one raises is logged and stops nobody else. An event is told where it happened, at least once.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

logger = logging.getLogger("runner.events")

EVENTS: Mapping[str, Mapping[str, str]] = {
    "job.claimed": {
        "job_id": "the job",
        "queue": "name of its queue",
        "late_ms": "how long it had been due, by the server's clock",
        "worker": "name of the worker that has it now",
    },
    "job.ended": {
        "job_id": "the job whose attempt ended; it may run again",
        "queue": "name of its queue",
        "task": "name of its task; empty when the payload does not say",
        "attempt": "number of the attempt",
        "outcome": "how it ended: a value of runner.outcome",
        "due_at_ms": "when it could have started, by the server's clock",
        "enqueued_at_ms": "when it was enqueued, by the enqueuer's clock; 0 when the payload does not say",
        "started_at_ms": "when the call began, by the worker's clock; 0 when it did not begin",
        "ended_at_ms": "when the outcome was decided, by the worker's clock",
        "worker": "name of the worker that ran it",
    },
    "job.stuck": {
        "job_id": "the job whose code went on although it was cancelled; its slot is free again",
        "queue": "key of its queue",
        "task": "name of its task",
        "why": "why it was cancelled: a word of job.CANCEL_REASONS",
        "worker": "name of the worker where that code still runs",
    },
    "job.dead": {
        "job_id": "the job that will not run again unless replayed",
        "queue": "name of its queue",
        "task": "name of its task; empty when the payload does not say",
        "reason": "a word of outcome.DEAD_REASONS",
        "attempts": "how many attempts it had",
        "error": "type of the last error; empty for none",
        "message": "its text",
        "worker": "name of the worker that tells",
    },
    "loop.blocked": {
        "worker": "name of the worker whose event loop did not turn; told when it turns again",
        "job_id": "the job that blocked it; empty for code outside of jobs",
        "task": "name of its task; empty likewise",
        "stack": "where that code was, as text",
        "blocked_ms": "how long the loop did not turn",
    },
    "gate.opened": {
        "gate": "key of the gate that lets nobody through: the other side fails",
        "queue": "name of the queue whose gate it is",
        "until_ms": "server time at which probes are let through",
        "why": "for people",
    },
    "gate.paused": {
        "gate": "key of the gate that lets nobody through: the other side asked for a wait",
        "queue": "name of the queue whose gate it is",
        "until_ms": "server time at which the wait is over",
        "why": "for people",
    },
    "gate.closed": {
        "gate": "key of the gate that lets everybody through again",
        "queue": "name of the queue whose gate it is",
    },
    "schedule.ticked": {
        "schedule": "name of the schedule",
        "tick_ms": "when it was to tick",
        "late_ms": "how much later its job was made",
        "job_id": "that job",
    },
    "schedule.skipped": {
        "schedule": "name of the schedule",
        "tick_ms": "the tick that was left out: the job of an earlier one has not ended",
    },
    "schedule.missed": {
        "schedule": "name of the schedule",
        "ticks": "how many came too late to run",
        "upto_ms": "the tick they came before",
    },
}
"""Every event with its fields and their meaning. ``job.dead`` is worth an alert.

``job.claimed`` and ``job.ended`` come with every attempt: a subscriber to them is on the worker's hot path.
"""

Event = Mapping[str, Any]
Subscriber = Callable[[Event], object]

_subscribers: dict[str, list[Subscriber]] = {name: [] for name in EVENTS}


def subscribe(name: str, subscriber: Subscriber) -> Callable[[], None]:
    """Call ``subscriber`` with the fields of each event of that name.

    Returns:
        A function that ends the subscription; calling it again does nothing.

    Raises:
        ValueError: there is no such event.
    """
    if name not in EVENTS:
        msg = f"there is no event '{name}'; there is {', '.join(EVENTS)}"
        raise ValueError(msg)
    subscribers = _subscribers[name]
    subscribers.append(subscriber)

    def end() -> None:
        if subscriber in subscribers:
            subscribers.remove(subscriber)

    return end


def is_heard(name: str) -> bool:
    """Say whether anybody listens: what is costly to put together is put together only then."""
    return bool(_subscribers[name])


def emit(name: str, **fields: Any) -> None:
    """Tell all subscribers; the fields are those of the table, no more and no less."""
    if fields.keys() != EVENTS[name].keys():
        msg = f"{name} has the fields {', '.join(EVENTS[name])}, not {', '.join(fields)}"
        raise TypeError(msg)
    for subscriber in list(_subscribers[name]):
        try:
            subscriber(fields)
        except Exception:
            logger.exception("a subscriber to %s raised; the others are told all the same", name)
