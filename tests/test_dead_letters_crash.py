"""A replayer is killed at every step: no job is lost, none doubled. The usual recipe loses."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from runner.wire.dead_scripts import DeadScripts
from runner.wire.keys import keys_of
from runner.wire.scripts import End, Entry, Scripts

ROOT = Path(__file__).resolve().parents[1]
KEYS = keys_of("default")
JOBS = 11
BATCH = 5  # what a rate of 25/s makes of it
CALLS = 6  # three pages, and a script after each

REPLAYER = """
import asyncio, os, signal, sys
from redis.asyncio import ConnectionPool
from runner.dead_letters import DeadLetters
from runner.wire.link import Link

url, step, moment = sys.argv[1], int(sys.argv[2]), sys.argv[3]
link, calls = Link(ConnectionPool.from_url(url)), 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

async def execute(*command):
    global calls
    calls += 1
    sent = link.execute(*command)
    if calls == step and moment == "sent":
        await asyncio.sleep(0)   # let it onto the wire, and do not wait for an answer
        await asyncio.sleep(0)
        die()
    reply = await sent
    if calls == step and moment == "answered":
        die()
    return reply

async def main():
    dead = DeadLetters(execute, queues=["default"])
    async def sleep(seconds): ...
    tally = await dead.replay_many(rate=25, sleep=sleep)
    print(tally.done, calls)

asyncio.run(main())
"""

POP_THEN_SEND = """
import os, signal, sys
from redis import Redis

redis, step = Redis.from_url(sys.argv[1]), int(sys.argv[2])
for n, job_id in enumerate(redis.zrange("runner:default:dead", 0, -1), 1):
    redis.zrem("runner:default:dead", job_id)
    payload = redis.hget(b"runner:dead:" + job_id, "payload")
    redis.delete(b"runner:dead:" + job_id)
    if n == step:
        os.kill(os.getpid(), signal.SIGKILL)
    redis.set(b"arq:job:" + job_id, payload)
    redis.zadd("arq:queue", {job_id: 1})
