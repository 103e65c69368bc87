"""Spans of enqueues and attempts, asserted with the SDK's in-memory exporter."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from runner import GiveUp, PayloadTooLarge, Runner, Settings, Snooze, backoff, task
from runner.errors import MissingExtra
from runner.traces import tracer
from runner.wire import serialize
from runner.wire.codec import decode_job

Spans = Callable[[], list[ReadableSpan]]


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """The provider of a process can be set once; tests of this module share it."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> Iterator[Spans]:
    exporter.clear()
    yield lambda: list(exporter.get_finished_spans())
    exporter.clear()


@pytest.fixture
def make_runner(redis_url: str) -> Callable[..., Runner]:
    def make(*tasks: Any, enabled: bool = True, **settings: Any) -> Runner:
        given = {"redis": {"url": redis_url}, "tasks": (), "worker": {"queues": {"default": 1}, "grace": 0}}
        traces = {"enabled": enabled}
        return Runner(Settings.model_validate({**given, "traces": traces, **settings}), tasks=tasks)

    return make


@task
async def fine(ctx, number: int = 0) -> int:
    return number


@task(retry=backoff.constant(0), max_tries=2)
async def fails_once(ctx) -> None:
    if ctx.attempt == 1:
        raise ConnectionError("once")


@task
async def gives_up(ctx) -> None:
    raise GiveUp("no use")


@task
async def snoozes_once(ctx) -> None:
    if not ctx.running.snoozes:
        raise Snooze(0)


@task
async def enqueues(ctx) -> None:
    await ctx.enqueue(fine, 1)


async def ran(runner: Runner, job: Any, spans: Spans, count: int) -> dict[str, list[ReadableSpan]]:
    """Run until so many spans have ended; gives them by name."""
    async with runner.worker():
        await job.result(timeout=30)
    found: dict[str, list[ReadableSpan]] = {}
    for span in spans():
        found.setdefault(span.name, []).append(span)
    assert len(spans()) == count, sorted(found)
    return found


