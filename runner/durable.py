"""Durable steps: what a job has done, and what it waits for, is recorded with it and outlives its attempts.

step       runs once; the result is recorded under its name and given to later attempts
sleep      holds no slot: the attempt ends, and the job is due again when the time is over
wait_for   the same, until a signal comes; the n-th wait for a name is given the n-th signal of that name

The record is the job's HASH (wire/keys.py): it goes when the job succeeds or is cancelled, and stays with a
dead letter for its replay.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from .arguments import result_converter
from .client.patience import patiently
from .effects import span
from .errors import Delay, InvalidStep, LeaseLost, ServerError, SignalTimeout
from .job import Attempt
from .wire import codec
from .wire.durable import FULL, RECORDED, DurableScripts
from .wire.keys import Keys
from .wire.scripts import Execute

logger = logging.getLogger("runner.durable")

R = TypeVar("R")
T = TypeVar("T")

LONGEST_NAME = 200
LONGEST_WAIT_S = 3650 * 86_400


class Suspension(BaseException):
    """Ends an attempt whose job sleeps or waits for a signal; let it pass.

    Args:
        slot: field of the job's record that says until when.
        until_ms: the server's clock.
        reason: for people.
    """

    def __init__(self, slot: str, until_ms: int, reason: str) -> None:
        super().__init__(reason)
        self.slot = slot
        self.until_ms = until_ms
        self.reason = reason


@dataclass(slots=True)
class Journal:
    """What one attempt knows of its job's record.

    Attributes:
        known: what earlier attempts left, by field.
        used: fields of the steps that this attempt has asked for.
        counts: how often it has slept or waited under a name.
    """

    known: dict[str, bytes]
    used: set[str] = field(default_factory=set[str])
    counts: dict[str, int] = field(default_factory=dict[str, int])

    def next_slot(self, name: str) -> str:
        """Give the field of the next sleep or wait of that name: they are told apart by their order."""
        number = self.counts[name] = self.counts.get(name, 0) + 1
        return f"{name}#{number}"


class Durable:
    """Durable steps of one worker's jobs; what is behind ``ctx.step``, ``ctx.sleep``, ``ctx.wait_for``.

    Args:
        execute: sends one command.
        keys: of the queues served, by ZSET.
        limit: bytes that all records of one job may take.
        lease_s: how long the server may be away.
    """

    def __init__(self, execute: Execute, keys: Mapping[str, Keys], *, limit: int, lease_s: float) -> None:
        self._execute = execute
        self._scripts = DurableScripts(execute, limit=limit)
        self._keys = keys
        self._limit = limit
        self._patiently = partial(patiently, for_s=lease_s, address="the worker's redis_settings")

    async def step(self, attempt: Attempt, name: str, call: Callable[[], Awaitable[R]], fn: Any) -> R:
        """Run a call unless its result is recorded; see ``Context.step``."""
        journal = await self._journal(attempt)
        step = f"step:{checked_name('step', name)}"
        if step in journal.used:
            cure = f"give each a name of its own, such as f'{name} {{i}}' in a loop"
            msg = f"step '{name}' was asked for twice in one attempt: {cure}"
            raise InvalidStep(msg)
        journal.used.add(step)
        result = journal.known.get(step)
        if result is None:
            made = call()
            if not inspect.isawaitable(made):
                msg = f"step '{name}' takes a coroutine function and its arguments, not {fn!r}"
                raise InvalidStep(msg)
            result = _encoded(name, await made)
            await self._record(attempt, name, step, result)
        value = msgspec.json.decode(result)
        try:
            return result_converter(fn).rebuild(value)
        except TypeError:
            return value

    async def sleep(self, attempt: Attempt, delay: Delay | str, name: str) -> None:
        """Go on when the time is over; see ``Context.sleep``."""
        checked_name("sleep", name or "sleep")
        slot = (await self._journal(attempt)).next_slot(f"sleep:{name}")
        await self._wait(attempt, slot, "", _wait_ms(delay), "sleeping")

    async def wait_for(self, attempt: Attempt, name: str, timeout: Delay | str) -> Any:
        """Give the data of the next signal of that name; see ``Context.wait_for``."""
        checked_name("signal", name)
        slot = (await self._journal(attempt)).next_slot(f"wait:{name}")
        came = await self._wait(
            attempt, slot, f"signals:{name}", _wait_ms(timeout), f"waiting for signal '{name}'"
        )
        if came == b"-":
            msg = f"signal '{name}' did not come within {timeout}"
            raise SignalTimeout(msg)
        return msgspec.json.decode(came[1:])

    async def _wait(self, attempt: Attempt, slot: str, counter: str, for_ms: int, doing: str) -> bytes:
        known = attempt.journal.known.get(slot, b"?")
        if known[:1] != b"?":
            return known
        keys, job_id, token = self._keys[attempt.queue], attempt.job_id, attempt.token
        word, data = await self._patiently(
            lambda: self._scripts.wait(keys, job_id, token=token, slot=slot, counter=counter, for_ms=for_ms)
        )
        match word:
            case b"came":
                return data
            case b"held":
                raise Suspension(slot, int(data), f"{doing} until {_moment(int(data))}")
            case b"full":
                raise self._full(attempt)
            case _:
                raise _lost(attempt)

    async def _journal(self, attempt: Attempt) -> Journal:
        """Give what the attempt knows; the first call of one that has records reads them."""
        if attempt.journal is None:
            flat = await self._read(attempt) if attempt.records else []
            if attempt.journal is None:  # two steps of one attempt began side by side
                names = (name.decode() for name in flat[::2])
                known = {name: value for name, value in zip(names, flat[1::2], strict=True) if ":" in name}
                attempt.journal = Journal(known)
        return attempt.journal

    async def _read(self, attempt: Attempt) -> list[bytes]:
        record = self._keys[attempt.queue].record(attempt.job_id)
        return await self._patiently(lambda: self._execute("HGETALL", record))

    async def _record(self, attempt: Attempt, name: str, step: str, result: bytes) -> None:
        """Write a result down, however long the server is away: the step's effect has happened."""
        keys, job_id, token = self._keys[attempt.queue], attempt.job_id, attempt.token
        while True:
            try:
                verdict = await self._patiently(
                    lambda: self._scripts.step(keys, job_id, token=token, step=step, result=result)
                )
                break
            except ServerError as error:
                logger.warning("job %s has made step '%s' and cannot record it: %s", job_id, name, error)
                await asyncio.sleep(1)
        if verdict == FULL:
            raise self._full(attempt, f"; the result of step '{name}' takes {len(result):,}")
        if verdict != RECORDED:
            raise _lost(attempt)

    def _full(self, attempt: Attempt, what: str = "") -> InvalidStep:
        return InvalidStep(
            f"job {attempt.job_id} may record {self._limit:,} bytes (limits.steps) in 1,000 parts{what}. "
            "Store the data elsewhere and return a reference"
        )


def checked_name(what: str, name: str) -> str:
    """Refuse what cannot name a step, a sleep or a signal.

    Raises:
        InvalidStep: says what a name may be.
    """
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        msg = f"the name of a {what} is 1 to {LONGEST_NAME} printable characters, not {ascii(name)[:40]}"
        raise InvalidStep(msg)
    return name


def _encoded(name: str, value: Any) -> bytes:
    try:
        return codec.encode_value(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        msg = f"step '{name}' has run, and its result cannot be recorded: {error}"
        raise InvalidStep(msg) from error


def _wait_ms(given: Delay | str) -> int:
    if (wait_s := span(given)) > LONGEST_WAIT_S:
        msg = f"a job may wait ten years at most, not {given!r}"
        raise ValueError(msg)
    return round(wait_s * 1000)


def _lost(attempt: Attempt) -> LeaseLost:
    return LeaseLost(f"job {attempt.job_id} is not this attempt's any more: it can record nothing")


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
