"""A replayer is killed at every step: no job is lost, none doubled. The usual recipe loses."""

import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from runner.wire.dead_scripts import DeadScripts
from runner.wire.keys import keys_of
from runner.wire.scripts import End, Entry, Scripts

KEYS = keys_of("default")
START_MS = 1_700_000_000_000
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


def census(redis: SyncRedis) -> tuple[dict[bytes, bytes | None], dict[bytes, bytes | None]]:
    """What lives and what is dead: payloads by id, None where there is an id without a payload."""
    live = {i: redis.get(KEYS.job(i.decode())) for i in redis.zrange(KEYS.queue, 0, -1)}
    dead = {i: redis.hget(KEYS.dead_letter(i.decode()), "payload") for i in redis.zrange(KEYS.dead, 0, -1)}
    return live, dead


class Ended(NamedTuple):
    returncode: int | None
    told: str


@pytest.fixture
def run(forks: ModuleType, tmp_path: Path) -> Callable[..., Ended]:
    """Run a script in a process of its own, to its end."""

    def call(script: str, *args: str) -> Ended:
        file, log = tmp_path / "script.py", tmp_path / "log"
        file.write_text(script)
        log.write_text("")
        process = forks.start(file, *args, log=log)
        process.join()
        return Ended(process.exitcode, log.read_text())

    return call


@pytest.mark.parametrize("moment", ["sent", "answered"])
def test_a_replayer_killed_at_any_step_neither_loses_nor_doubles(
    sync: SyncRedis, redis_url: str, run: Callable[..., Ended], moment: str
) -> None:
    """SIGKILL during and after each call to the server; a second run finishes the work."""
    for _ in range(2):  # the first run also loads the scripts
        fill(sync)
        ended = run(REPLAYER, redis_url, "0", "")
    assert ended.told.split() == [str(JOBS), str(CALLS)]
    for step in range(1, CALLS + 1):
        payloads = fill(sync)
        ended = run(REPLAYER, redis_url, str(step), moment)
        assert ended.returncode == -signal.SIGKILL, ended.told
        live, dead = census(sync)
        assert live.keys() & dead.keys() == set(), f"doubled at step {step}"
        assert live | dead == payloads, f"lost at step {step}"
        if step == 4:
            assert run(REPLAYER, redis_url, "0", "").returncode == 0
            assert census(sync) == (payloads, {})


def test_the_usual_recipe_loses_a_job_at_every_crash(
    sync: SyncRedis, redis_url: str, run: Callable[..., Ended]
) -> None:
    """The control: pop a letter, then enqueue it. The same census finds what is missing."""
    for step in (1, 9):
        payloads = fill(sync)
        assert run(POP_THEN_SEND, redis_url, str(step)).returncode == -signal.SIGKILL
        live, dead = census(sync)
        assert len(payloads) - len(live) - len(dead) == 1


ACTS = ["enqueue", "enqueue", "bury", "bury", "replay", "resend", "discard", "trim", "finish"]


class Model:
    """Calls the scripts, and knows from two plain collections what must be there after each call."""

    def __init__(self, redis: Redis, rng: random.Random) -> None:
        self.redis, self.rng = redis, rng
        self.scripts, self.dead = Scripts(redis.execute_command), DeadScripts(redis.execute_command)
        self.live: set[str] = set()
        self.graves: list[str] = []
        self.now_ms, self.calls = START_MS, 0
        self.last_replay: tuple[list[str], str] = ([], "none")
        self.effects: Counter[str] = Counter()

    async def act(self, name: str) -> None:
        self.now_ms += self.rng.choice([0, 1])
        self.calls += 1
        ids = self.rng.sample([f"j{n}" for n in range(8)], self.rng.randint(1, 5))
        before = (set(self.live), list(self.graves))
        await getattr(self, name)(ids, f"op{self.calls}")
        self.effects[name] += before != (self.live, self.graves)
        dead = [m.decode() for m in await self.redis.zrange(KEYS.dead, 0, -1)]
        assert sorted(dead) == sorted(self.graves)
        self.graves = dead  # deaths of one moment stand in the order of their ids
        assert {m.decode() for m in await self.redis.zrange(KEYS.queue, 0, -1)} == self.live

    async def enqueue(self, ids: list[str], op: str) -> None:
        entries = [Entry(i, 0, 0, i.encode()) for i in ids]
        made = await self.scripts.enqueue(KEYS, entries, now_ms=self.now_ms)
        assert made == [i not in self.graves for i in ids]
        self.live |= {i for i in ids if i not in self.graves}

    async def bury(self, ids: list[str], op: str, verb: str = "dead", note: str = "gave_up {}") -> None:
        claim = await self.scripts.claim(
            KEYS, token=op, worker="w", limit=len(ids), lease_ms=1000, now_ms=self.now_ms
        )
        ends = [End(job.job_id, op, job.fence, verb, 0, b"", note, 1) for job in claim.jobs]
        if ends:
            assert set(await self.scripts.finish(KEYS, ends, now_ms=self.now_ms)) == {1}
        gone = {job.job_id for job in claim.jobs}
        self.live -= gone
        self.graves += gone if verb == "dead" else ()

    async def finish(self, ids: list[str], op: str) -> None:
        await self.bury(ids, op, "done", "")

    async def replay(self, ids: list[str], op: str) -> None:
        self.last_replay = (ids, op)
        given = [(i, b"") for i in ids]
        answers = await self.dead.replay(KEYS, given, by="", op=op, now_ms=self.now_ms)
        assert answers == [int(i in self.graves) for i in ids]
        self.live |= {i for i in ids if i in self.graves}
        self.graves = [i for i in self.graves if i not in ids]

    async def resend(self, ids: list[str], op: str) -> None:
        """The last replay once more: whatever happened since, nothing moves."""
        ids, op = self.last_replay
        if ids:
            await self.dead.replay(KEYS, [(i, b"") for i in ids], by="", op=op, now_ms=self.now_ms)

    async def discard(self, ids: list[str], op: str) -> None:
        answers = await self.dead.discard(KEYS, ids, verb="discard", by="", op=op, now_ms=self.now_ms)
        assert answers == [int(i in self.graves) for i in ids]
        self.graves = [i for i in self.graves if i not in ids]

    async def trim(self, ids: list[str], op: str) -> None:
        most = len(ids)
        await self.dead.trim(KEYS, keep_ms=10**15, max_count=most, max_bytes=10**15, now_ms=self.now_ms)
        self.graves = self.graves[max(0, len(self.graves) - most) :]


@pytest.mark.parametrize("seed", range(12))
async def test_jobs_are_conserved_by_any_sequence_of_acts(redis: Redis, seed: int) -> None:
    """Each job is alive, dead, or ended on purpose; payloads, bytes and keys agree with the model."""
    model = Model(redis, random.Random(seed))
    for name in model.rng.choices(ACTS, k=80):
        await model.act(name)
    assert all(model.effects[name] for name in set(ACTS) - {"resend"})
    assert model.effects["resend"] == 0
    for i in model.live:
        assert await redis.get(KEYS.job(i)) == i.encode()
    letters = [await redis.hgetall(KEYS.dead_letter(i)) for i in model.graves]
    assert [letter[b"payload"] for letter in letters] == [i.encode() for i in model.graves]
    sizes = [sum(len(v) for k, v in letter.items() if k != b"bytes") for letter in letters]
    assert int(await redis.hget(KEYS.dead_stats, "bytes") or 0) == sum(sizes)
    assert len(await redis.keys("runner:dead:*")) == len(model.graves)
    assert len(await redis.keys("arq:job:*")) == len(model.live)
