"""A span around each attempt, outermost: a child of the enqueue, or linked to it when it comes later."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..job import Attempt
from ..outcome import Dead, Failed, Outcome, Retrying
from ..traces import attributes, tracer
from ..wire.keys import name_of
from .chain import CallNext

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

LATER_MS = 1000
"""A job that is due so long after its enqueue was delayed: its trace would be open all that time."""


class Tracing:
    """Makes a consumer span of each attempt.

    Its parent is the span that enqueued the job. An attempt of a delayed job, a retry, or one after a snooze
    begins a trace of its own, with a link to that span: nobody waits for it there.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """

    def __init__(self) -> None:
        self._tracer = tracer()

    async def __call__(self, attempt: Attempt, call_next: CallNext) -> Outcome:
        from opentelemetry.trace import SpanKind

        queue = name_of(attempt.queue)
        parent, links = _origin(attempt)
        with self._tracer.start_as_current_span(
            f"process {attempt.task}",
            context=parent,
            kind=SpanKind.CONSUMER,
            links=links,
            attributes={
                **attributes("process", queue, attempt.task),
                "messaging.message.id": attempt.job_id,
                "runner.attempt": attempt.number,
            },
        ) as span:
            outcome = await call_next(attempt)
            _note(span, outcome)
            return outcome


def _origin(attempt: Attempt) -> "tuple[Context, Sequence[Link]]":
    """Give the context to run in, and the links: the enqueue's span is in one of the two, if it is known."""
    from opentelemetry import propagate, trace
    from opentelemetry.context import Context

    carrier: dict[str, str] = getattr(attempt.meta, "c", None) or {}
    parent = propagate.extract(carrier, context=Context())
    origin = trace.get_current_span(parent).get_span_context()
    came_late = attempt.due_at_ms - attempt.enqueued_at_ms >= LATER_MS
    if not origin.is_valid or not (came_late or attempt.number > 1 or attempt.snoozes):
        return parent, ()
    return Context(), (trace.Link(origin),)


def _note(span: Any, outcome: Outcome) -> None:
    """Record how it ended. What the task raised is an error, also where another attempt follows."""
    from opentelemetry.trace import StatusCode

    span.set_attribute("runner.outcome", type(outcome).__name__.lower())
    match outcome:
        case Dead(reason, error):
            span.set_attribute("runner.dead.reason", reason)
        case Retrying(error=error) | Failed(error):
            pass
        case _:
            return
    if error is not None:
        span.record_exception(error)
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(StatusCode.ERROR, type(error).__qualname__)
