"""Results are pushed to whoever waits: the server tells when a watched key changes, and only then is it read.

Pushes are at most once, so everything waited for is also looked at once a second.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from redis.exceptions import RedisError

from ..errors import JobCancelled, JobError, JobExpired, JobFailed, ResultGone
from ..wire import codec
from ..wire.keys import Keys
from ..wire.link import Link

LOOK_AGAIN_S = 1.0
LOOK_AT_MOST = 500


@dataclass(slots=True)
class Wait:
    """Everybody in this process who waits for one job."""

    keys: Keys
    job_id: str
    answers: list[asyncio.Future[codec.Result]] = field(default_factory=list["asyncio.Future[codec.Result]"])

    def answer(self, outcome: codec.Result | JobError) -> None:
        """Tell all of them."""
        for answer in self.answers:
            if answer.done():
                continue
            if isinstance(outcome, JobError):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


class Results:
    """Waits for results over one Link with tracking on.

    Args:
        link: reads through it are tracked by the server.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._waits: dict[str, Wait] = {}
        self._by_key: dict[bytes, Wait] = {}
        self._changed: dict[str, Wait] = {}
        self._looking: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None

    async def wait(self, keys: Keys, job_id: str) -> codec.Result:
        """Give the result envelope as soon as there is one.

        Raises:
            ResultGone: the job has ended, or never was, and no result is kept.
            JobFailed: it is a dead letter whose result is not kept any more.
        """
        result_key = keys.result(job_id)
        wait = self._waits.get(result_key)
        if wait is None:
            wait = self._waits[result_key] = Wait(keys, job_id)
            self._by_key[result_key.encode()] = self._by_key[keys.job(job_id).encode()] = wait
        answer: asyncio.Future[codec.Result] = asyncio.get_running_loop().create_future()
        wait.answers.append(answer)
        self._look_at([wait])
        try:
            return await answer
        finally:
            wait.answers.remove(answer)
            if not wait.answers:
                self._forget(wait)

    def note_changed(self, keys: list[bytes]) -> None:
        """Look again at the jobs behind these keys; at all of them when there are none."""
        if keys:
            self._look_at(wait for key in keys if (wait := self._by_key.get(key)) is not None)
        else:
            self._look_at(self._waits.values())

    def close(self) -> None:
        """Stop looking."""
        if self._again is not None:
            self._again.cancel()
        if self._looking is not None:
            self._looking.cancel()

    def _forget(self, wait: Wait) -> None:
        result_key = wait.keys.result(wait.job_id)
        if self._waits.get(result_key) is wait:
            del self._waits[result_key]
            self._by_key.pop(result_key.encode(), None)
            self._by_key.pop(wait.keys.job(wait.job_id).encode(), None)

    def _look_at(self, waits: Iterable[Wait]) -> None:
        for wait in waits:
            self._changed[wait.keys.result(wait.job_id)] = wait
        if self._changed and self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())
        if self._again is None and self._waits:
            self._again = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self._look_at(list(self._waits.values()))

    async def _look(self) -> None:
        try:
            while self._changed:
                some = [self._changed.pop(key) for key in list(self._changed)[:LOOK_AT_MOST]]
                replies = [self._read(wait) for wait in some]
                for wait, reply in zip(some, replies, strict=True):
                    await self._judge(wait, *(await asyncio.gather(*reply)))
        except (RedisError, OSError):
            return  # looked at again within LOOK_AGAIN_S
        finally:
            self._looking = None

    def _read(self, wait: Wait) -> tuple["asyncio.Future[Any]", ...]:
        """Ask whether the job waits or runs, and only then for its result: so that the two cannot both be missed."""
        execute, keys, job_id = self._link.execute, wait.keys, wait.job_id
        execute("CLIENT", "CACHING", "YES").add_done_callback(_ignore)
        exists = execute("EXISTS", keys.job(job_id))
        execute("CLIENT", "CACHING", "YES").add_done_callback(_ignore)
        return exists, execute("GET", keys.result(job_id))

    async def _judge(self, wait: Wait, exists: int, data: bytes | None) -> None:
        if data is not None:
            try:
                wait.answer(codec.decode_result(data))
            except msgspec.DecodeError as error:
                wait.answer(ResultGone(f"job {wait.job_id}: its result cannot be read here ({error})"))
        elif not exists:
            letter = await self._link.execute("HMGET", wait.keys.dead_letter(wait.job_id), "reason", "note")
            wait.answer(_buried(wait.job_id, *letter))


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


def _ignore(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
