"""A cluster under load: slots move, masters die, and work goes on."""

import asyncio
import os
import sys
import time
from collections import Counter
from typing import Any

import pytest
from redis.exceptions import ResponseError

from runner import Runner, task
from runner.errors import RunnerError
from runner.settings import RedisGroup, Settings
from runner.wire.cluster import ClusterLink
from runner.wire.connecting import make_pool
from runner.wire.keys import keys_of
from runner.wire.slots import slot_of

QUEUE = keys_of("default", "tagged").queue
SLOT = slot_of(QUEUE)

HANGS = os.environ.get("CLUSTER_MASTER", "dies") == "hangs"
"""`CLUSTER_MASTER=hangs`: the master is stopped, not killed, and its connections stay open."""

ran: Counter[str] = Counter()


@task(max_tries=50)
async def note(_ctx: Any, word: str) -> None:
    ran[word] += 1


class Load:
    """Enqueues without end, and knows what was acknowledged."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._enqueue(i)) for i in range(4)]

    async def _enqueue(self, number: int) -> None:
        while True:
            word = f"j{number}"
            try:
                await self._runner.enqueue(note.using(key=word), word)
                self.acknowledged.add(word)
            except RunnerError:
                self.refused += 1
            number += 4
            await asyncio.sleep(0.004)

    async def stop(self) -> None:
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_slots_move_and_a_master_dies_under_load(own_cluster: Any, wait_until: Any, capsys: Any):
    """Moved whole or key by key: nothing lost, nothing done by half. A dead master: its loss is counted."""
    ran.clear()
    redis = RedisGroup(url=own_cluster.url, cluster=True, timeout=2.0, allow_unsafe_server=True)
    runner = Runner(Settings(redis=redis, tasks=()), tasks=[note])

    async def more_ran(count: int = 60) -> None:
        before = set(ran)
        await wait_until(lambda: len(ran.keys() - before) > count, "jobs run")

    async def all_ran() -> None:
        await wait_until(lambda: _is_empty(runner), "everything that is there has run")

    async with runner.worker():
        load = Load(runner)
        load.start()
        await more_ran()
        await own_cluster.move_whole(SLOT, wait_until)
        await more_ran()
        for number in range(20):  # these wait while the slot moves, so that there are keys to move
            await runner.enqueue(note.using(key=f"later{number}", delay=0.5), f"later{number}")
            load.acknowledged.add(f"later{number}")
        moved = await own_cluster.move_key_by_key(SLOT)
        await more_ran()
        await load.stop()
        await all_ran()
        assert moved > 20
        assert not load.acknowledged - ran.keys(), "lost in a move"
        load.start()
        owner, replica = own_cluster.owner(QUEUE), own_cluster.nodes[3]
        replica.ask("CLUSTER", "REPLICATE", own_cluster.node_id(owner))
        await wait_until(lambda: _follows(replica), "the replica follows")
        await more_ran()
        owner.pause() if HANGS else owner.kill9()
        await wait_until(lambda: own_cluster.owner(QUEUE) is replica, "the replica serves")
        known_at = time.monotonic()
        await more_ran(1)
        resumed_s = time.monotonic() - known_at
        await more_ran()
        await load.stop()
        await all_ran()
    lost = len(load.acknowledged - ran.keys())
    twice = sum(count > 1 for count in ran.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\n{moved} keys moved one by one; resumed {resumed_s:.2f} s after the new master; of"
            f" {len(load.acknowledged)} acknowledged jobs {lost} were lost, {twice} ran twice;"
            f" {load.refused} enqueues were refused\n"
        )
    assert resumed_s <= 5
    assert lost <= 20, "more than what was on its way to the replica"


async def test_a_script_does_not_begin_while_its_slot_moves(session_cluster: Any, cluster: dict[str, Any]):
    """It would write here and then not find what has gone there: the node answers TRYAGAIN first."""
    link = ClusterLink(make_pool(cluster["url"], RedisGroup(**cluster)))
    script = "redis.call('SET', KEYS[1], 'half'); return redis.call('GET', 'arq:{default}:job:gone')"
    try:
        await link.execute("SET", QUEUE, "whole")
        assert await link.execute("EVAL", script, 1, QUEUE) is None
        await link.execute("SET", QUEUE, "whole")
        with session_cluster.moving(SLOT):
            with pytest.raises(ResponseError, match="TRYAGAIN"):
                await link.execute("EVAL", script, 1, QUEUE)
            assert await link.execute("GET", QUEUE) == b"whole"
            assert await link.execute("SET", "arq:{default}:job:new", "there"), "ASK is followed"
            assert session_cluster.holder(SLOT).ask("EXISTS", QUEUE) == 1
    finally:
        await link.close()


def _follows(replica: Any) -> bool:
    return replica.ask("INFO", "replication").get("master_link_status") == "up"


async def _is_empty(runner: Runner) -> bool:
    return await runner.client.execute("ZCARD", QUEUE) == 0