async def test_an_attempt_is_a_child_of_its_enqueue(make_runner, spans):
    """One trace from the request to the job, with the words of OpenTelemetry's messaging conventions."""
    async with make_runner(fine) as runner:
        with trace.get_tracer("app").start_as_current_span("POST /orders") as request:
            job = await runner.enqueue(fine, 7)
        found = await ran(runner, job, spans, 3)
    [send], [process] = found["send default"], found["process fine"]
    assert send.parent is not None
    assert process.parent is not None
    assert send.parent.span_id == request.get_span_context().span_id
    assert process.parent.span_id == send.context.span_id
    assert process.context.trace_id == request.get_span_context().trace_id
    assert (send.kind, process.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    common = {
        "messaging.system": "redis",
        "messaging.destination.name": "default",
        "messaging.message.id": job.id,
        "runner.task": "fine",
    }
    sent, processed = (
        {"messaging.operation.name": word, "messaging.operation.type": word} for word in ("send", "process")
    )
    assert dict(send.attributes or {}) == {**common, **sent, "runner.disposition": "created"}
    outcome = {"runner.attempt": 1, "runner.outcome": "succeeded"}
    assert dict(process.attributes or {}) == {**common, **processed, **outcome}
    assert process.status.status_code is StatusCode.UNSET


async def test_a_later_attempt_is_linked_and_not_a_child(make_runner, spans, exporter):
    """A retry, and a job that comes back from a snooze, are traces of their own: nobody waits for them."""
    clear = exporter.clear
    async with make_runner(fails_once, snoozes_once) as runner:
        for each, outcome in ((fails_once, "retrying"), (snoozes_once, "snoozed")):
            job = await runner.enqueue(each)
            found = await ran(runner, job, spans, 3)
            clear()
            [send], (first, second) = found["send default"], found[f"process {each.name}"]
            assert first.parent.span_id == send.context.span_id
            assert first.attributes["runner.outcome"] == outcome
            assert second.parent is None
            assert second.context.trace_id != send.context.trace_id
            assert [link.context.span_id for link in second.links] == [send.context.span_id]


async def test_a_delayed_job_is_linked(make_runner, spans, redis):
    """A trace does not stay open for the hours that a job waits on purpose."""
    async with make_runner(fine) as runner:
        job = await runner.enqueue(fine.using(delay=3600))
        payload = decode_job(await redis.get(f"arq:job:{job.id}"))
        assert payload.m.c["traceparent"].split("-")[2]
        # Let it have been enqueued two hours ago instead of waiting for one.
        raw = (await redis.get(f"arq:job:{job.id}")).replace(
            str(payload.et).encode(), str(payload.et - 7_200_000).encode()
        )
        await redis.set(f"arq:job:{job.id}", raw)
        await redis.zincrby("arq:queue", -3_600_000, job.id)
        found = await ran(runner, job, spans, 2)
    [send], [process] = found["send default"], found["process fine"]
    assert process.parent is None
    assert [link.context.span_id for link in process.links] == [send.context.span_id]


async def test_what_went_wrong_is_recorded(make_runner, spans):
    """An attempt that fails is an error with its exception, whether it is the last or another one follows."""
    async with make_runner(fails_once, gives_up) as runner:
        await ran(runner, await runner.enqueue(fails_once), spans, 3)
        dead = await runner.enqueue(gives_up)
        with pytest.raises(Exception, match="no use"):
            await ran(runner, dead, spans, 5)
    failed = {s.name: s for s in spans() if s.events}
    retried, buried = failed["process fails_once"], failed["process gives_up"]
    for span, kind in ((retried, "ConnectionError"), (buried, "GiveUp")):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == kind
        assert span.events[0].attributes["exception.type"].endswith(kind)
    assert buried.attributes["runner.dead.reason"] == "gave_up"


async def test_a_refused_enqueue_is_an_error_of_its_span(make_runner, spans):
    """Nothing was sent, and the trace says why."""
    async with make_runner(fine, limits={"payload": 100}) as runner:
        with pytest.raises(PayloadTooLarge):
            await runner.enqueue(fine, 10**100)
    [send] = spans()
    assert send.status.status_code is StatusCode.ERROR
    assert send.events[0].attributes["exception.type"].endswith("PayloadTooLarge")


async def test_many_are_one_span_that_all_carry(make_runner, spans, wait_until):
    """A batch has one producer span with its count; each job is a child of it."""
    async with make_runner(fine) as runner:
        await runner.enqueue_many(fine.call(n) for n in range(3))
        [many] = spans()
        async with runner.worker():
            await wait_until(lambda: len(spans()) == 4, "three jobs have run")
    assert many.attributes["messaging.batch.message_count"] == 3
    children = [s for s in spans() if s.name == "process fine"]
    assert [s.parent.span_id for s in children] == [many.context.span_id] * 3


async def test_what_a_job_enqueues_is_below_it(make_runner, spans, wait_until):
    """A job's own enqueue is a child of its attempt, and the next job of that."""
    async with make_runner(enqueues, fine) as runner:
        job = await runner.enqueue(enqueues)
        async with runner.worker():
            await job.result(timeout=30)
            await wait_until(lambda: any(s.name == "process fine" for s in spans()), "the inner job has run")
    by_name = {s.name if s.parent else "first": s for s in spans()}
    inner = next(s for s in spans() if s.name == "send default" and s.parent)
    assert inner.parent.span_id == by_name["process enqueues"].context.span_id
    assert by_name["process fine"].parent.span_id == inner.context.span_id


@pytest.mark.parametrize(
    "carrier", [{"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, {"traceparent": 5}, "x", None]
)
async def test_another_instrumentations_carrier_is_no_argument(make_runner, spans, redis, carrier):
    """opentelemetry-instrumentation-arq adds a keyword to every job of an instrumented arq client.

    A worker without it would die of an unexpected argument: it is taken for the context that it is, and what
    is no context costs the job nothing.
    """
    data = {"t": None, "f": "fine", "a": [3], "k": {"_carrier": carrier}, "et": 1}
    async with make_runner(fine) as runner:
        job = runner.job("theirs", task=fine)
        await redis.set("arq:job:theirs", serialize(data))
        await redis.zadd("arq:queue", {"theirs": 1})
        async with runner.worker():
            assert await job.result(timeout=30) == 3
    [process] = spans()
    is_context = isinstance(carrier, dict) and isinstance(carrier["traceparent"], str)
    assert [f"{link.context.trace_id:x}" for link in process.links] == []
    assert (process.parent is not None) == is_context
    if is_context:
        assert f"{process.context.trace_id:x}" == "a" * 32


async def test_traces_that_are_off_leave_nothing(make_runner, spans, redis):
    """No span, no context in the job, and not one class of it in the way."""
    async with make_runner(fine, enabled=False) as runner:
        with trace.get_tracer("app").start_as_current_span("request"):
            job = await runner.enqueue(fine, 1)
        assert b'"c"' not in await redis.get(f"arq:job:{job.id}")
        await ran(runner, job, spans, 1)


def test_the_missing_library_is_one_sentence(monkeypatch):
    """opentelemetry-api is an extra."""
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry", None)
    with pytest.raises(MissingExtra, match="tracing needs the extra 'otel'"):
        tracer()
