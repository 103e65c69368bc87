"""What the server may answer, and what the worker makes of it: it neither exits nor loses nor doubles."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from runner import task
from runner.engine.connect import restore_rules
from runner.engine.survive import Patience, is_passing
from runner.errors import QueueFull


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (RedisConnectionError("reset"), True),
        (BusyLoadingError("loading"), True),
        (ReadOnlyError("readonly"), True),
        (ResponseError("LOADING Valkey is loading the dataset in memory"), True),
        (ResponseError("MASTERDOWN Link with MASTER is down"), True),
        (ResponseError("BUSY Valkey is busy running a script"), True),
        (ResponseError("MISCONF Errors writing to the AOF file"), True),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (ResponseError("OOM command not allowed when used memory > 'maxmemory'."), True),
        (QueueFull("full"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (AuthenticationError("WRONGPASS invalid username-password pair"), False),
        (AuthenticationError("NOAUTH Authentication required."), False),
        (NoPermissionError("NOPERM this user has no permissions"), False),
        (ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), False),
        (ValueError("ours"), False),
    ],
)
def test_is_passing_is_a_table(error: BaseException, passes: bool) -> None:
    """Waiting helps against an outage, not against wrong credentials, missing permissions or wrong types."""
    assert is_passing(error) is passes


def test_patience_grows_with_jitter_to_a_bound() -> None:
    """Up to 50 ms first, up to 5 s later, and from the start again once the server answered."""
    patience = Patience()
    delays = [patience.next_delay_s() for _ in range(30)]
    assert delays[0] <= 0.05
    assert max(delays[10:]) <= 5
    assert max(delays[10:]) > 1
    patience.reset()
    assert patience.next_delay_s() <= 0.05


RUNS: Counter[str] = Counter()


@task
async def slow(ctx: Any) -> str:
    RUNS[ctx.job_id] += 1
    await ctx["gate"].wait()
    return "done"


@task
async def quick(ctx: Any) -> int:
    return 1


async def ends_well(yard: Any, admin: Redis, job: str, wait_until: Any, what: str) -> None:
    async def ended() -> bool:
        with contextlib.suppress(RedisError):
            return await admin.exists(yard.keys.result(job)) == 1
        return False

    await wait_until(ended, what)


@contextlib.asynccontextmanager
async def trouble(kind: str, server: Any, admin: Redis) -> AsyncIterator[None]:
    """Bring one answer of B9 about, and end it."""
    if kind in ("restart", "pause", "reset"):
        if kind == "restart":
            server.kill9()
        elif kind == "pause":
            server.pause()
        else:
            await admin.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")
            await admin.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")
        yield
        if kind == "restart":
            server.start()
        elif kind == "pause":
            server.resume()
        return
    before, after = {
        "READONLY": (["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]),
        "MASTERDOWN": (["CONFIG", "SET", "replica-serve-stale-data", "no"], ["REPLICAOF", "NO", "ONE"]),
        "OOM": (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        "NOREPLICAS": (
            ["CONFIG", "SET", "min-replicas-to-write", "1"],
            ["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    }.get(kind, ([], []))
    if kind == "BUSY":
        await admin.config_set("busy-reply-threshold", 1)
        busy = asyncio.ensure_future(admin.eval("while true do end", 0))
        other = Redis.from_url(server.url)
        yield
        with contextlib.suppress(RedisError):
            await other.execute_command("SCRIPT", "KILL")
        await asyncio.gather(busy, return_exceptions=True)
        await other.aclose()
        return
    await admin.execute_command(*before)
    if kind == "MASTERDOWN":
        await admin.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    await admin.execute_command(*after)


KINDS = ["restart", "pause", "reset", "READONLY", "MASTERDOWN", "OOM", "NOREPLICAS", "BUSY"]


async def test_no_answer_of_the_server_ends_the_worker_or_costs_an_outcome(
    yard: Any, restartable_server: Any, wait_until: Any
) -> None:
    """One worker lives through all of them: a job that runs meanwhile ends once, the next starts after."""
    server = restartable_server
    yard.url = server.url
    admin = Redis.from_url(server.url)
    await admin.config_set("appendfsync", "always")
    yard.redis, yard.scripts = admin, type(yard.scripts)(admin.execute_command)
    gate = asyncio.Event()
    RUNS.clear()
    options = {"server_timeout_s": 0.4, "lease_s": 60}
    async with yard.serving(slow, quick, ctx={"gate": gate}, options=options) as worker:
        for kind in KINDS:
            gate.clear()
            job = await yard.put(slow, job_id=f"during-{kind}")
            await wait_until(lambda job=job: RUNS[job], f"the job before {kind} runs")
            async with trouble(kind, server, admin):
                gate.set()
                await wait_until(lambda: not worker.tasks, f"the call ends during {kind}")
                await asyncio.sleep(0.05)
                assert not worker.main_task.done(), kind
            await ends_well(yard, admin, job, wait_until, f"the outcome is written after {kind}")
            after = await yard.put(quick, job_id=f"after-{kind}")
            await ends_well(yard, admin, after, wait_until, f"work goes on after {kind}")
    assert {job: n for job, n in RUNS.items() if n != 1} == {}
    assert worker.jobs_complete == 2 * len(KINDS)
    assert await yard.leftovers_of_jobs() == []
    await admin.aclose()


async def test_a_server_that_goes_away_while_a_worker_starts_does_not_end_it(yard: Any) -> None:
    """Between the first connection and the first claim it is waited for too, as in a restart of both."""
    looks: list[Any] = []

    async def check(pool: Any) -> None:
        looks.append(pool)
        if len(looks) == 1:
            raise RedisConnectionError

    job = await yard.put(quick)
    await yard.drain(quick, options={"before_start": check})
    assert (len(looks), await yard.state(job)) == (2, "succeeded")


async def test_rules_of_lanes_come_back_where_they_are_gone(
    yard: Any, redis: Redis, wait_until: Any, caplog: Any
) -> None:
    """Workers write them again after FLUSHALL; where rules are left, as of another release, they stay."""
    options = {"lease_s": 0.3, "rules": {"default": {"limit:g": "1"}}}

    async def told() -> bool:
        return await redis.hgetall(yard.keys.rules) == {b"limit:g": b"1"}

    async with yard.serving(quick, options=options) as worker:
        await wait_until(told, "the rules are there")
        await redis.flushdb()
        await wait_until(told, "the rules are there again")
        await redis.hset(yard.keys.rules, "limit:g", "7")
        await restore_rules(yard.keys, options["rules"], redis.execute_command)
        assert not await told()
        assert not worker.main_task.done()


@pytest.mark.parametrize("word", ["NOAUTH", "WRONGPASS", "NOPERM"])
async def test_wrong_credentials_end_the_worker_with_a_clear_message(
    yard: Any, restartable_server: Any, caplog: Any, wait_until: Any, word: str
) -> None:
    """They do not pass by themselves: the worker stops, and says what to check."""
    yard.url = restartable_server.url
    admin = Redis.from_url(yard.url)
    if word == "NOPERM":
        await admin.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval")
    worker = yard.worker(quick)
    serving = asyncio.ensure_future(worker.async_run())
    if word != "NOPERM":
        await wait_until(lambda: worker._tracking and worker._tracking.is_on, "the worker serves")
        await admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">other")
        if word == "WRONGPASS":
            worker._pool.connection_pool.connection_kwargs["password"] = "wrong"
            worker._link._pool.connection_kwargs["password"] = "wrong"
        await admin.execute_command("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES")
        await admin.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")
        worker._rounds.note_changed([])
        worker._wake.set()
    with pytest.raises(RedisError):
        await asyncio.wait_for(serving, 30)
    assert "check the user, password and permissions" in caplog.text
    await worker.close()
    await admin.aclose()


class Proxy:
    """Between worker and server: can swallow replies, then cut the connections (a half-open link)."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.swallowing = False
        self.swallowed = 0
        self.writers: list[asyncio.StreamWriter] = []
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(self.target)
        self.writers += [writer, up_writer]
        for task_ in (self.pipe(reader, up_writer, False), self.pipe(up_reader, writer, True)):
            running = asyncio.ensure_future(task_)
            self.tasks.add(running)
            running.add_done_callback(self.tasks.discard)

    async def pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if is_reply and self.swallowing:
                    self.swallowed += 1
                    continue
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def close(self) -> None:
        self.server.close()
        self.cut()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.mark.parametrize("ends_by", ["cut", "timeout"])
