"""A client that makes a span of each enqueue, and sends the trace's context along in the job."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from ..tasks import Task
from ..traces import attributes, tracer
from .bulk import Bulk, Calls
from .client import Client
from .job import Job

P = ParamSpec("P")
R = TypeVar("R")


class TracedClient(Client):
    """Client with producer spans; made when ``traces.enabled`` is set.

    Raises:
        MissingExtra: opentelemetry-api is not installed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        from opentelemetry import propagate, trace

        self._tracer = tracer()
        self._inject = propagate.inject
        self._kind = trace.SpanKind.PRODUCER

    async def enqueue(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        queue = task.placement.queue or task.queue
        named = attributes("send", queue, task.name)
        with self._tracer.start_as_current_span(f"send {queue}", kind=self._kind, attributes=named) as span:
            job = await super().enqueue(task, *args, **kwargs)
            span.set_attribute("messaging.message.id", job.id)
            span.set_attribute("runner.disposition", job.disposition)
            return job

    async def enqueue_many(
        self,
        calls: Calls,
        *,
        bulk_id: str | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Bulk:
        with self._tracer.start_as_current_span("send many", kind=self._kind) as span:
            bulk = await super().enqueue_many(calls, bulk_id=bulk_id, on_progress=on_progress)
            span.set_attributes({"messaging.system": "redis", "messaging.batch.message_count": bulk.created})
            return bulk

    def _carrier(self) -> dict[str, str] | None:
        carrier: dict[str, str] = {}
        self._inject(carrier)
        return carrier or None
