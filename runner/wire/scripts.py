"""One typed call per Lua script; the one table from the server's error words to our exceptions.

``execute`` is anything that sends one command and gives its reply: a Link (calls of one loop iteration share
a round trip), a redis-py client, or a test's.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.exceptions import NoScriptError, OutOfMemoryError, ResponseError

from ..errors import QueueFull
from . import lua_loader
from .keys import Keys

Execute = Callable[..., Awaitable[Any]]

MAX_BATCH = 500
"""Jobs one script call may carry: Lua's unpack and the server's patience both end not far above."""


class Entry(NamedTuple):
    """One job to enqueue. ``at_ms`` 0 means ``delay_ms`` from the server's now; ``lane`` is a spec or ''."""

    job_id: str
    at_ms: int
    delay_ms: int
    payload: bytes
    lane: str = ""


class Claimed(NamedTuple):
    """One leased job."""

    job_id: str
    payload: bytes | None
    attempt: int
    due_at_ms: int
    fence: int
    deaths: int
    snoozes: int
    last_delay_ms: int
    alone: bool
    aborted: bool
    has_turn: bool = False
    records: int = 0
    is_laned: bool = False
    is_skipped: bool = False


class End(NamedTuple):
    """How one attempt ended, as ``finish.lua`` takes it; its header is the table of verbs."""

    job_id: str
    token: str
    fence: int
    verb: str
    ms: int
    result: bytes
    note: str
    attempt: int
    node: bytes = b""


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer of a claim.

    Attributes:
        now_ms: the server's clock.
        next_due_ms: until the next job falls due or the next lease ends; -1 for nothing in sight.
        more: more may be due than was asked for.
        isolate: this worker was chosen to run suspects: claim nothing until idle.
        lanes_wait: lanes wait under gates: ends of this worker's jobs may let one go on.
        cancels: somebody was asked to stop, to make place.
        jobs: what was leased.
    """

    now_ms: int
    next_due_ms: int
    more: bool
    isolate: bool
    lanes_wait: bool
    cancels: bool
    jobs: list[Claimed]


class Verdict:
    """What ``finish`` says of an end."""

    LOST = 0
    WRITTEN = 1
    REPEATED = 2


class Scripts:
    """The scripts, sent through one ``execute``."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def enqueue(self, keys: Keys, entries: Sequence[Entry], *, now_ms: int = 0) -> list[bool]:
        """Put up to 500 jobs into one queue; True where a job was made, False where its id was taken.

        Raises:
            QueueFull: the server is out of memory; nothing was written.
        """
        flat = [part for entry in entries for part in entry]
        reply = await self._run(
            "enqueue", (keys.queue, keys.abort), (keys.arq, keys.ours, keys.here, now_ms, *flat)
        )
        return [made == 1 for made in reply]

    async def claim(
        self,
        keys: Keys,
        *,
        token: str,
        worker: str,
        limit: int,
        lease_ms: int,
        is_idle: bool = False,
        is_resent: bool = False,
        now_ms: int = 0,
    ) -> Claim:
        """Lease up to ``limit`` (0..500) due jobs; 0 with ``is_resent`` only gives back."""
        reply = await self._run(
            "claim",
            (keys.queue, keys.running, keys.suspects, keys.dead, keys.abort, keys.ward, keys.paused),
            (
                keys.arq,
                keys.ours,
                keys.here,
                now_ms,
                token,
                worker,
                limit,
                lease_ms,
                is_idle + 0,
                is_resent + 0,
            ),
        )
        jobs = [_claimed(*reply[i : i + 12]) for i in range(5, len(reply), 12)]
        now, due, more, isolate, waits = reply[:5]
        return Claim(now, due, more == 1, isolate == 1, waits > 0, waits == 2, jobs)

    async def finish(self, keys: Keys, ends: Iterable[End], *, now_ms: int = 0) -> list[int]:
        """Write how up to 500 attempts ended; a Verdict for each."""
        flat = [part for end in ends for part in end]
        return await self._run(
            "finish",
            (keys.queue, keys.running, keys.suspects, keys.dead, keys.abort, keys.nodes_ended),
            (keys.arq, keys.ours, keys.here, now_ms, *flat),
        )

    async def renew(
        self, keys: Keys, leases: Iterable[tuple[str, str]], *, lease_ms: int, now_ms: int = 0
    ) -> list[str]:
        """Move the ends of up to 500 leases, given as (id, token); the ids of those that are lost."""
        flat = [part for lease in leases for part in lease]
        names = (keys.queue, keys.running, keys.suspects, keys.ward)
        lost = await self._run("renew", names, (keys.arq, keys.ours, now_ms, lease_ms, *flat))
        return [job_id.decode() for job_id in lost]

    async def cancel(
        self,
        keys: Keys,
        job_id: str,
        *,
        result: bytes,
        keep_ms: int,
        only_waiting: bool = False,
        node: bytes = b"",
        now_ms: int = 0,
    ) -> int:
        """End a waiting job or ask a running one to stop: 0 no such job, 1 cancelled, 2 asked, 3 runs on."""
        return await self._run(
            "cancel",
            (keys.queue, keys.running, keys.suspects, keys.abort, keys.nodes_ended),
            (keys.arq, keys.ours, keys.here, now_ms, job_id, result, keep_ms, int(only_waiting), node),
        )

    async def progress(self, keys: Keys, job_id: str, *, token: str, note: str) -> int:
        """Note how far a running job is; a Verdict."""
        names = (keys.queue, keys.running)
        return await self._run("progress", names, (keys.arq, keys.ours, job_id, token, note))

    async def maintain(self, keys: Keys, *, cursor: int, limit: int = 100, now_ms: int = 0) -> int:
        """Make one bounded step of upkeep; the next cursor, 0 at the end."""
        names = (keys.queue, keys.abort, keys.running)
        return await self._run("maintain", names, (keys.arq, keys.ours, keys.here, now_ms, cursor, limit))

    async def set_rules(self, keys: Keys, rules: Mapping[str, str], *, now_ms: int = 0) -> None:
        """Set rules of lanes and gates; empty text takes one back. ``rules_set.lua`` has their names."""
        flat = [part for rule in rules.items() for part in rule]
        while await self._run("rules_set", (keys.queue,), (keys.here, now_ms, *flat)):
            pass

    def _run(self, verb: str, keys: tuple[str, ...], args: tuple[Any, ...]) -> Awaitable[Any]:
        return run_script(self._execute, verb, keys, args)


