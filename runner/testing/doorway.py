"""The door through which commands leave this process, with a guard who moves time and makes faults happen.

Every command of clients and workers goes through ``Link.execute``. While the doorway is open, that is this
one: scripts get a server's clock that is ahead by what a test says, and a call may meet a fault.
"""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple
from unittest.mock import patch

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError

from ..wire.link import Link
from .faults import Crash, Fault

_SHEBANG = re.compile(r"^#!lua[^\n]*\n")
_HEADER = re.compile(r"^-- (\w+): [^\n]*\n(?:--[^\n]*\n)*?-- (?:FLAGS|KEYS) ", re.MULTILINE)
_TIME = "redis.call('TIME')"
_SHIFTED = """local function shifted_time()
  local t = redis.call('TIME')
  local us = tonumber(t[1]) * 1000000 + tonumber(t[2]) + {ahead_us}
  return {{ string.format('%.0f', math.floor(us / 1000000)), string.format('%.0f', us % 1000000) }}
end
"""


class Known(NamedTuple):
    """A script that has been seen: its verb and its source."""

    verb: str
    source: str


class Doorway:
    """Passes commands on.

    Args:
        steal: lets another worker take over what runs.

    Attributes:
        ahead_ms: how much later it is than the server's clock says.
        faults: those that a test asked for.
        is_process_dead: nothing leaves any more.
        has_worker: a worker runs, so a crash is its end; without one a crash is an error of that one call.
    """

    def __init__(self, steal: Callable[[], Awaitable[None]]) -> None:
        self.ahead_ms = 0
        self.faults: list[Fault] = []
        self.is_process_dead = self.has_worker = False
        self._steal = steal
        self._known: dict[str, Known] = {}
        self._queued: dict[Link, list[str]] = {}
        self._send: Callable[..., asyncio.Future[Any]] = Link.execute

    @contextlib.contextmanager
    def open(self) -> Generator[None]:
        """Stand in the door of every Link of this process."""

        def execute(link: Link, *command: Any) -> asyncio.Future[Any]:
            return self._pass(link, command)

        with patch.object(Link, "execute", execute):
            yield

    async def look(self, link: Link, *command: Any) -> Any:
        """Send a command past all faults; a script sees the moved time, too."""
        if command[0] not in ("EVAL", "EVALSHA"):
            return await self._pass_plain(link, command)
        known = self._script(command)
        if known is None:
            msg = "not seen yet"
            raise NoScriptError(msg)
        return await self._send(link, "EVAL", self.shifted(known.source), *command[2:])

    def _pass(self, link: Link, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        if self.is_process_dead:
            return _failed(Crash("the process is dead"))
        if command[0] not in ("EVAL", "EVALSHA"):
            return self._pass_plain(link, command)
        known = self._script(command)
        if known is None:  # then its source is sent, which is what can be shifted
            return _failed(NoScriptError("not seen yet"))
        shifted = ("EVAL", self.shifted(known.source), *command[2:])
        fault = next((fault for fault in self.faults if fault.is_due(known.verb)), None)
        if fault is None:
            return self._send(link, *shifted)
        # Nothing that comes later in this turn of the loop may leave a process that dies.
        self.is_process_dead = self.has_worker and fault.kind in ("crash", "crash_after")
        return _started(self._meet(fault, link, shifted))

    def _script(self, command: tuple[Any, ...]) -> Known | None:
        """Give the script that a command runs; None for one that was not sent as a whole yet."""
        return self._known.get(command[1]) if command[0] == "EVALSHA" else self._learn(command[1])

    async def _meet(self, fault: Fault, link: Link, command: tuple[Any, ...]) -> Any:
        match fault.kind:
            case "crash":
                raise Crash("the process dies here")
            case "crash_after":
                await self._send(link, *command)
                raise Crash("the process dies here")
            case "lose_lease":
                await self._steal()
            case "send_twice":
                await self._send(link, *command)
            case "lose_call":
                raise RedisConnectionError("the connection broke before the call")
            case "lose_answer":
                await self._send(link, *command)
                raise RedisConnectionError("the connection broke before the answer")
        return await self._send(link, *command)

    def _pass_plain(self, link: Link, command: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Send what is no script, at once, so that transactions stay in order; TIME is put forward."""
        reply = self._send(link, *command)
        queued = self._queued.get(link)
        if command[0] == "MULTI":
            self._queued[link] = []
        elif command[0] in ("EXEC", "DISCARD"):
            names = self._queued.pop(link, [])
            if "TIME" in names:
                return _started(self._put_forward(reply, names))
        elif queued is not None:
            queued.append(command[0])
        elif command[0] == "TIME":
            return _started(self._put_forward(reply, None))
        return reply

    async def _put_forward(self, reply: asyncio.Future[Any], names: Sequence[str] | None) -> Any:
        """Give an answer with the time in it as it would be later; ``names`` of the commands it answers."""
        answer = await reply
        if names is None:
            return self._later(answer)
        if not isinstance(answer, list):
            return answer
        pairs = zip(names, answer, strict=True)
        return [self._later(each) if name == "TIME" else each for name, each in pairs]

    def _later(self, time: Sequence[bytes]) -> list[bytes]:
        us = int(time[0]) * 1_000_000 + int(time[1]) + self.ahead_ms * 1000
        return [b"%d" % (us // 1_000_000), b"%d" % (us % 1_000_000)]

    def _learn(self, source: str) -> Known:
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        self._known[sha] = known = Known(verb_of(source), source)
        return known

    def shifted(self, source: str) -> str:
        """Give a script to whom the server's clock is ahead."""
        if not self.ahead_ms or _TIME not in source:
            return source
        shebang = _SHEBANG.match(source)
        end = shebang.end() if shebang is not None else 0
        prelude = _SHIFTED.format(ahead_us=self.ahead_ms * 1000)
        return source[:end] + prelude + source[end:].replace(_TIME, "shifted_time()")


def verb_of(source: str) -> str:
    """Give a script's name out of its source; empty for one that is not ours."""
    header = _HEADER.search(source)
    return header[1] if header is not None else ""


def _failed(error: Exception) -> asyncio.Future[Any]:
    reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    reply.set_exception(error)
    _listened_to(reply)
    return reply


def _started(call: Any) -> asyncio.Future[Any]:
    reply = asyncio.ensure_future(call)
    reply.add_done_callback(_listened_to)
    return reply


def _listened_to(reply: asyncio.Future[Any]) -> None:
    """Take the error, if it is one: nobody may be listening any more."""
    if not reply.cancelled():
        reply.exception()