"""


@pytest.fixture
def sync(redis_url: str) -> SyncRedis:
    return SyncRedis.from_url(redis_url)


def fill(redis: SyncRedis) -> dict[bytes, bytes]:
    """Put letters there as bury.lua does; payloads by id."""
    redis.flushdb()
    payloads = {f"j{n:02}".encode(): f"payload {n}".encode() for n in range(JOBS)}
    for n, (job_id, payload) in enumerate(payloads.items()):
        redis.zadd(KEYS.dead, {job_id: 1000 + n // 3})
        redis.hset(KEYS.dead_letter(job_id.decode()), mapping={"reason": "max_tries", "payload": payload})
    return payloads


def census(redis: SyncRedis) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    """What lives and what is dead, each by id with its payload; an index without payload counts as lost."""
    live = {i: redis.get(KEYS.job(i.decode())) for i in redis.zrange(KEYS.queue, 0, -1)}
    dead = {i: redis.hget(KEYS.dead_letter(i.decode()), "payload") for i in redis.zrange(KEYS.dead, 0, -1)}
    return (
        {i: p for i, p in live.items() if p is not None},
        {i: p for i, p in dead.items() if p is not None},
    )


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *args],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("moment", ["sent", "answered"])
def test_a_replayer_killed_at_any_step_neither_loses_nor_doubles(
    sync: SyncRedis, redis_url: str, moment: str
) -> None:
    """SIGKILL during and after each call to the server; a second run finishes the work."""
    for _ in range(2):  # the first run also loads the scripts
        fill(sync)
        ended = run(REPLAYER, redis_url, "0", "")
    assert ended.stdout.split() == [str(JOBS), str(CALLS)]
    for step in range(1, CALLS + 1):
        payloads = fill(sync)
        ended = run(REPLAYER, redis_url, str(step), moment)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        live, dead = census(sync)
        assert live.keys() & dead.keys() == set(), f"doubled at step {step}"
        assert live | dead == payloads, f"lost at step {step}"
        if step == 4:
            assert run(REPLAYER, redis_url, "0", "").returncode == 0
            assert census(sync) == (payloads, {})


def test_the_usual_recipe_loses_a_job_at_every_crash(sync: SyncRedis, redis_url: str) -> None:
    """The control: pop a letter, then enqueue it. The same census finds what is missing."""
    for step in (1, 9):
        payloads = fill(sync)
        assert run(POP_THEN_SEND, redis_url, str(step)).returncode == -signal.SIGKILL
        live, dead = census(sync)
        assert len(payloads) - len(live) - len(dead) == 1


ACTS = st.lists(
    st.tuples(
        st.sampled_from(["enqueue", "bury", "replay", "discard", "trim", "finish", "resend"]),
        st.lists(st.integers(0, 7), min_size=1, max_size=4),
    ),
    max_size=25,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(acts=ACTS)
async def test_jobs_are_conserved_by_any_sequence_of_acts(
    redis: Redis, acts: list[tuple[str, list[int]]]
) -> None:
    """Against a model of two sets: each job is alive, dead or ended on purpose; bytes and counts agree."""
    await redis.flushdb()
    scripts, dead = Scripts(redis.execute_command), DeadScripts(redis.execute_command)
    live: set[str] = set()
    graves: list[str] = []
    now_ms, op, last = 1_700_000_000_000, 0, None
    for act, numbers in acts:
        now_ms += 1
        op += 1
        ids = list(dict.fromkeys(f"j{n}" for n in numbers))
        match act:
            case "enqueue":
                made = await scripts.enqueue(KEYS, [Entry(i, 0, 0, i.encode()) for i in ids], now_ms=now_ms)
                assert made == [i not in graves for i in ids]
                live |= {i for i in ids if i not in graves}
            case "bury" | "finish":
                claim = await scripts.claim(
                    KEYS, token=f"t{op}", worker="w", limit=len(ids), lease_ms=1000, now_ms=now_ms
                )
                verb, note = ("dead", "gave_up {}") if act == "bury" else ("done", "")
                ends = [End(j.job_id, f"t{op}", j.fence, verb, 0, b"", note, 1) for j in claim.jobs]
                if ends:
                    assert set(await scripts.finish(KEYS, ends, now_ms=now_ms)) == {1}
                gone = [job.job_id for job in claim.jobs]
                live -= set(gone)
                graves += sorted(gone) if act == "bury" else []
            case "replay":
                last = (ids, f"op{op}")
                answers = await dead.replay(KEYS, [(i, b"") for i in ids], by="", op=f"op{op}", now_ms=now_ms)
                assert answers == [int(i in graves) for i in ids]
                live |= {i for i in ids if i in graves}
                graves = [i for i in graves if i not in ids]
            case "resend" if last is not None:
                await dead.replay(KEYS, [(i, b"") for i in last[0]], by="", op=last[1], now_ms=now_ms)
            case "discard":
                answers = await dead.discard(KEYS, ids, verb="discard", by="", op=f"op{op}", now_ms=now_ms)
                assert answers == [int(i in graves) for i in ids]
                graves = [i for i in graves if i not in ids]
            case "trim":
                most = numbers[0]
                await dead.trim(KEYS, keep_ms=10**15, max_count=most, max_bytes=10**15, now_ms=now_ms)
                graves = graves[max(0, len(graves) - most) :]
            case _:
                continue
        assert {m.decode() for m in await redis.zrange(KEYS.queue, 0, -1)} == live
        assert [m.decode() for m in await redis.zrange(KEYS.dead, 0, -1)] == graves
    payloads = [await redis.get(KEYS.job(i)) for i in sorted(live)]
    assert payloads == [i.encode() for i in sorted(live)]
    letters = [await redis.hgetall(KEYS.dead_letter(i)) for i in graves]
    assert [letter[b"payload"] for letter in letters] == [i.encode() for i in graves]
    sizes = [sum(len(v) for k, v in letter.items() if k != b"bytes") for letter in letters]
    assert int(await redis.hget(KEYS.dead_stats, "bytes") or 0) == sum(sizes)
    assert len(await redis.keys("runner:dead:*")) == len(graves)
    assert len(await redis.keys("arq:job:*")) == len(live)