def _claimed(
    job_id: bytes,
    payload: bytes | None,
    attempt: Any,
    due_ms: Any,
    fence: Any,
    deaths: Any,
    snoozes: Any,
    last_delay_ms: Any,
    alone: Any,
    aborted: Any,
    flags: Any,
    lane: Any,
) -> Claimed:
    """Read one job of a claim's answer: its numbers are integers or text."""
    flags, lane = int(flags), int(lane)
    return Claimed(
        job_id.decode(),
        payload,
        int(attempt),
        int(float(due_ms)),
        int(fence),
        int(deaths),
        int(snoozes),
        int(last_delay_ms),
        int(alone) == 1,
        int(aborted) == 1,
        flags & 1 == 1,
        flags >> 1,
        lane > 0,
        lane == 2,
    )


async def run_script(execute: Execute, verb: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
    """Run a script by its verb, and load it where the server does not have it.

    Raises:
        QueueFull: the server is out of memory and the script takes in new work; nothing was written.
    """
    return await send_script(execute, lua_loader.load(verb), keys, args)


async def send_script(
    execute: Execute, script: lua_loader.Script, keys: Sequence[str], args: Sequence[Any]
) -> Any:
    """Run a script, and load it where the server does not have it; raises as ``run_script`` does."""
    try:
        try:
            return await execute("EVALSHA", script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return await execute("EVAL", script.source, len(keys), *keys, *args)
    except OutOfMemoryError as error:
        raise QueueFull(_FULL) from error
    except ResponseError as error:
        if str(error).startswith("OOM"):
            raise QueueFull(_FULL) from error
        raise


_FULL = (
    "the server is out of memory and takes no new jobs; running ones go on. "
    "Raise maxmemory or drain the queues"
)
