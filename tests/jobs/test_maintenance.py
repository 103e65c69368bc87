import logging
import time

import pytest

from jobs import maintenance
from jobs.webhook import send_webhook
from runner import Context, Runner, Settings, task
from runner.settings import RedisGroup
from runner.wire.keys import WORKERS, keys_of

KEYS = keys_of("default")


@task(max_tries=1)
async def fail_webhook(ctx: Context, url: str) -> None:
    """Die at once, as a webhook that was given up."""
    raise RuntimeError("410 Gone")


@task
async def hang(ctx: Context) -> None:
    import asyncio

    await asyncio.sleep(3600)


@pytest.fixture
def runner(redis_url):
    settings = Settings(
        redis=RedisGroup(url=redis_url, allow_unsafe_server=True),
        tasks=("jobs.webhook", "jobs.payment", "jobs.maintenance"),
    )
    return Runner(settings, tasks=[fail_webhook, hang])


async def run(runner, call):
    job = (
        await runner.enqueue(call)
        if not isinstance(call, tuple)
        else await runner.enqueue(call[0], **call[1])
    )
    return await job.result(timeout=30)


async def test_every_schedule_of_the_committed_settings_names_a_job_that_is_there():
    """On by default, each with its schedule; nothing is told wrong at start."""
    from pathlib import Path

    from runner.settings import load_settings

    committed = Runner(load_settings(Path(__file__).parents[2] / "settings.toml", environ={}))
    assert {schedule.task for schedule in committed.declared_schedules} == {
        "sweep_retention",
        "resolve_unknown_payments",
        "reconcile_all_payments",
        "report_endpoints",
        "report_stuck_jobs",
    }


async def test_the_sweep_deletes_what_is_old_and_nothing_else(runner, redis):
    """Workers not seen for a day, audit entries older than asked; the young stay."""
    now_ms = time.time_ns() // 1_000_000
    await redis.zadd(WORKERS, {"gone": now_ms - 90_000_000, "here": now_ms})
    await redis.xadd(KEYS.dead_audit, {"verb": "old"}, id=f"{now_ms - 200 * 86_400_000}-1")
    await redis.xadd(KEYS.dead_audit, {"verb": "young"}, id=f"{now_ms}-1")
    async with runner.worker():
        assert await run(runner, maintenance.sweep_retention) == {"dead_letters": 0, "audit": 1, "workers": 1}
    assert await redis.zscore(WORKERS, "gone") is None
    assert await redis.xlen(KEYS.dead_audit) == 1


async def test_payment_jobs_do_nothing_while_no_gateway_is_set(runner):
    """They are scheduled by default; a deployment without payments must not gather dead letters."""
    async with runner.worker():
        assert await run(runner, maintenance.resolve_unknown_payments) == {}
        assert await run(runner, maintenance.reconcile_all_payments) == {}


async def test_endpoints_are_reported_by_host(runner, caplog, wait_until):
    """The host with most webhooks given up first, with its last error."""
    caplog.set_level(logging.INFO, "jobs.maintenance")
    async with runner.worker():
        for url in ("https://a.example/1", "https://a.example/2", "https://b.example/1"):
            job = await runner.enqueue(fail_webhook, url)
            await wait_until(lambda job=job: is_dead(runner, job.id), "a dead letter")
        report = await run(runner, maintenance.report_endpoints)
    assert report["given_up"] == 3
    assert [(each["host"], each["given_up"]) for each in report["endpoints"]] == [
        ("a.example", 2),
        ("b.example", 1),
    ]
    assert "410 Gone" in report["endpoints"][0]["last_error"]
    assert "a.example: 2 given up" in caplog.text


async def is_dead(runner, job_id):
    page = await runner.dead.find()
    return any(letter.id == job_id for letter in page.letters)


async def test_stuck_jobs_and_queues_are_reported_and_delivered(runner, redis, wait_until):
    """What runs too long, by worker; what waits too long, by queue; the report goes out as a webhook."""
    past_ms = time.time_ns() // 1_000_000 - 3_600_000
    await redis.zadd(keys_of("bulk").queue, {"waits": past_ms})
    await redis.set(keys_of("bulk").job("waits"), b"{}")
    async with runner.worker(queues=["default"]):
        job = await runner.enqueue(hang)
        await wait_until(lambda: redis.hexists(KEYS.running, job.id), "it runs")
        told = {"running_s": 0.0, "webhook": "https://ops.example/hook"}
        report = await run(runner, (maintenance.report_stuck_jobs, told))
        assert [(each["task"], each["queue"]) for each in report["running"] if each["id"] == job.id] == [
            ("hang", "default")
        ]
        [waiting] = report["waiting"]
        assert (waiting["queue"], waiting["id"], waiting["jobs"]) == ("bulk", "waits", 1)
        assert waiting["for_s"] >= 3599
        keys = await redis.keys("arq:job:report:*")
        assert len(keys) == 1, f"{send_webhook.name} was enqueued"
        await job.cancel()
