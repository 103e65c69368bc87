"""What a worker counts, read back by Prometheus' own parser."""

import asyncio
import time

import pytest

from runner import GiveUp, RateLimit, Snooze, backoff, events, task
from runner.breaker import Breaker
from runner.errors import ServerUnreachable
from runner.health import door, meter
from runner.health.meter import MOST_VALUES, Names
from runner.health.table import QUEUE_METRICS
from runner.standing import depths

NOW = backoff.constant(0)


@task
async def fine(ctx) -> int:
    return 1


@task(retry=NOW)
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


@task(rate_limit=RateLimit("slow", "5/s", burst=1))
async def limited(ctx) -> None: ...


@task
async def never_enqueued(ctx) -> None: ...


async def test_each_way_to_end_is_counted(measured, samples):
    """Attempts by outcome, retries and deaths by reason, limiter waits and three histograms by task."""
    async with measured(fine, fails_once, gives_up, snoozes_once, limited, never_enqueued) as runner:
        jobs = [await runner.enqueue(each) for each in (fine, fine, fails_once, gives_up, snoozes_once)]
        jobs += [await runner.enqueue(limited), await runner.enqueue(limited)]
        await asyncio.gather(*(job.result(timeout=30) for job in jobs), return_exceptions=True)
        found = samples(await runner.health.metrics_text())
    attempts = {name: value for name, value in found.items() if name.startswith("runner_attempts_total")}
    waits = found['runner_limiter_waits_total{task="limited"}']
    assert attempts == {
        'runner_attempts_total{outcome="succeeded",task="fine"}': 2,
        'runner_attempts_total{outcome="retrying",task="fails_once"}': 1,
        'runner_attempts_total{outcome="succeeded",task="fails_once"}': 1,
        'runner_attempts_total{outcome="dead",task="gives_up"}': 1,
        'runner_attempts_total{outcome="snoozed",task="snoozes_once"}': 1,
        'runner_attempts_total{outcome="succeeded",task="snoozes_once"}': 1,
        'runner_attempts_total{outcome="queued",task="limited"}': waits,
        'runner_attempts_total{outcome="succeeded",task="limited"}': 2,
    }
    assert waits >= 1
    assert found['runner_limiter_wait_seconds_count{task="limited"}'] == waits
    assert found['runner_retries_total{reason="ConnectionError",task="fails_once"}'] == 1
    assert found['runner_dead_total{reason="gave_up",task="gives_up"}'] == 1
    for name in ("wait", "run"):
        assert found[f'runner_job_{name}_seconds_count{{task="fails_once"}}'] == 2
    assert found['runner_job_total_seconds_count{task="fails_once"}'] == 1
    assert found['runner_claims_total{queue="default"}'] == sum(attempts.values())
    assert found['runner_claim_latency_seconds_count{queue="default"}'] == sum(attempts.values())
    assert (found["runner_jobs_in_flight"], found["runner_slots"]) == (0, 100)
    assert not any("never_enqueued" in name for name in found), "what did not happen makes no series"


async def test_lateness_is_measured_from_due(make_runner, samples, redis):
    """A job that was due a minute ago: to its claim, and to its start; from its enqueue it took no minute."""
    runner = make_runner(fine)
    async with runner:
        runner.health.meter.start()
        job = await runner.enqueue(fine)
        await redis.zincrby("arq:queue", -60_000, job.id)
        async with runner.worker():
            await job.result(timeout=30)
            found = samples(await runner.health.metrics_text())
    for name in (
        'runner_claim_latency_seconds_sum{queue="default"}',
        'runner_job_wait_seconds_sum{task="fine"}',
    ):
        assert 60 <= found[name] < 70
    assert 0 <= found['runner_job_total_seconds_sum{task="fine"}'] < 10


async def test_what_runs_is_counted_while_it_runs(measured, samples):
    """In flight is read at the scrape, not added up from events."""
    started, go = asyncio.Event(), asyncio.Event()

    @task
    async def waits(ctx) -> None:
        started.set()
        await go.wait()

    async with measured(waits) as runner:
        job = await runner.enqueue(waits)
        await started.wait()
        found = samples(await runner.health.metrics_text())
        go.set()
        await job.result(timeout=30)
    assert found["runner_jobs_in_flight"] == 1
    assert found['runner_queue_running{queue="default"}'] == 1


async def test_a_task_nobody_declared_makes_no_series_of_its_own(measured, samples):
    """Names come from whoever can enqueue: thousands of them cannot fill Prometheus."""
    settings = {"worker": {"queues": {"default": 1}, "unknown_task_grace": 0, "grace": 0}}
    ghosts = [task(name=f"ghost {n}")(fine.fn) for n in range(30)]
    async with measured(fine, **settings) as runner:
        jobs = [await runner.enqueue(ghost) for ghost in ghosts]
        await asyncio.gather(*(job.result(timeout=30) for job in jobs), return_exceptions=True)
        found = samples(await runner.health.metrics_text())
    assert found['runner_dead_total{reason="unknown_task",task="other"}'] == 30
    assert not any("ghost" in name for name in found)


def test_a_label_has_a_bounded_number_of_values():
    """Reasons of retries are texts of tasks: the first hundred short ones count, the rest are `other`."""
    names = Names()
    assert [names.of(f"r{n}") for n in range(MOST_VALUES + 2)][-3:] == [
        f"r{MOST_VALUES - 1}",
        "other",
        "other",
    ]
    assert names.of("r0") == "r0"
    assert Names().of("x" * 101) == Names().of("") == "other"


