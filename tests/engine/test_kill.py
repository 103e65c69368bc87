"""The kill test: whatever dies, every acknowledged job ends exactly once, and is due within a lease.

How long it then takes is the machine's: printed here, and measured by `make chaos`.
"""

import asyncio
import itertools
import json
import random
import signal
import time
from collections import defaultdict
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

JOBS, WORKERS, KILLS = 2_000, 4, 10
LEASE_S = 6.0
"""6 / 15 of the real one; so is the promise: 20 s x 6 / 15 = 8 s."""
PROMISE_S = 20 * LEASE_S / 15


async def count(redis: Redis, yard: Any) -> tuple[int, int]:
    """How many jobs have a result, how many are dead."""
    try:
        results = [key async for key in redis.scan_iter("arq:result:*", count=5000)]
        return len(results), await redis.zcard(yard.keys.dead)
    except RedisError:
        return 0, 0


async def test_every_acknowledged_job_ends_once_whatever_is_killed(
    yard: Any, fleet: Any, restartable_server: Any, wait_until: Any, capsys: Any
) -> None:
    """2,000 jobs, 4 workers, 10 SIGKILLs, one SIGKILL + restart of the server, one SIGSTOP."""
    rng, server = random.Random(7), restartable_server
    yard.url = fleet.url = server.url
    redis = Redis.from_url(server.url)
    await redis.config_set("appendfsync", "always")
    yard.redis, yard.scripts = redis, type(yard.scripts)(redis.execute_command)
    jobs = await put_jobs(yard, rng)
    begun = time.monotonic()
    for _ in range(WORKERS):
        fleet.start(lease_s=LEASE_S, max_jobs=10)
    deaths = await disturb(fleet, server, rng, redis, yard, wait_until)
    await wait_until(lambda: all_ended(redis, yard), "every job has ended")
    took = time.monotonic() - begun

    events = fleet.events()
    report = judge(events, deaths)
    ended = set(accepted := await accepted_attempts(redis, jobs))
    left = [key async for key in redis.scan_iter("arq:job:*", count=5000)]
    with capsys.disabled():
        restarts = report["restarts"]
        p50, p99 = (restarts[int(len(restarts) * share)] for share in (0.5, 0.99))
        print(  # noqa: T201 - the figures are asked for
            f"\n  kill test: {JOBS} jobs in {took:.1f} s, {len(deaths)} deaths, lost {len(jobs - ended)}, "
            f"run twice {report['twice']}, killed jobs {len(restarts)} restart p50 "
            f"{p50:.2f} s p99 {p99:.2f} s (promise {PROMISE_S:.2f} s)"
        )
    assert ended == jobs
    assert left == []
    assert await redis.zcard(yard.keys.dead) == 0
    assert await redis.zcard(yard.keys.queue) == await redis.hlen(yard.keys.running) == 0
    assert accepted == report["last"], "an outcome of an attempt that had lost its lease was accepted"
    assert report["fences"], "fences must rise with every attempt of a job"
    assert len(deaths) == KILLS
    await redis.aclose()


async def accepted_attempts(redis: Redis, jobs: set[str]) -> dict[str, int]:
    """The attempt whose outcome stands, by job."""
    asked = sorted(jobs)
    results = await redis.mget([f"arq:result:{job}" for job in asked])
    return {job: json.loads(result)["t"] for job, result in zip(asked, results, strict=True) if result}


async def put_jobs(yard: Any, rng: random.Random) -> set[str]:
    from runner.wire.codec import Meta, encode_job
    from runner.wire.scripts import Entry

    jobs: set[str] = set()
    for start in range(0, JOBS, 500):
        entries = [
            Entry(f"j{n}", 0, 0, encode_job("work", (rng.uniform(0.05, 0.2),), {}, 1, Meta()))
            for n in range(start, start + 500)
        ]
        assert all(await yard.scripts.enqueue(yard.keys, entries))
        jobs.update(entry.job_id for entry in entries)
    return jobs


async def disturb(
    fleet: Any, server: Any, rng: random.Random, redis: Redis, yard: Any, wait_until: Any
) -> dict[str, float]:
    """Kill as the work goes on: at numbers of starts drawn by the seed, not at times."""
    deaths: dict[str, float] = {}
    moments = sorted(rng.sample(range(150, 1700), KILLS))
    for n, moment in enumerate(moments):
        await wait_until(
            lambda moment=moment: len(fleet.events()) / 2 >= moment, f"{moment} jobs in the ledger", 25
        )
        victim = rng.choice(sorted(fleet.workers))
        if n == 4:
            server.kill9()
            server.start()
            await redis.connection_pool.disconnect()
        if n == 6:
            stopped = rng.choice([name for name in sorted(fleet.workers) if name != victim])
            fleet.send(stopped, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(1.5 * LEASE_S, resume, fleet, stopped)
        fleet.kill9(victim)
        deaths[victim] = time.monotonic()
        assert max(await due_in_s(redis, yard, victim), default=0.0) <= LEASE_S
        fleet.start(lease_s=LEASE_S, max_jobs=10)
        assert fleet.reap() == [], f"a worker gave up:\n{fleet.log.read_text()[-3000:]}"
    return deaths


async def due_in_s(redis: Redis, yard: Any, victim: str) -> list[float]:
    """How long the jobs that a dead worker held have to wait, by the server's clock."""
    seconds, micros = await redis.time()
    held = await redis.hgetall(yard.keys.running)
    lost = [job for job, entry in held.items() if entry.split()[2].decode() == victim]
    dues = await redis.zmscore(yard.keys.queue, lost) if lost else []
    return [due / 1000 - seconds - micros / 1e6 for due in dues]


def resume(fleet: Any, name: str) -> None:
    if name in fleet.workers:
        fleet.send(name, signal.SIGCONT)


async def all_ended(redis: Redis, yard: Any) -> bool:
    await asyncio.sleep(0.05)
    results, dead = await count(redis, yard)
    return results + dead >= JOBS


def judge(events: list[Any], deaths: dict[str, float]) -> dict[str, Any]:
    """Read the ledger: how long killed jobs waited, how many ran to the end twice, whether fences rose."""
    by_job: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        by_job[event.job].append(event)
    restarts: list[float] = []
    twice, fences, last = 0, True, dict[str, int]()
    for job, history in by_job.items():
        starts = sorted((e for e in history if e.what == "start"), key=lambda e: e.at_s)
        ends = {e.fence for e in history if e.what == "end"}
        fences = fences and [e.fence for e in starts] == sorted({e.fence for e in starts})
        last[job] = starts[-1].attempt
        twice += len(ends) > 1
        for start, following in itertools.pairwise(starts):
            if start.worker in deaths and start.fence not in ends:
                restarts.append(max(0.0, following.at_s - deaths[start.worker]))
    return {"restarts": sorted(restarts), "twice": twice, "fences": fences, "last": last}
