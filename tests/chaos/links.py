"""Trouble on the way: between workers, clients and the server; to receiver and gateway; and failovers."""

import asyncio
import time

from .proxy import Proxy
from .servers import Cluster, Guarded, Node, ready
from .stage import Stage

HELD_S = (2.5, 5.0)
REST_S = 5.0


async def link_is_slow(stage: Stage, count: int) -> None:
    """20 ms and up to 60 more on each piece, with spells in which bytes drip."""
    proxy = _proxy(stage)
    proxy.latency_s, proxy.jitter_s = 0.02, 0.06
    async for _ in stage.moments(count):
        proxy.drips = True
        await asyncio.sleep(stage.rng.uniform(1, 2))
        proxy.drips = False
        stage.done["drip spells"] += 1
    proxy.latency_s = proxy.jitter_s = 0.0


async def link_is_cut(stage: Stage, count: int) -> None:
    """Connections are reset, some at a time; and spells in which none can be made."""
    proxy = _proxy(stage)
    async for number in stage.moments(count):
        proxy.cut(stage.rng.randint(1, 6))
        if number % 10 == 9:
            proxy.refuse()
            await asyncio.sleep(stage.rng.uniform(0.5, 2.5))
            await proxy.accept()
            stage.back_at.append(time.monotonic())


async def link_is_half_open(stage: Stage, count: int) -> None:
    """Connections stay and nothing goes through; then what was held arrives late, or is lost."""
    proxy = _proxy(stage)
    async for _ in stage.moments(count, 0.8, rest_s=REST_S):
        proxy.hold()
        await asyncio.sleep(stage.rng.uniform(*HELD_S))
        proxy.flow()
        stage.back_at.append(time.monotonic())


async def replies_are_swallowed(stage: Stage, count: int) -> None:
    """A script is executed, and its reply lost with its connection."""
    proxy = _proxy(stage)
    async for _ in stage.moments(count):
        proxy.swallow(1)


async def far_side_errs(stage: Stage, count: int) -> None:
    """Receiver and gateway do what they were asked, and their answer is lost, cut or held."""
    async for number in stage.moments(count):
        for proxy in (stage.to_receiver, stage.to_gateway):
            match number % 3:
                case 0:
                    proxy.swallow(5)
                case 1:
                    proxy.cut(10)
                case _:
                    proxy.hold()
                    await asyncio.sleep(stage.rng.uniform(0.5, 2.5))
                    proxy.flow()


async def sentinels_fail_over(stage: Stage, count: int) -> None:
    """SIGKILL the master; the old one comes back as a replica, and the next failover is to it."""
    guarded = stage.around
    assert isinstance(guarded, Guarded)
    by_port = {node.port: node for node in (guarded.master, guarded.replica)}
    async for _ in stage.moments(count, until=0.7):
        master = by_port[guarded.master_port()]
        other = next(node for node in by_port.values() if node is not master)
        await asyncio.to_thread(master.kill9)
        stage.done["master SIGKILL"] += 1
        await ready(lambda other=other: guarded.master_port() == other.port)
        stage.back_at.append(time.monotonic())
        master.options = (*_serving(master), "--replicaof", "127.0.0.1", str(other.port))
        await asyncio.to_thread(master.start)
        await ready(lambda master=master: _follows(master))
        await asyncio.sleep(1)


async def masters_die(stage: Stage, count: int) -> None:
    """SIGKILL one master after the other; its replica takes over."""
    cluster = stage.around
    assert isinstance(cluster, Cluster)
    async for number in stage.moments(count, until=0.7):
        master, replica = cluster.nodes[number % 3], cluster.nodes[3 + number % 3]
        await asyncio.to_thread(master.kill9)
        stage.done["master SIGKILL"] += 1
        await ready(lambda node=replica: node.ask("ROLE")[0] == b"master")
        stage.back_at.append(time.monotonic())
        await asyncio.to_thread(master.start)
        await ready(lambda node=master: _follows(node))


def _proxy(stage: Stage) -> Proxy:
    assert stage.proxy is not None
    return stage.proxy


def _serving(node: Node) -> tuple[str, ...]:
    return ("--port", str(node.port), "--appendonly", "no", "--repl-diskless-sync-delay", "0")


def _follows(node: Node) -> bool:
    """Whether it is a replica that has all its master has."""
    return node.ask("INFO", "replication").get("master_link_status") == "up"
