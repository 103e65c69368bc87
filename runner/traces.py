"""Where OpenTelemetry is found, and what spans of jobs are called. It is imported only when traces are on."""

from typing import TYPE_CHECKING, Any

from .errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

THEIR_CARRIER = "_carrier"
"""The keyword that opentelemetry-instrumentation-arq adds to a job's arguments, with the trace's context."""


def tracer() -> "Tracer":
    """Give the tracer that spans of jobs come from; without an SDK in the process its spans go nowhere.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        what = "tracing"
        raise MissingExtra(what, "otel") from None
    return trace.get_tracer("runner")


def attributes(operation: str, queue: str, task: str) -> dict[str, Any]:
    """Give a span's attributes, by OpenTelemetry's conventions for messaging where those have a word."""
    return {
        "messaging.system": "redis",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": queue,
        "runner.task": task,
    }
