"""Trouble with processes: workers and the server killed, held and restarted; disk, memory, clock, scripts."""

import asyncio
import os
import time

from runner.wire.keys import keys_of

from .servers import Clocked, aof_of
from .stage import Stage

FULL_S = 4.0
LONGEST_FULL_S = 30.0
"""On a machine so slow that no job has ended by then."""
HOUR_S = 3600
QUEUES = ("critical", "default", "bulk")
HELD_LEASES = (1.5, 3.0)


async def workers_die(stage: Stage, count: int) -> None:
    """Kill workers one after the other; hold two of them beyond their lease."""
    held = []
    async for number in stage.moments(count):
        await stage.crew.kill()
        if number % max(1, count // 2) == 0:
            leases = stage.rng.uniform(*HELD_LEASES)
            held.append(asyncio.create_task(stage.crew.hold(leases * stage.lease_s)))
    await asyncio.gather(*held)


async def server_dies(stage: Stage, count: int) -> None:
    """SIGKILL and clean restarts in turn."""
    async for number in stage.moments(count, 0.9, rest_s=1.0):
        await stage.restart(in_order=number % 2 == 1, dead_s=stage.rng.uniform(0.1, 1.0))


async def server_freezes(stage: Stage, count: int) -> None:
    """SIGSTOP for longer than every timeout, connections stay open."""
    assert stage.server is not None
    async for _ in stage.moments(count, 0.8, rest_s=3.0):
        stage.server.pause()
        await asyncio.sleep(stage.rng.uniform(2.5, 3.5))
        stage.server.resume()
        stage.back_at.append(time.monotonic())
        stage.done["server SIGSTOP"] += 1


async def tail_cut_always(stage: Stage, count: int) -> None:
    """Cut the file behind the last acknowledged enqueue: harsher than a loss of power, which spares what is
    fsynced of the workers' own writes too."""
    assert stage.server is not None
    async for _ in stage.moments(count):
        await stage.load.quiet()
        safe = aof_of(stage.server).stat().st_size
        await asyncio.sleep(stage.rng.uniform(0.05, 0.4))
        await _kill_and_cut(stage, safe)
        stage.load.allowed.set()


async def tail_cut_everysec(stage: Stage, count: int) -> None:
    """Cut what was written in the last second: all that a loss of power may take under everysec."""
    assert stage.server is not None
    sizes: list[int] = []

    async def sample() -> None:
        while True:
            sizes.append(aof_of(stage.server).stat().st_size)  # type: ignore[arg-type]
            await asyncio.sleep(0.1)

    sampling = asyncio.create_task(sample())
    try:
        async for _ in stage.moments(count):
            await _kill_and_cut(stage, sizes[-min(len(sizes), 10)])
            sizes.clear()
            sizes.append(aof_of(stage.server).stat().st_size)
    finally:
        sampling.cancel()


async def _kill_and_cut(stage: Stage, safe: int) -> None:
    assert stage.server is not None
    await asyncio.to_thread(stage.server.kill9)
    path = aof_of(stage.server)
    size = path.stat().st_size
    at = stage.rng.randint(min(safe, size), size)
    os.truncate(path, at)
    stage.done["AOF tail cut"] += 1
    stage.figures["AOF bytes cut"] += size - at
    await stage.start_server()


async def memory_is_full(stage: Stage, count: int) -> None:
    """Refuse all that takes memory for some seconds, and see that running jobs still end."""
    assert stage.server is not None
    async for _ in stage.moments(count, until=0.7):
        used = stage.server.ask("INFO", "memory")["used_memory"]
        before = stage.ended(), stage.load.refused["QueueFull"]
        stage.server.ask("CONFIG", "SET", "maxmemory", int(used))
        full_at = time.monotonic()
        while (spell_s := time.monotonic() - full_at) < FULL_S or (
            stage.ended() == before[0] and spell_s < LONGEST_FULL_S
        ):
            await asyncio.sleep(0.2)
        stage.figures["jobs ended while memory was full"] += stage.ended() - before[0]
        stage.figures["enqueues refused while memory was full"] += stage.load.refused["QueueFull"] - before[1]
        stage.server.ask("CONFIG", "SET", "maxmemory", 0)
        stage.done["memory full"] += 1
    if not stage.figures["jobs ended while memory was full"]:
        stage.load.foreign.append("no job ended while memory was full")


async def disk_is_full(stage: Stage, count: int) -> None:
    """Fill the disk that the append-only file is on: under everysec the server refuses writes meanwhile."""
    assert stage.server is not None
    assert stage.disk is not None
    async for _ in stage.moments(count, until=0.7):
        stage.disk.fill()
        await asyncio.sleep(FULL_S)
        stage.disk.free()
        stage.done["disk full"] += 1
        process = stage.server.process
        if process is not None and process.poll() is not None:  # under always it ends rather than lie
            stage.done["server ended by itself for the disk"] += 1
            await asyncio.to_thread(stage.server.kill9)
            await stage.start_server()


async def scripts_vanish(stage: Stage, count: int) -> None:
    """SCRIPT FLUSH."""
    assert stage.server is not None
    async for _ in stage.moments(count):
        stage.server.ask("SCRIPT", "FLUSH", "SYNC")
        stage.done["SCRIPT FLUSH"] += 1


async def clock_jumps(stage: Stage, count: int) -> None:
    """An hour forth or back, and home again; a worker dies when its leases are an hour too long.

    What was put off while the clock was ahead waits for that hour to
    come again, as anything does that is due at a time; at the end it comes at once, so that all can end.
    """
    assert isinstance(stage.server, Clocked)
    async for number in stage.moments(count):
        await stage.server.jump(0 if number % 2 else stage.rng.choice((HOUR_S, -HOUR_S)))
        stage.done["clock jump"] += 1
        await stage.crew.kill()
    await asyncio.sleep(3 * stage.lease_s)
    far_ms = (stage.server.ask("TIME")[0] + HOUR_S // 2) * 1000
    for name in QUEUES:
        put_off = stage.server.ask("ZCOUNT", keys_of(name).queue, far_ms, "+inf")
        stage.figures["jobs put off until the clock's hour comes again"] += put_off
    await stage.server.jump(HOUR_S)
    stage.done["clock jump"] += 1


async def storm(stage: Stage, count: int) -> None:
    """Everything at once, in the proportions of T2: for each ten kills of workers one of the server."""
    assert stage.server is not None
    assert stage.proxy is not None
    held: list[asyncio.Task[None]] = []
    async for number in stage.moments(count):
        await (stage.crew.lay() if number % 5 == 4 else stage.crew.kill())
        stage.proxy.cut(4)
        stage.proxy.swallow(4)
        if number % 5 == 0:
            leases = stage.rng.uniform(2, 4)
            held += [asyncio.create_task(stage.crew.hold(leases * stage.lease_s)) for _ in range(2)]
        if number % 5 == 1:
            await stage.restart(in_order=number % 10 == 1)
        if number % 5 == 2:
            for _ in range(2):
                stage.server.ask("SCRIPT", "FLUSH")
                stage.done["SCRIPT FLUSH"] += 1
        if number % 10 == 3:
            stage.to_receiver.cut(10)
            stage.to_gateway.swallow(5)
    await asyncio.gather(*held)
