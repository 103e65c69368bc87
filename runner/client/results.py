"""Results are pushed to whoever waits: the server tells when a watched key changes, and only then is it read.

Pushes are at most once, so once a second one command asks whether any of those waited for has ended.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..errors import JobCancelled, JobError, JobExpired, JobFailed, ResultGone, RunnerError
from ..wire import codec
from ..wire.keys import Keys
from ..wire.opening import AnyLink
from ..wire.passing import TROUBLE, is_passing
from .patience import refusal

LOOK_AGAIN_S = 1.0
LOOK_AT_MOST = 500

Ending = codec.Result | RunnerError
"""How a wait ends: with an envelope, or with what is raised instead."""


@dataclass(slots=True)
class Wait:
    """Everybody in this process who waits for one job."""

    keys: Keys
    job_id: str
    answers: set["asyncio.Future[Ending]"] = field(default_factory=set["asyncio.Future[Ending]"])

    def answer(self, ending: Ending) -> None:
        """Tell all of them."""
        for answer in self.answers:
            if not answer.done():
                answer.set_result(ending)


class Results:
    """Waits for results over one Link with tracking on.

    Args:
        link: reads through it are tracked by the server.
        address: what to call the server in errors.
    """

    def __init__(self, link: AnyLink, address: str = "?") -> None:
        self._link = link
        self._address = address
        self._waits: dict[str, Wait] = {}
        self._by_key: dict[bytes, Wait] = {}
        self._changed: dict[str, Wait] = {}
        self._looking: asyncio.Task[None] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None

    async def wait(self, keys: Keys, job_id: str) -> codec.Result:
        """Give the result envelope as soon as there is one.

        Raises:
            ResultGone: the job has ended, or never was, and no result is kept.
            JobFailed: it is a dead letter whose result is not kept any more.
            JobExpired: it did not start in time, and its result is not kept any more.
            ServerError: the server refuses to say.
            RunnerError: this was closed.
        """
        result_key = keys.result(job_id)
        wait = self._waits.get(result_key)
        if wait is None:
            wait = self._waits[result_key] = Wait(keys, job_id)
            self._by_key[result_key.encode()] = self._by_key[keys.job(job_id).encode()] = wait
        answer: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        wait.answers.add(answer)
        self._look_at([wait])
        try:
            ending = await answer
        finally:
            wait.answers.discard(answer)
            if not wait.answers:
                self._forget(wait)
        if isinstance(ending, RunnerError):
            raise type(ending)(*ending.args)  # its own: a shared one would gather everybody's traceback
        return ending

    def note_changed(self, keys: list[bytes]) -> None:
        """Look again at the jobs behind these keys; at all of them when there are none."""
        if keys:
            self._look_at(wait for key in keys if (wait := self._by_key.get(key)) is not None)
        else:
            self._look_at(self._waits.values())

    def close(self) -> None:
        """Stop looking, and tell whoever waits that nothing will come any more."""
        for running in (self._again, self._looking, self._sweeping):
            if running is not None:
                running.cancel()
        for wait in self._waits.values():
            msg = f"the runner was closed while the result of job {wait.job_id} was awaited; the job goes on"
            wait.answer(RunnerError(msg))

    def _forget(self, wait: Wait) -> None:
        result_key = wait.keys.result(wait.job_id)
        if self._waits.get(result_key) is wait:
            del self._waits[result_key]
            self._by_key.pop(result_key.encode(), None)
            self._by_key.pop(wait.keys.job(wait.job_id).encode(), None)

    def _look_at(self, waits: Iterable[Wait]) -> None:
        loop = asyncio.get_running_loop()
        for wait in waits:
            self._changed[wait.keys.result(wait.job_id)] = wait
        if self._changed and self._looking is None:
            self._looking = loop.create_task(self._look())
        if self._again is None and self._sweeping is None and self._waits:
            self._again = loop.call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        if self._waits:
            self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """Ask of many at once whether all of them still wait or run; read only where some do not."""
        waits = list(self._waits.values())
        try:
            for some in _in_one_slot(waits):
                if await self._link.execute("EXISTS", *_payloads(some)) < len(some):
                    self._look_at(some)
        except TROUBLE:
            self._look_at(waits)  # it is said, or passes by itself, there
        finally:
            self._sweeping = None
            self._look_at(())

    async def _look(self) -> None:
        try:
            while self._changed:
                some = [self._changed.pop(key) for key in list(self._changed)[:LOOK_AT_MOST]]
                asked = [(wait, *self._ask(wait)) for wait in some if wait.answers]
                without = [wait for wait, exists, data in asked if await self._judge(wait, exists, data)]
                letters = [(wait, self._ask_letter(wait)) for wait in without]
                for wait, letter in letters:
                    await self._open_letter(wait, letter)
        finally:
            self._looking = None

    def _ask(self, wait: Wait) -> tuple["asyncio.Future[Any]", "asyncio.Future[Any]"]:
        """Ask whether the job waits or runs, and only then for its result: the two cannot both be missed."""
        execute, keys, job_id = self._link.execute, wait.keys, wait.job_id
        sent = (
            execute("CLIENT", "CACHING", "YES"),
            execute("EXISTS", keys.job(job_id)),
            execute("CLIENT", "CACHING", "YES"),
            execute("GET", keys.result(job_id)),
        )
        for reply in sent:
            reply.add_done_callback(_ignore)
        return sent[1], sent[3]

    async def _judge(
        self, wait: Wait, exists: "asyncio.Future[int]", data: "asyncio.Future[bytes | None]"
    ) -> bool:
        """Answer a wait whose result is there; True when the job is gone without one."""
        try:
            is_there, envelope = await exists, await data
        except TROUBLE as error:
            self._note_trouble(wait, error)
            return False
        if envelope is not None:
            wait.answer(_read(wait.job_id, envelope))
            return False
        return not is_there

    def _ask_letter(self, wait: Wait) -> "asyncio.Future[Any]":
        reply = self._link.execute("HMGET", wait.keys.dead_letter(wait.job_id), "reason", "note")
        reply.add_done_callback(_ignore)
        return reply

    async def _open_letter(self, wait: Wait, letter: "asyncio.Future[Any]") -> None:
        try:
            reason, note = await letter
        except TROUBLE as error:
            self._note_trouble(wait, error)
        else:
            wait.answer(_buried(wait.job_id, reason, note))

    def _note_trouble(self, wait: Wait, error: BaseException) -> None:
        """Leave to the next look what passes by itself; say what does not."""
        if not is_passing(error):
            wait.answer(refusal(error, self._address))


def _read(job_id: str, envelope: bytes) -> Ending:
    try:
        return codec.decode_result(envelope)
    except (msgspec.DecodeError, RecursionError) as error:
        return ResultGone(f"job {job_id}: it has ended, but its result cannot be read here ({error})")


def _buried(job_id: str, reason: bytes | None, note: bytes | None) -> JobError:
    if reason is None:
        return ResultGone(f"job {job_id}: it has ended, or never was, and no result of it is kept")
    if reason == b"expired":
        return JobExpired(f"job {job_id}: it did not start in time")
    try:
        error = msgspec.json.decode(note or b"{}").get("error", {})
    except msgspec.DecodeError:
        error = {}
    return JobFailed(error.get("type", reason.decode()), error.get("message", ""), error.get("traceback", ""))


def raise_or_value(result: codec.Result, job_id: str) -> Any:
    """Give what the task returned.

    Raises:
        JobFailed: it raised.
        JobCancelled: it was cancelled.
        JobExpired: it did not start in time.
    """
    if result.s:
        return result.r
    if result.o == "cancelled":
        msg = f"job {job_id} was cancelled"
        raise JobCancelled(msg)
    error = codec.exception_of(result)
    if isinstance(error, JobExpired):
        msg = f"job {job_id}: {error}"
        raise JobExpired(msg)
    raise error


def _in_one_slot(waits: Iterable[Wait]) -> Iterator[list[Wait]]:
    """Group them so that one command may name the keys of a group, 500 at most."""
    by_prefix: dict[str, list[Wait]] = {}
    for wait in waits:
        by_prefix.setdefault(wait.keys.arq, []).append(wait)
    for group in by_prefix.values():
        yield from (group[start : start + LOOK_AT_MOST] for start in range(0, len(group), LOOK_AT_MOST))


def _payloads(waits: Iterable[Wait]) -> list[str]:
    return [wait.keys.job(wait.job_id) for wait in waits]


def _ignore(reply: "asyncio.Future[Any]") -> None:
    """Mark an error as seen: whoever awaits the reply sees it, and so may nobody."""
    if not reply.cancelled():
        reply.exception()
