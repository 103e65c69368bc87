"""The server of the simulation and a real one, which are told the same.

What expires on the simulated clock is deleted on the real server, whose clock does not follow.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import redis as redis_sync

from runner.wire import lua_loader

from .commands import KINDS
from .keyspace import Refused
from .scripting import Lua
from .server import Server

LUA = Path(lua_loader.__file__).parent / "lua"
SCRIPTS = {
    script.sha.encode(): script for path in LUA.glob("*.lua") if (script := lua_loader.load(path.stem))
}
READ = {
    b"string": ("GET",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
    b"stream": ("XRANGE", "-", "+"),
}
WITHOUT_ORDER = ("SMEMBERS", "HGETALL", "KEYS", "HKEYS")

Call = tuple[int, list[bytes]]


def at_time(command: list[bytes], script: lua_loader.Script, now_ms: int) -> list[bytes]:
    """Give a script the time that it is to take; changes the command."""
    for name, time in (("now_ms", now_ms), ("now_us", now_ms * 1000)):
        if name in script.args:
            command[3 + len(script.keys) + script.args.index(name)] = b"%d" % time
    return command


class Twins:
    """The model and the real server, which does all in one transaction: its clock stands still meanwhile."""

    def __init__(self, url: str) -> None:
        self.now_ms = 0
        self.model = Server(lambda: self.now_ms * 1000, 1, Lua())
        self.peer = self.model.join(lambda _: None)
        self.client = redis_sync.Redis.from_url(url)
        self.client.response_callbacks.clear()
        self.told: list[tuple[list[bytes], Any]] = []
        for script in SCRIPTS.values():
            self.client.execute_command("SCRIPT", "LOAD", script.source)
            self.model.execute(self.peer, [b"SCRIPT", b"LOAD", script.source.encode()])
        self.pipeline = self.client.pipeline(transaction=True)

    def run(self, calls: Iterable[Call]) -> int:
        """Let both do these; gives how many keys there are in the end."""
        for now_ms, command in calls:
            self.do(now_ms, command)
        return self.look()

    def do(self, now_ms: int, command: list[bytes]) -> Any:
        """Let both do this; gives the model's reply."""
        self.now_ms, space = now_ms, self.model.keyspace
        had = list(space.expires)
        space.tick()
        if gone := [key for key in had if key not in space.values]:
            self._send([b"DEL", *gone], len(gone))
        reply = self.model.execute(self.peer, command)
        self._send(command, reply)
        return reply

    def look(self) -> int:
        """Let both show all that they hold; gives how many keys there are."""
        space = self.model.keyspace
        for key, value in list(space.values.items()):
            self._send([b"PTTL", key], key in space.expires)
            read, *rest = READ[KINDS[type(value)]]
            look = [read.encode(), key, *(str(each).encode() for each in rest)]
            self._send(look, self.model.execute(self.peer, look))
        self._send([b"KEYS", b"*"], list(space.values))
        return len(space.values)

    def compare(self) -> None:
        with self.client:
            replies = self.pipeline.execute(raise_on_error=False)
        for (command, expected), reply in zip(self.told, replies, strict=True):
            assert plain(command, reply) == plain(command, expected), (name_of(command), command)

    def _send(self, command: list[bytes], expected: Any) -> None:
        self.told.append((command, expected))
        self.pipeline.execute_command(command[0].decode(), *command[1:])


def plain(command: list[bytes], reply: Any) -> Any:
    """Give a reply as it is compared: what has no order sorted, errors alike, a time to live as yes or no."""
    verb = command[0].decode()
    if isinstance(reply, Refused | Exception):
        return "refused"
    if verb == "PTTL":
        return reply if isinstance(reply, bool) else reply >= 0
    if verb == "XRANGE":  # names are times
        return [fields for _, fields in reply]
    if verb == "SRANDMEMBER":
        return len(reply)
    if verb == "HGETALL":
        return sorted(zip(reply[::2], reply[1::2], strict=True))
    if name_of(command).startswith("workflow"):  # what is to be done is a set
        return sorted(reply, key=repr) if isinstance(reply, list) else reply
    return sorted(reply) if verb in WITHOUT_ORDER else reply


def name_of(command: list[bytes]) -> str:
    """Give the name of the script that a command runs, or that of the command."""
    script = SCRIPTS.get(command[1]) if command[0] == b"EVALSHA" else None
    return command[0].decode() if script is None else script.name