async def test_replies_that_are_lost_cost_neither_jobs_nor_second_runs(
    yard: Any, server: Any, wait_until: Any, ends_by: str
) -> None:
    """Claim and finish were executed, their answers are gone; asked again they answer as at first."""
    runs: Counter[str] = Counter()

    @task
    async def counted(ctx: Any) -> int:
        runs[ctx.job_id] += 1
        await asyncio.sleep(0.01)
        return ctx.attempt

    proxy = Proxy(str(server.socket))
    port, database = await proxy.start(), yard.url.rsplit("db=")[1]
    direct, yard.url = yard.url, f"redis://127.0.0.1:{port}/{database}"
    options = {"server_timeout_s": 0.2 if ends_by == "timeout" else 5, "lease_s": 60}
    async with yard.serving(counted, max_jobs=20, options=options) as worker:
        await wait_until(lambda: worker._tracking and worker._tracking.is_on, "the worker serves")
        jobs = []
        for _ in range(6):
            proxy.swallowing, proxy.swallowed = True, 0
            jobs += [await yard.put(counted) for _ in range(10)]
            worker._note_changed([])
            await wait_until(lambda: proxy.swallowed, "a reply is swallowed")
            if ends_by == "cut":
                proxy.cut()
            proxy.swallowing = False
            await wait_until(partial(all_ended, yard, jobs), "all jobs have ended")
    yard.url = direct
    assert dict(runs) == dict.fromkeys(jobs, 1)
    assert {(await yard.result(job))["r"] for job in jobs} == {1}
    assert await yard.leftovers_of_jobs() == []
    await proxy.close()


async def all_ended(yard: Any, jobs: list[str]) -> bool:
    return await yard.redis.exists(*(yard.keys.result(job) for job in jobs)) == len(jobs)