async def test_queues_are_measured_as_the_server_holds_them(make_runner, samples, redis):
    """Ready, scheduled and dead apart, and how long the first job has been due."""
    runner = make_runner(fine)
    async with runner:
        await runner.enqueue(fine.using(delay=3600))
        for _ in range(3):
            await runner.enqueue(fine)
        [first] = await redis.zrange("arq:queue", 0, 0)
        await redis.zincrby("arq:queue", -60_000, first)
        found = samples(await runner.health.metrics_text())
        [depth] = await depths(runner.client.execute, ["default"], "classic")
        scale = await runner.health.scale()
    queue = {name.partition("{")[0]: value for name, value in found.items() if 'queue="default"' in name}
    assert queue.keys() == QUEUE_METRICS.keys() - {"runner_server_up"}
    assert (queue["runner_queue_ready"], queue["runner_queue_scheduled"]) == (3, 1)
    assert (queue["runner_queue_running"], queue["runner_queue_dead"]) == (0, 0)
    assert 60 <= queue["runner_queue_oldest_ready_seconds"] <= depth.oldest_ready_s < 70
    assert found["runner_server_up"] == 1
    assert (scale["backlog"], scale["workers"], scale["queues"]) == (
        3,
        1,
        {"default": {"ready": 3, "running": 0}},
    )


async def test_a_server_that_is_away_costs_the_queues_and_nothing_else(
    make_runner, samples, restartable_server, monkeypatch
):
    """The scrape still succeeds: up is 0, what the process counted stays, the queues' series end."""
    monkeypatch.setattr(door, "ANSWER_S", 0.2)
    runner = make_runner(fine, redis={"url": restartable_server.url})
    async with runner:
        assert samples(await runner.health.metrics_text())["runner_server_up"] == 1
        assert (await runner.health.readiness()).ready
        restartable_server.kill9()
        found, readiness = await asyncio.gather(runner.health.metrics_text(), runner.health.readiness())
        with pytest.raises((TimeoutError, ServerUnreachable)):
            await runner.health.scale()
    assert samples(found)["runner_server_up"] == 0
    assert not any(name.startswith("runner_queue") for name in samples(found))
    assert not readiness.ready
    assert "the server does not answer" in readiness.reasons[0]


async def test_gates_and_schedules_are_counted(measured, samples, wait_until):
    """A breaker that opens, by its gate; ticks by how late they were, and those that did not happen."""

    @task(breaker=Breaker("shop", open_after=1), retry=backoff.constant(0), max_tries=1)
    async def calls(ctx) -> None:
        raise ConnectionRefusedError

    async with measured(calls) as runner:
        await runner.enqueue(calls)
        opened = 'runner_gate_changes_total{change="opened",gate="shop"}'

        async def read() -> dict[str, float]:
            found = samples(await runner.health.metrics_text())
            return found if found.get(opened) else {}

        await wait_until(read, "the gate opens")
        found = samples(await runner.health.metrics_text())  # the queues are read before events are counted
        assert found['runner_queue_gates_held{queue="default"}'] == 1
        events.emit("schedule.ticked", schedule="nightly", tick_ms=1, late_ms=250, job_id="j")
        events.emit("schedule.missed", schedule="nightly", ticks=3, upto_ms=1)
        events.emit("schedule.skipped", schedule="nightly", tick_ms=1)
        found = samples(await runner.health.metrics_text())
    assert found['runner_schedule_lateness_seconds_sum{schedule="nightly"}'] == 0.25
    assert found['runner_schedule_missed_total{schedule="nightly"}'] == 3
    assert found['runner_schedule_skipped_total{schedule="nightly"}'] == 1


async def test_a_blocked_loop_shows_as_lag(measured, samples, wait_until):
    """Code that blocks is seen where it hurts: timers run late."""
    async with measured(fine) as runner:
        count = "runner_loop_lag_seconds_count"

        async def sampled() -> dict[str, float]:
            found = samples(await runner.health.metrics_text())
            return found if found.get(count) else {}

        until = time.monotonic() + meter.LAG_EVERY_S + 0.1
        await asyncio.sleep(0)
        while time.monotonic() < until:
            pass  # what a task must not do
        found = await wait_until(sampled, "a timer has run")
    assert found["runner_loop_lag_seconds_sum"] >= 0.1


async def test_a_lost_lease_is_counted(measured, samples, wait_until, redis):
    """The attempt whose job another worker took over."""
    started = asyncio.Event()

    @task
    async def waits(ctx) -> None:
        started.set()
        await asyncio.Event().wait()

    async with measured(waits, worker={"queues": {"default": 1}, "lease": 1, "grace": 0}) as runner:
        job = await runner.enqueue(waits)
        await started.wait()
        await redis.set(f"arq:in-progress:{job.id}", "another")
        await redis.hset("runner:default:running", job.id, "another 1 other 0")
        name = 'runner_leases_lost_total{task="waits"}'

        async def lost() -> float:
            return samples(await runner.health.metrics_text()).get(name, 0)

        assert await wait_until(lost, "the renewal finds it lost") == 1


async def test_nobody_listens_until_somebody_asks(make_runner):
    """Metrics that are off cost a job one look: a worker by itself subscribes to nothing."""
    runner = make_runner(fine)
    async with runner, runner.worker():
        await (await runner.enqueue(fine)).result(timeout=30)
        assert not events.is_heard("job.claimed")
        assert not events.is_heard("job.ended")
        await runner.health.metrics_text()
        assert events.is_heard("job.ended")
    assert not events.is_heard("job.ended"), "leaving the runner ends the subscription"
