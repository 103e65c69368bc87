"""The outbox on SQLite: what a transaction leaves, what is moved when, and what stays."""

import asyncio
import logging
import shutil
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlalchemy import select, text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from runner import Context, JobState, Runner, RunnerError, ServerError, Settings, Unique, task
from runner.client import Client
from runner.outbox import OUTBOX, Relay
from runner.settings.model import RedisGroup
from runner.wire.codec import decode_job

CRASHING = Path(__file__).parent / "crashing.py"


@task
async def confirm(ctx: Context, order: str) -> str:
    return order


@task(unique=Unique(on_conflict="reject"))
async def sole(ctx: Context, order: str) -> None: ...


async def test_a_commit_enqueues_at_once(runner, session, rows, queued):
    """Without any relay: the rows of the transaction are moved beside the caller, and deleted."""
    async with runner, session() as s, s.begin():
        jobs = [await runner.outbox(s).enqueue(confirm, f"o-{n}") for n in range(3)]
        assert [job.disposition for job in jobs] == ["unknown"] * 3
        assert await queued() == []
    assert await rows() == []
    assert await queued() == sorted(job.id for job in jobs)


async def test_leaving_moves_what_was_committed(runner, session, rows, queued, monkeypatch):
    """Commits that come while others are moved have their turn before the connection is closed."""
    moved, leaving, move, stop = asyncio.Event(), asyncio.Event(), Relay.move, Relay.stop

    async def move_and_wait(self):
        await move(self)
        moved.set()
        await leaving.wait()

    async def stop_and_tell(self):
        asyncio.get_running_loop().call_later(0.01, leaving.set)
        await stop(self)

    monkeypatch.setattr(Relay, "move", move_and_wait)
    monkeypatch.setattr(Relay, "stop", stop_and_tell)
    async with runner, session() as s:
        for key in ("a", "b", "c"):
            await runner.outbox(s).enqueue(confirm.using(key=key), "o")
            await s.commit()
            await asyncio.wait_for(moved.wait(), 30)  # the first; it may look once more after its row
        assert await queued() == ["a"]
    assert (await rows(), await queued()) == ([], ["a", "b", "c"])


async def test_a_rollback_leaves_nothing(runner, session, rows, queued):
    """Nor does an error in the block; the transaction after it takes only its own job along."""
    async with runner, session() as s:
        await runner.outbox(s).enqueue(confirm.using(key="undone"), "o-1")
        await s.rollback()
        with suppress(ZeroDivisionError):
            async with s.begin():
                await runner.outbox(s).enqueue(confirm.using(key="failed"), "o-1")
                raise ZeroDivisionError
        await runner.outbox(s).enqueue(confirm.using(key="done"), "o-1")
        await s.commit()
    assert (await rows(), await queued()) == ([], ["done"])


async def test_savepoints_count(runner, session, rows, queued, wait_until):
    """What a savepoint rolls back is not enqueued, and releasing one is no commit."""
    async with runner, session() as s:
        async with s.begin():
            outbox = runner.outbox(s)
            undone = await s.begin_nested()
            await outbox.enqueue(confirm.using(key="undone"), "o-1")
            await undone.rollback()
            async with s.begin_nested():
                await outbox.enqueue(confirm.using(key="kept"), "o-1")
            assert runner._outboxes._relays == {}, "nothing is asked to move before the commit"
        await wait_until(lambda: queued(), "the job is enqueued")
    assert (await rows(), await queued()) == ([], ["kept"])


async def test_all_that_places_a_job_passes_through(runner, session, redis, wait_until):
    """Queue, key, priority, tenant, due time and expiry; a delay counts from the call."""
    async with runner:
        before = runner.client.server_now_ms()
        async with session() as s, s.begin():
            outbox, until = runner.outbox(s), datetime.now(UTC) + timedelta(hours=2)
            await outbox.enqueue(confirm.using(key="later", delay=3600, expires=60), "o-1")
            await outbox.enqueue(confirm.using(key="then", until=until), "o-1")
            await outbox.enqueue(
                confirm.using(key="laned", queue="critical", priority=2, tenant="ann"), "o-1"
            )
            called = runner.client.server_now_ms()
            await wait_until(lambda: runner.client.server_now_ms() > called, "the clock goes on")
            late = runner.client.server_now_ms()
    later, then = [await redis.zscore("arq:queue", key) for key in ("later", "then")]
    assert before <= later - 3_600_000 < late
    assert then == round(until.timestamp() * 1000)
    expires_at_ms = decode_job(await redis.get("arq:job:later")).m.x
    assert before <= expires_at_ms - 3_660_000 < late
    meta = decode_job(await redis.get("arq:job:laned")).m
    assert (meta.p, meta.o) == (2, "ann")
    async with Runner(runner.settings, tasks=[confirm]) as other:
        assert (await other.job("laned", queue="critical").info()).state == JobState.READY


