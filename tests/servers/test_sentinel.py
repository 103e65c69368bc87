"""Behind sentinels: the master is found at each connecting, and a failover ends nobody."""

import asyncio
import signal
import sys
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from redis.asyncio.connection import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from jobs.payment import process_payment
from jobs.payment.sandbox import balance
from runner import Runner, task
from runner.errors import RunnerError
from runner.settings import PaymentsGroup, RedisGroup, Settings, WebhooksGroup
from runner.wire.connecting import Place, SeekingConnection, make_pool
from runner.wire.keys import keys_of
from runner.wire.link import Link

ran: Counter[str] = Counter()


@task(max_tries=50)
async def note(_ctx: Any, word: str) -> str:
    ran[word] += 1
    return word


LOCAL = WebhooksGroup(allow=("127.0.0.0/8",))


def settings_for(url: str, payments: dict[str, Any]) -> Settings:
    redis = RedisGroup(url=url, timeout=2.0, allow_unsafe_server=True)
    tasks = ("jobs.payment", "jobs.webhook")
    return Settings(redis=redis, payments=PaymentsGroup(**payments), webhooks=LOCAL, tasks=tasks)


async def test_a_failover_under_load_ends_nobody_and_its_loss_is_counted(
    guarded: Any, wait_until: Any, capsys: Any, payments: dict[str, Any], gateway: Any
):
    """The master dies under load: work goes on within 5 s of the new one, and what is lost is said.

    Replication is asynchronous, so a job may be lost that was acknowledged in the last moment; nothing else.
    Of the payments under way none is charged twice, whatever the new master does not know of them.
    """
    ran.clear()
    runner = Runner(settings_for(guarded.url, payments), tasks=[note])
    acknowledged: set[str] = set()
    refused = 0
    is_over = asyncio.Event()

    async def enqueue(first: int) -> None:
        nonlocal refused
        number = first
        while not is_over.is_set():
            word = f"j{number}"
            try:
                await runner.enqueue(note.using(key=word), word)
                acknowledged.add(word)
                if number % 8 == 0:
                    await runner.enqueue(process_payment, f"o{number}", 100, "EUR", "tok")
            except RunnerError:
                refused += 1
            number += 4
            await asyncio.sleep(0.004)

    async with runner.worker() as worker:
        producers = [asyncio.create_task(enqueue(i)) for i in range(4)]
        await wait_until(lambda: len(ran) > 100, "jobs run")
        guarded.master.kill9()
        await wait_until(lambda: guarded.master_port() == guarded.replica.port, "there is a new master")
        known_at, before = time.monotonic(), set(ran)
        await wait_until(lambda: ran.keys() - before, "a job runs after the failover")
        resumed_s = time.monotonic() - known_at
        await wait_until(lambda: len(ran.keys() - before) > 100, "jobs run as before")
        is_over.set()
        await asyncio.gather(*producers)
        for name in ("default", "critical"):
            depth = keys_of(name).queue
            await wait_until(partial(_is_empty, runner, depth), "everything that is there has run")
        assert worker.is_claiming
    lost = acknowledged - ran.keys()
    twice = sum(count > 1 for count in ran.values())
    said = (
        f"resumed {resumed_s:.2f} s after the new master was known; of {len(acknowledged)} acknowledged jobs"
    )
    said += f" {len(lost)} were lost and {twice} ran twice; {refused} enqueues were refused"
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
    charged = [charge.charged for charge in balance(gateway.ledger).charges.values()]
    assert len(charged) > 5
    assert set(charged) == {1}
    assert resumed_s <= 5
    assert len(lost) <= 20, "more than what was on its way to the replica"


async def _is_empty(runner: Runner, queue: str) -> bool:
    return await runner.client.execute("ZCARD", queue) == 0


class Named:
    """Names a server, as sentinels do; which one, the test says."""

    must_be_master = True

    def __init__(self, *places: Place) -> None:
        self.tried = list(places)

    async def places(self) -> list[Place]:
        return [self.tried.pop(0)]


async def test_a_demoted_master_is_left_at_its_first_refusal(nodes: Any):
    """READONLY breaks the connection; whoever comes next asks anew and reaches the master of now."""
    old, new = nodes(2)
    seek = Named(("127.0.0.1", old.port), ("127.0.0.1", new.port))
    link = Link(ConnectionPool(SeekingConnection, seek=seek))
    try:
        await link.execute("SET", "a", "1")
        old.ask("REPLICAOF", "127.0.0.1", new.port)
        with pytest.raises(ReadOnlyError):
            await link.execute("SET", "a", "2")
        assert await link.execute("SET", "a", "3")
        assert new.ask("GET", "a") == b"3"
    finally:
        await link.close()


async def test_a_master_that_hangs_is_left_when_another_is_named(nodes: Any):
    """Whoever waits for a silent server asks the sentinels long before the time for an answer is over."""
    old, new = nodes(2)
    here, there = ("127.0.0.1", old.port), ("127.0.0.1", new.port)
    link = Link(ConnectionPool(SeekingConnection, seek=Named(here, here, there, there)), timeout_s=2.0)
    try:
        await link.execute("SET", "a", "1")
        old.process.send_signal(signal.SIGSTOP)
        with pytest.raises(RedisTimeoutError, match="silent, and another is master"):
            await link.execute("SET", "a", "2")
        assert await link.execute("SET", "a", "3")
        assert new.ask("GET", "a") == b"3"
    finally:
        old.process.send_signal(signal.SIGCONT)
        await link.close()


async def test_a_replica_that_is_named_is_not_used(nodes: Any):
    """What a sentinel says may be old: a server that does not say it is master gets no command."""
    master, replica = nodes(2)
    replica.ask("REPLICAOF", "127.0.0.1", master.port)
    seek = Named(("127.0.0.1", replica.port), ("127.0.0.1", master.port))
    link = Link(ConnectionPool(SeekingConnection, seek=seek))
    try:
        with pytest.raises(RedisConnectionError, match="is slave, not master: it fails over"):
            await link.execute("GET", "a")
        assert await link.execute("SET", "a", "1")
    finally:
        await link.close()


async def test_sentinels_that_do_not_know_are_named_with_what_they_say(nodes: Any):
    """Whoever sits at the keyboard sees each sentinel and its answer."""
    [no_sentinel] = nodes(1)
    url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{no_sentinel.port}/main"
    link = Link(make_pool(url, RedisGroup(url=url)))
    try:
        with pytest.raises(RedisConnectionError, match="where the master 'main' is") as caught:
            await link.execute("GET", "a")
        assert f"127.0.0.1:{no_sentinel.port} unknown command" in str(caught.value)
        assert "127.0.0.1:1 " in str(caught.value)
    finally:
        await link.close()
