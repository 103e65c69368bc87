"""The scripts of durable steps, waits and signals, as typed calls."""

from typing import Literal

from .keys import Keys
from .scripts import Execute, run_script

WaitAnswer = tuple[Literal[b"came", b"held", b"lost", b"full"], bytes]
"""A word and its data; wait.lua has the table."""

LOST = 0
RECORDED = 1
FULL = 3


class DurableScripts:
    """The scripts, sent through one ``execute``; each is safe to be sent twice.

    Args:
        execute: sends one command.
        limit: bytes that all records of one job may take.
    """

    def __init__(self, execute: Execute, *, limit: int) -> None:
        self._execute = execute
        self._limit = limit

    async def step(self, keys: Keys, job_id: str, *, token: str, step: str, result: bytes) -> int:
        """Record a step's result: RECORDED, FULL, or anything else when the lease is lost."""
        args = (keys.arq, keys.ours, job_id, token, step, result, self._limit)
        return await run_script(self._execute, "step", (keys.queue, keys.running), args)

    async def wait(
        self, keys: Keys, job_id: str, *, token: str, slot: str, counter: str, for_ms: int, now_ms: int = 0
    ) -> WaitAnswer:
        """Ask whether what is waited for has come."""
        args = (keys.arq, keys.ours, now_ms, job_id, token, slot, counter, for_ms, self._limit)
        word, data = await run_script(self._execute, "wait", (keys.queue, keys.running), args)
        return word, data

    async def signal(
        self, keys: Keys, job_id: str, *, name: str, key: str, data: bytes, now_ms: int = 0
    ) -> int:
        """Hand a signal to a job: RECORDED, FULL, or 0 when there is no such job."""
        args = (keys.arq, keys.ours, now_ms, job_id, name, key, data, self._limit)
        return await run_script(self._execute, "signal", (keys.queue,), args)
