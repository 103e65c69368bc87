"""Sentry's arq integration over our Worker: final failures once, nothing else, scopes kept apart."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import arq.connections
import arq.worker
import pytest
import sentry_sdk
import sentry_sdk.transport
from sentry_sdk.integrations import arq as sentry_arq

from runner import GiveUp, Retry, Snooze, backoff, task
from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.wire import deserialize, serialize


class Kept(sentry_sdk.transport.Transport):
    """Keeps events instead of sending them."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.get_event() for item in envelope.items if item.get_event()]


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Switched on as in an application: it patches arq; all of that is undone."""
    monkeypatch.setattr(arq.worker, "Worker", Worker)
    for owner, name in (
        (arq.worker, "create_worker"),
        (arq.connections.ArqRedis, "enqueue_job"),
        (sentry_arq.Worker, "run_job"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    transport = Kept()
    patched = sentry_sdk.integrations._installed_integrations
    sentry_sdk.init(
        dsn="https://key@localhost/1", transport=transport, integrations=[sentry_arq.ArqIntegration()]
    )
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.init()
    patched.discard("arq")
    sentry_sdk.integrations._processed_integrations.discard("arq")


NOW = backoff.constant(0)


@task(retry=NOW, max_tries=3)
async def always_fails(ctx: Any) -> None:
    raise ValueError("always")


@task(retry=NOW, max_tries=3)
async def fails_once(ctx: Any) -> int:
    if ctx.attempt == 1:
        raise ValueError("once")
    return 1


@task
async def asks(ctx: Any, how: str) -> int:
    if ctx.attempt == 1 and not ctx["asked"].get(ctx.job_id):
        ctx["asked"][ctx.job_id] = True
        raise {"retry": Retry(0), "snooze": Snooze(0), "arq": arq.Retry(defer=0)}[how]
    return 1


@task
async def gives_up(ctx: Any) -> None:
    raise GiveUp("no use")


@task(retry=NOW, max_tries=1)
async def tagged(ctx: Any, tag: str) -> None:
    sentry_sdk.set_tag("mine", tag)
    sentry_sdk.add_breadcrumb(message=tag)
    for _ in range(5):
        await asyncio.sleep(0)
    raise ValueError(tag)


async def run(yard: Any, *tasks: Any) -> None:
    """Build as `arq runner.WorkerSettings` does: through the attribute arq.worker.create_worker."""
    settings = type("Settings", (), {"functions": [function_of(each) for each in tasks]})
    worker = arq.worker.create_worker(
        settings,
        redis_pool=yard.pool(),
        burst=True,
        max_jobs=100,
        poll_delay=0.01,
        handle_signals=False,
        engine=EngineOptions(speaks_json=True),
        job_serializer=serialize,
        job_deserializer=deserialize,
        ctx={"asked": {}},
    )
    assert isinstance(worker, Worker)
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(worker.main(), 30)
    await worker.close()


def errors(sentry: Kept) -> list[str]:
    return [event["exception"]["values"][-1]["value"] for event in sentry.events if "exception" in event]


async def test_a_final_failure_is_one_event(yard: Any, sentry: Kept) -> None:
    """Three attempts, one event: the last; with the job's id, and marked as a retry."""
    job = await yard.put(always_fails)
    await run(yard, always_fails)
    assert errors(sentry) == ["always"]
    assert len(sentry.events) == 1
    assert sentry.events[0]["tags"] == {"arq_task_id": job, "arq_task_retry": True}
    assert await yard.state(job) == "dead"


async def test_what_is_retried_snoozed_or_asked_for_again_is_no_event(yard: Any, sentry: Kept) -> None:
    """Control flow and failures that pass are not reported."""
    jobs = [await yard.put(fails_once), *[await yard.put(asks, how) for how in ("retry", "snooze", "arq")]]
    await run(yard, fails_once, asks)
    assert {await yard.state(job) for job in jobs} == {"succeeded"}
    assert sentry.events == []


async def test_giving_up_is_an_event(yard: Any, sentry: Kept) -> None:
    """It is final."""
    await yard.put(gives_up)
    await run(yard, gives_up)
    assert errors(sentry) == ["no use"]


async def test_concurrent_jobs_keep_their_scopes_apart(yard: Any, sentry: Kept) -> None:
    """Tags, breadcrumbs and job ids of one job never show on another's event."""
    jobs = {await yard.put(tagged, f"t{n}"): f"t{n}" for n in range(20)}
    await run(yard, tagged)
    assert sorted(errors(sentry)) == sorted(jobs.values())
    for event in sentry.events:
        tag = jobs[event["tags"]["arq_task_id"]]
        assert event["tags"]["mine"] == tag
        assert [crumb["message"] for crumb in event["breadcrumbs"]["values"] if crumb["type"] == "default"][
            -1
        ] == tag
        assert event["extra"]["arq-job"]["task"] == "tagged"


async def test_our_own_log_lines_are_no_second_event(yard: Any, sentry: Kept) -> None:
    """Sentry's logging integration reports ERROR lines: a dead job is a WARNING of ours."""
    logging.getLogger("runner.job").setLevel(logging.INFO)
    await yard.put(gives_up)
    await run(yard, gives_up)
    assert len(sentry.events) == 1