async def test_an_id_that_is_there_is_left_as_it_is(runner, session, rows, queued, redis):
    """A key twice is one job, with the first arguments; so is a call that a unique task would reject."""
    async with runner:
        for order in ("first", "second"):
            async with session() as s, s.begin():
                await runner.outbox(s).enqueue(confirm.using(key="k"), order)
                await runner.outbox(s).enqueue(sole, "same")
            await asyncio.sleep(0)
    assert await rows() == []
    assert len(await queued()) == 2
    assert decode_job(await redis.get("arq:job:k")).a == ["first"]


STEPS = {
    "before-commit": (False, False, False),
    "after-commit": (True, True, False),
    "before-push": (True, True, False),
    "after-push": (True, True, True),
    "after-delete": (True, True, True),
    "at-the-end": (True, False, True),
}
"""Where the process dies: whether the order is there then, its row, its job."""


async def test_killed_at_any_step(runner, redis_url, engine, database, tmp_path, queued):
    """An order that is there has a row or a job, and one job when a relay has come by; no other has any."""
    await engine.dispose()
    for step in STEPS:
        shutil.copy(tmp_path / "shop.db", tmp_path / f"{step}.db")
    command = [sys.executable, str(CRASHING), redis_url, str(tmp_path), *STEPS]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=30)
    jobs, found = await queued(), {}
    async with runner:
        for step in STEPS:
            shop = create_async_engine(database.replace("shop.db", f"{step}.db"))
            async with shop.connect() as connection:
                order = (await connection.execute(text("SELECT id FROM orders"))).scalar()
                row = (await connection.execute(select(OUTBOX.c.job_id))).scalar()
            found[step] = (order == step, row == step, step in jobs)
            async with runner.outbox_relay(shop) as relay:
                await relay.move()
                assert not await relay._is_any_left(set())
            await shop.dispose()
    assert found == STEPS
    assert await queued() == sorted(step for step, (is_ordered, _, _) in STEPS.items() if is_ordered)


async def test_moved_again_after_it_ran_it_does_not_run_again(
    runner, session, engine, rows, monkeypatch, wait_until
):
    """The process dies between push and delete, the job runs, and the relay comes: its result is known."""
    ran = []

    @task
    async def count(ctx: Context) -> None:
        ran.append(ctx.job_id)

    runner = Runner(runner.settings, tasks=[count])
    push = Client.put

    async def push_and_fail(*args, **options):
        await push(*args, **options)
        raise ServerError("the answer is lost")

    async with runner:
        with monkeypatch.context() as patch:
            patch.setattr(Client, "put", push_and_fail)
            async with session() as s, s.begin():
                job = await runner.outbox(s).enqueue(count)
            async with runner.worker():
                await wait_until(lambda: ran, "the job runs")
                await job.result(timeout=30)
        assert await rows() == [job.id]
        async with runner.outbox_relay(engine) as relay, runner.worker():
            await relay.move()
            assert await rows() == []
        assert (await job.status(), ran) == (JobState.SUCCEEDED, [job.id])


async def test_a_server_that_is_away_costs_the_caller_nothing(
    session, engine, rows, restartable_server, caplog, wait_until
):
    """Commits go on while it is down; one line says so; the relay moves all when it is back."""
    caplog.set_level(logging.INFO, "runner")
    settings = Settings(redis=RedisGroup(url=restartable_server.url), tasks=())
    async with Runner(settings, tasks=[confirm]) as runner, runner.outbox_relay(engine, every=0.02) as relay:
        runner.client._patience_s = 0.05
        restartable_server.kill9()
        for n in range(3):
            async with session() as s, s.begin():
                await runner.outbox(s).enqueue(confirm.using(key=f"o-{n}"), "o")
        with pytest.raises(ServerError):
            await relay.move()
        assert await rows() == ["o-0", "o-1", "o-2"]
        restartable_server.start()

        async def all_moved():
            return await rows() == []

        await wait_until(all_moved, "the relay has moved all")
        async with Redis.from_url(restartable_server.url) as redis:
            assert await redis.zrange("arq:queue", 0, -1) == [b"o-0", b"o-1", b"o-2"]
    lines = [record.message for record in caplog.records if "outbox" in record.message]
    assert [("cannot be moved" in line, "moves again" in line) for line in lines] == [
        (True, False),
        (False, True),
    ]


