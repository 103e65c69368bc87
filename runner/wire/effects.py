"""The scripts of locks and idempotency records, as typed calls that coalesce.

All their keys live under one prefix of their own, beside the queues: a lock or a record must mean the same
whichever queue a job came by. In layout ``tagged`` the prefix is one hash tag, so one call may carry many.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

from .coalesce import Coalesced
from .keys import Layout
from .lua_loader import load
from .outage import Outage
from .passing import TROUBLE
from .scripts import Execute, run_script

Patiently = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]

Verdict = Literal[0, 1, 2]
"""0 lost: another has it; 1 written; 2 written before by the same owner."""


# What is asked are bare tuples: each job makes some, and a NamedTuple takes six times as long to make.

LockAsk = tuple[str, str, int]
"""One lock to take: its name, the owner, and 1: or a place in the line before it."""

LockAnswer = bytes | int
"""The fence, as text. A number: it is busy, and its holder's lease ends in so many ms unless renewed."""


LockGive = tuple[str, str]
"""One lock, or place in line, to give up: its name, the owner."""

BeginAsk = tuple[str, str, str]
"""One effect to begin: digest, fingerprint, owner."""

BeginAnswer = tuple[bytes, bytes]
"""A word and its data: ``new``, or what idempotency_begin.lua says."""

_NEW: BeginAnswer = (b"new", b"")

_encode = msgspec.msgpack.Encoder().encode


Verb = Literal["lock", "begin"]
"""What can be asked: for locks, or for effects."""
_ASKED: dict[Verb, str] = {"lock": "lock_acquire", "begin": "idempotency_begin"}

Step = tuple[str, str, bytes]
"""All that an owner has recorded so far, as one value: digest, owner, data."""

EffectEnd = tuple[str, str, Literal["D", "F", "U", "N"], int, bytes]
"""How an effect ended: digest, owner, state (idempotency_finish.lua has the table), ms to keep it, data."""

Hold = tuple[str, str]
"""Something held under a lease: its key without the prefix, the owner."""


def owner_of(token: str, fence: int, job_id: str) -> str:
    """Give the word that names a holder to the scripts: lease token, fence and id of its job."""
    return f"{token} {fence} {job_id}"


def size_of_end(end: EffectEnd) -> int:
    """Give the bytes of an end's data."""
    return len(end[4])


def packed(entries: Iterable[Iterable[str | int]]) -> bytes:
    """Give entries as the one argument that scripts take: to send each apart costs twenty times as much."""
    return _encode(list(chain.from_iterable(entries)))


def packed_ends(ends: Sequence[EffectEnd]) -> tuple[bytes, ...]:
    """Give ends as ``idempotency_finish`` takes them: packed, but for the bytes of their data."""
    flat: list[Any] = list(chain.from_iterable(ends))
    data: list[bytes] = flat[4::5]
    del flat[4::5]
    return (_encode(flat), *data)


def prefix_of(layout: Layout) -> str:
    """Give the prefix of every key here."""
    return "runner:{effects}:" if layout == "tagged" else "runner:"


class EffectScripts:
    """The scripts, each gathering the calls of one moment.

    Args:
        execute: sends one command, once; what may be lost goes through it.
        patiently: makes a call again and again while the server is away.
        layout: how keys are named.
        bell: channel of this process.
        lease_ms: how long what is taken is kept unless renewed.


    Attributes:
        outage: what is known of one; ``ask`` notes when it begins.
        let_others_renew: awaited by ``ask`` after an outage, as long as others may not have renewed.
    """

    let_others_renew: Callable[[], Awaitable[None]] | None = None

    def __init__(
        self, execute: Execute, patiently: Patiently, *, layout: Layout, bell: str, lease_ms: int
    ) -> None:
        self._execute = execute
        self._patiently = patiently
        self._keys = (prefix_of(layout),)
        self._bell = bell
        self._lease_ms = lease_ms
        self.outage = Outage(lease_ms / 1000)
        self.lock = Coalesced(self._lock)
        self.release = Coalesced(self._release)
        self.begin = Coalesced(self._begin)
        self.step = Coalesced(self._step, size=lambda step: len(step[2]))
        self.finish = Coalesced(self._finish, size=size_of_end)
        self.leave = Coalesced(self.write)
        self.keep = Coalesced(self._keep)

    async def ask(self, verb: Verb, asks: Sequence[Any]) -> Sequence[Any]:
        """Ask for up to 500 locks (LockAsk, LockAnswer) or effects (BeginAsk, BeginAnswer), once.

        Raises:
            ServerError, redis.exceptions.RedisError: nobody knows what was taken; ask again.
        """
        if self.let_others_renew is not None and self.outage.is_felt():
            await self.let_others_renew()
        args, script = (0, self._lease_ms, self._bell, packed(asks)), _ASKED[verb]
        try:
            reply = await run_script(self._execute, script, self._keys, args)
        except TROUBLE:
            self.outage.begin()
            raise
        if verb == "lock":
            return reply
        answers: list[BeginAnswer] = [_NEW] * len(asks)
        for n in range(0, len(reply), 3):
            answers[reply[n]] = (reply[n + 1], reply[n + 2])
        return answers

    async def _lock(self, asks: Sequence[LockAsk]) -> Sequence[LockAnswer]:
        return await self._patiently(lambda: self.ask("lock", asks))

    async def _release(self, gives: Sequence[LockGive]) -> list[Verdict]:
        args = (0, self._lease_ms, packed(gives))
        return await run_script(self._execute, "lock_release", self._keys, args)

    async def _begin(self, asks: Sequence[BeginAsk]) -> Sequence[BeginAnswer]:
        return await self._patiently(lambda: self.ask("begin", asks))

    async def _step(self, steps: Sequence[Step]) -> list[Verdict]:
        args = (packed(step[:2] for step in steps), *(step[2] for step in steps))
        return await self._run("idempotency_step", args)

    async def _finish(self, ends: Sequence[EffectEnd]) -> list[Verdict]:
        return await self._run("idempotency_finish", packed_ends(ends))

    async def write(self, ends: Sequence[EffectEnd]) -> list[Verdict]:
        """Write how effects ended, once: up to 500 and 4 MiB of them.

        Raises:
            redis.exceptions.RedisError: nobody knows whether they were written; send them again.
        """
        return await run_script(self._execute, "idempotency_finish", self._keys, packed_ends(ends))

    def send_gives(self, gives: Sequence[LockGive]) -> Any:
        """Give up to 500 locks up, the reply as ``execute`` gives it; the script has to be loaded."""
        args = (0, self._lease_ms, packed(gives))
        return self._execute("EVALSHA", load("lock_release").sha, 1, *self._keys, *args)

    def send_ends(self, ends: Sequence[EffectEnd]) -> Any:
        """Send what ``write`` sends and give the reply as ``execute`` does; the script has to be loaded."""
        return self._execute("EVALSHA", load("idempotency_finish").sha, 1, *self._keys, *packed_ends(ends))

    async def _keep(self, holds: Sequence[Hold]) -> list[Verdict]:
        args = (0, self._lease_ms, packed(holds))
        return await run_script(self._execute, "keep_held", self._keys, args)

    async def reach(self) -> None:
        """Come back when the server takes writes; keeps what nobody holds.

        Raises:
            redis.exceptions.RedisError: it does not.
        """
        await self._keep([("", "")])

    async def _run(self, verb: str, args: tuple[Any, ...]) -> Any:
        return await self._patiently(lambda: run_script(self._execute, verb, self._keys, args))
