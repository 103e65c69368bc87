"""The server of the simulation against a real one: the same commands, replies and keys afterwards.

The commands are those of simulated seeds, each with the server's time as its argument: first in their order,
then drawn at random out of many seeds, where most find a state that their sender never saw. What expires on
the simulated clock is deleted on the real server, whose clock does not follow.
"""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import redis as redis_sync

from runner.wire import lua_loader
from tests.simulation.commands import KINDS
from tests.simulation.keyspace import Refused
from tests.simulation.scripting import KNOWN, Lua
from tests.simulation.server import Server
from tests.simulation.simulate import simulate

LUA = Path(lua_loader.__file__).parent / "lua"
SCRIPTS = {
    script.sha.encode(): script for path in LUA.glob("*.lua") if (script := lua_loader.load(path.stem))
}
BY_SOURCE = {script.source.encode(): script for script in SCRIPTS.values()}
READ = {
    b"string": ("GET",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"hash": ("HGETALL",),
    b"set": ("SMEMBERS",),
}
WITHOUT_ORDER = ("SMEMBERS", "HGETALL", "KEYS", "HKEYS")
SEEDS = range(9000, 9006)
DRAWN = 3000

Call = tuple[int, list[bytes]]


def calls_of(seed: int) -> list[Call]:
    """Give the commands of a seed that read or change keys, scripts with the time they are to take."""
    found = []
    for now_ms, command in simulate(seed, keeps_trace=True).commands:
        script = SCRIPTS.get(command[1]) or BY_SOURCE.get(command[1]) if command[0][:4] == b"EVAL" else None
        if script is not None:
            found.append((now_ms, at_time([b"EVALSHA", script.sha.encode(), *command[2:]], script, now_ms)))
        elif command[0] in KNOWN and command[0] not in (b"TIME", b"DBSIZE"):
            found.append((now_ms, command))
    return found


def at_time(command: list[bytes], script: lua_loader.Script, now_ms: int) -> list[bytes]:
    if "now_ms" in script.args:
        command[3 + len(script.keys) + script.args.index("now_ms")] = b"%d" % now_ms
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
        space = self.model.keyspace
        for self.now_ms, command in calls:
            had = list(space.expires)
            space.tick()
            if gone := [key for key in had if key not in space.values]:
                self._send([b"DEL", *gone], len(gone))
            self._send(command, self.model.execute(self.peer, command))
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
            assert plain(command, reply) == plain(command, expected), command

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
    if verb == "SRANDMEMBER":
        return len(reply)
    if verb == "HGETALL":
        return sorted(zip(reply[::2], reply[1::2], strict=True))
    script = SCRIPTS.get(command[1]) if verb == "EVALSHA" else None
    if script is not None and script.name.startswith("workflow"):  # what is to be done is a set
        return sorted(reply, key=repr) if isinstance(reply, list) else reply
    return sorted(reply) if verb in WITHOUT_ORDER else reply


def test_the_model_does_what_the_server_does(redis_url: str) -> None:
    """Whole seeds, faults and all: each reply is the real server's, and so is all that they leave."""
    for seed in SEEDS:
        redis_sync.Redis.from_url(redis_url).flushdb()
        twins = Twins(redis_url)
        assert twins.run(calls_of(seed)) > 5
        twins.compare()


def test_the_model_does_what_the_server_does_with_any_calls(redis_url: str) -> None:
    """Calls drawn out of many seeds: stale tokens, jobs that are gone, states that no worker makes."""
    rng = Random(7)
    pool = [call for seed in SEEDS for call in calls_of(seed)]
    times = sorted(now_ms for now_ms, _ in rng.choices(pool, k=DRAWN))
    drawn = [(now_ms, rng.choice(pool)[1]) for now_ms in times]
    calls = [(now_ms, again(command, now_ms)) for now_ms, command in drawn]
    twins = Twins(redis_url)
    assert twins.run(calls) > 20
    twins.compare()


def again(command: list[bytes], now_ms: int) -> list[bytes]:
    script = SCRIPTS.get(command[1]) if command[0] == b"EVALSHA" else None
    return at_time(list(command), script, now_ms) if script is not None else command