async def test_a_full_queue_keeps_its_rows_and_lets_others_pass(runner, session, engine, rows, queued):
    """`max_waiting` is kept: what finds no room waits in the outbox."""
    async with runner, runner.outbox_relay(engine) as relay:
        async with session() as s, s.begin():
            for n in range(3):
                await runner.outbox(s).enqueue(confirm.using(key=f"b-{n}", queue="bulk"), "o")
            await runner.outbox(s).enqueue(confirm.using(key="other"), "o")
        await relay.move()
        assert await queued() == ["b-0", "b-1", "other"]
        assert "other" not in await rows()
        await runner.job("b-0", queue="bulk").cancel()
        await relay.move()
    assert await rows() == []
    assert await queued() == ["b-1", "b-2", "other"]


async def test_a_row_that_nobody_can_read_stops_no_other(runner, session, engine, rows, queued, caplog):
    """It stays, and one line names it."""
    async with runner:
        async with session() as s, s.begin():
            for key in ("bad", "good"):
                await runner.outbox(s).enqueue(confirm.using(key=key), "o")
            await s.execute(update(OUTBOX).where(OUTBOX.c.job_id == "bad").values(sole="{"))
        async with runner.outbox_relay(engine) as relay:
            assert [await relay.move() for _ in range(2)][1] == 0
    assert (await rows(), await queued()) == (["bad"], ["good"])
    assert caplog.text.count("nobody can read it") == 1


async def test_relays_of_two_processes_do_not_move_a_row_at_once(
    runner, session, database, engine, rows, monkeypatch
):
    """SQLite has no row locks: the second waits for the first, and finds nothing."""
    other_engine = create_async_engine(database)
    pushing, go_on, pushes = asyncio.Event(), asyncio.Event(), []
    push = Client.put

    async def push_slowly(self, queue, wishes, **options):
        pushes.append(len(wishes))
        pushing.set()
        await go_on.wait()
        return await push(self, queue, wishes, **options)

    monkeypatch.setattr(Client, "put", push_slowly)
    async with runner, runner.outbox_relay(other_engine, every=3600) as other:
        async with session() as s, s.begin():
            await runner.outbox(s).enqueue(confirm, "o")
        await pushing.wait()
        assert await other._is_any_left(set())
        moving = asyncio.create_task(other.move())
        await asyncio.wait([moving], timeout=0.1)
        assert not moving.done()
        go_on.set()
        assert await moving == 0
    assert (pushes, await rows()) == ([1], [])
    await other_engine.dispose()


async def test_a_transaction_of_the_callers_own_connection_is_left_to_the_relay(runner, engine, rows, queued):
    """A session on a connection, as in many tests: its commit is none, and nothing is moved before it."""
    async with runner:
        async with engine.connect() as connection:
            outer = await connection.begin()
            async with AsyncSession(connection, join_transaction_mode="create_savepoint") as s:
                await runner.outbox(s).enqueue(confirm.using(key="k"), "o")
                await s.commit()
            assert runner._outboxes._relays == {}
            await outer.commit()
        async with runner.outbox_relay(engine) as relay:
            await relay.move()
    assert (await rows(), await queued()) == ([], ["k"])


async def test_outside_of_its_runner_it_says_so(runner, session, engine):
    """Neither an outbox nor a relay without a connection; without the table the database says what lacks."""
    async with session() as s:
        with pytest.raises(RunnerError, match="not connected"):
            runner.outbox(s)
        with pytest.raises(RunnerError, match="not connected"):
            runner.outbox_relay(engine)
        async with runner:
            assert runner.outbox(s) is runner.outbox(s)
            await s.execute(text("DROP TABLE runner_outbox"))
            with pytest.raises(OperationalError, match="no such table: runner_outbox"):
                await runner.outbox(s).enqueue(confirm, "o")
