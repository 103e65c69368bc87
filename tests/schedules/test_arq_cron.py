import asyncio
import random
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from arq import ArqRedis, cron
from arq.cron import next_cron
from redis.asyncio import ConnectionPool

from runner.engine.worker import Worker
from runner.errors import InvalidTask
from runner.schedules.arq_rule import arq_rule
from runner.wire.keys import keys_of

TZ = timezone(timedelta(hours=2))
ran: list[str] = []


async def note(ctx) -> None:
    ran.append(ctx["job_id"])


@pytest.fixture
def worker(redis_url):
    ran.clear()

    def make(*jobs):
        return Worker(
            cron_jobs=list(jobs),
            redis_pool=ArqRedis(ConnectionPool.from_url(redis_url)),
            handle_signals=False,
            poll_delay=0.05,
        )

    return make


async def serve(workers, until):
    serving = [asyncio.create_task(each.main()) for each in workers]
    await until
    for each in workers:
        await each.close()
    await asyncio.gather(*serving, return_exceptions=True)


def test_a_cron_job_keeps_arqs_meaning():
    """Over 500 random rules and instants the next run is the one that arq gives."""
    rng = random.Random(4)
    fields = {
        "month": lambda: rng.choice([rng.randint(1, 12), {1, 5, 9}]),
        "day": lambda: rng.randint(1, 28),
        "weekday": lambda: rng.choice([rng.randint(0, 6), "mon", "thurs"]),
        "hour": lambda: rng.choice([rng.randint(0, 23), {1, 13}]),
        "minute": lambda: rng.choice([rng.randint(0, 59), {0, 20, 40}]),
        "second": lambda: rng.choice([rng.randint(0, 59), None]),
    }
    for _ in range(500):
        options = {name: make() for name, make in fields.items() if rng.random() < 0.5}
        options["microsecond"] = rng.choice([0, 123_456])
        start = datetime(2026, 1, 1, tzinfo=TZ, microsecond=options["microsecond"])
        start += timedelta(seconds=rng.randint(0, 40_000_000))
        rule = arq_rule(cron(note, **options), TZ)
        expected = next_cron(start, **options)
        assert rule.after(int(start.timestamp() * 1000)) == int(expected.timestamp() * 1000), options


def test_an_hourly_cron_job_does_not_pause_when_the_clocks_go_back():
    """arq leaves one hour out in autumn; here each hour of real time has its run."""
    rule = arq_rule(cron(note, minute=0, microsecond=0), ZoneInfo("Europe/London"))
    tick, runs = round(datetime(2026, 10, 24, 22, 30, tzinfo=UTC).timestamp() * 1000), []
    for _ in range(5):
        tick = rule.after(tick)
        runs.append(datetime.fromtimestamp(tick / 1000, UTC))
    assert runs == [datetime(2026, 10, 24, 23, tzinfo=UTC) + timedelta(hours=n) for n in range(5)]


def test_a_date_that_never_comes_is_refused_at_start(worker):
    """arq's own next_cron never returns on it."""
    with pytest.raises(InvalidTask, match="'cron:note' never runs: no date fits month=2, day=31"):
        worker(cron(note, month=2, day=31))
    assert arq_rule(cron(note, month=2, day=29, weekday="mon"), UTC) is not None


async def test_three_workers_run_each_tick_once_and_a_fixed_id_each_second(worker, wait_until):
    """arq runs a fixed job_id once a minute at most: its leases outlive their jobs."""
    jobs = (
        cron(note, name="plain", second=None),
        cron(note, name="fixed", second=None, microsecond=500_000, job_id="fixed"),
    )

    def is_enough():
        return ran.count("fixed") >= 2 and len([i for i in ran if i.startswith("plain")]) >= 2

    await serve([worker(*jobs) for _ in range(3)], wait_until(is_enough, "two runs of both"))
    plain = [job_id for job_id in ran if job_id.startswith("plain:")]
    assert len(plain) == len(set(plain))
    instants = [int(job_id.split(":")[1]) for job_id in plain]
    assert all(later - before == 1000 for before, later in pairwise(instants))


async def test_a_tick_that_passes_while_no_worker_is_there_runs_afterwards(worker, redis, wait_until):
    """arq forgets it; here the server remembers the last one."""
    daily = datetime.now(UTC) - timedelta(minutes=10)
    job = cron(note, hour=daily.hour, minute=daily.minute, microsecond=0)
    key = keys_of("default").schedule("arq:queue cron:note")

    async def is_known():
        return await redis.hget(key, "last")

    first = worker(job)
    first.timezone = UTC
    await serve([first], wait_until(is_known, "the schedule is known"))
    assert ran == []
    await redis.hset(key, "last", round((daily - timedelta(hours=1)).timestamp() * 1000))
    rule = arq_rule(job, first.timezone)
    await redis.hset(key, "print", rule_print(rule))
    second = worker(cron(note, hour=daily.hour, minute=daily.minute, microsecond=0))
    await serve([second], wait_until(lambda: ran, "the missed run"))
    at = daily.replace(second=0, microsecond=0)
    assert ran == [f"cron:note:{round(at.timestamp() * 1000)}"]


def rule_print(rule):
    from runner.schedules.schedule import Schedule

    return Schedule(name="s", rule=rule, task="t").fingerprint


async def test_unique_false_runs_on_every_worker(worker, wait_until):
    """As arq has it."""
    job = {"name": "each", "second": None, "unique": False}
    workers = [worker(cron(note, **job)) for _ in range(2)]
    await serve(workers, wait_until(lambda: len(ran) >= 4, "runs on both"))
    assert len(set(ran)) == len(ran)
