"""Worker processes for the payment tests, forked from one that has everything imported, and killed at will.

| crash point | the process is killed -9 |
| --- | --- |
| before_send | with `sending` written, before the first byte |
| after_send | when the gateway has the request, before its answer is read |
| answer_read | with the answer in hand, before it is judged |
| before_complete | with the outcome judged, before it is written |
| after_complete | with the outcome written, before the job has ended |
"""

import asyncio
import multiprocessing
import os
import signal

import httpx

from jobs.payment.http_gateway import HttpGateway
from jobs.payment.store import Store
from runner.app import Runner
from runner.settings import Settings

CRASH_POINTS = ("before_send", "after_send", "answer_read", "before_complete", "after_complete")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["runner.app", "jobs.payment", "runner.engine.worker", "aiohttp", "arq"])


def start_worker(settings: dict, crash_at: str = ""):
    """Start a worker process; it dies at the crash point the first time it comes there."""
    process = _CONTEXT.Process(target=run_worker, args=(settings, crash_at), daemon=True)
    process.start()
    return process


async def death_of(process, within_s: float = 30) -> int:
    """Wait until a process is dead, in the one thread that ever asks for its exit code.

    The fork server tells that code once. Starting a process asks for the codes of all others: a ``join`` in
    another thread at the same moment finds nothing to read, and Python says 255.
    """
    dead = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(process.sentinel, dead.set)
    try:
        await asyncio.wait_for(dead.wait(), within_s)
    finally:
        loop.remove_reader(process.sentinel)
    return process.exitcode


def run_worker(settings: dict, crash_at: str) -> None:
    if crash_at:
        _lay(crash_at, settings["payments"]["url"])
    asyncio.run(_serve(settings))


async def _serve(settings: dict) -> None:
    runner = Runner(Settings.model_validate(settings))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with runner.worker():
        await stop.wait()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _lay(crash_at: str, url: str) -> None:
    """Wrap the one step; the code under test knows nothing of it."""
    execute, record = HttpGateway.execute, Store.record

    async def execute_then_die(self, order):
        if crash_at == "before_send":
            _die()
        if crash_at == "after_send":
            asyncio.get_running_loop().create_task(_die_when_seen(url))
            await execute(self, order)
            await asyncio.Event().wait()
        outcome = await execute(self, order)
        if crash_at == "answer_read":
            _die()
        return outcome

    async def record_then_die(self, *args, **kwargs):
        if crash_at == "before_complete":
            _die()
        written = await record(self, *args, **kwargs)
        if crash_at == "after_complete":
            _die()
        return written

    HttpGateway.execute = execute_then_die
    Store.record = record_then_die


async def _die_when_seen(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(f"{url}/_sandbox")).json()["seen"] == 0:
            await asyncio.sleep(0.002)
    _die()
