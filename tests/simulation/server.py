"""A server in this process: scripts, subscribers, and news of changed keys, one command after the other."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from .keyspace import OK, Keyspace, Ok, Refused
from .scripting import KNOWN, Lua

INVALIDATE = b"__redis__:invalidate"


@dataclass(eq=False)
class Peer:
    """A connection, as the server sees it.

    Attributes:
        number: CLIENT ID.
        say: gives it a message unasked.
        channels: it listens to.
        prefixes: of keys whose changes it wants to hear of, through ``listener``.
        reads: keys it has read since CLIENT CACHING YES, for the same.
        listener: number of the connection that is told.
    """

    number: int
    say: Callable[[Any], None]
    channels: set[bytes] = field(default_factory=set[bytes])
    prefixes: tuple[bytes, ...] = ()
    reads: dict[bytes, None] = field(default_factory=dict[bytes, None])
    listener: int = 0
    caches_next: bool = False


class Server:
    """Executes commands on a clock of its own.

    Args:
        now_us: the time there is.
        seed: what random members are drawn by.
        lua: an interpreter, used by one server at a time.

    Attributes:
        ahead_us: how far its clock is off; may jump.
        after: called with (command, reply) after each script.
    """

    def __init__(self, now_us: Callable[[], int], seed: int, lua: Lua) -> None:
        self.ahead_us = 0
        self.keyspace = Keyspace(lambda: now_us() + self.ahead_us, Random(seed))
        self.after: Callable[[list[bytes], Any], None] = lambda command, reply: None
        self._lua = lua
        self._scripts: dict[bytes, bytes] = {}
        self._peers: dict[int, Peer] = {}
        self._numbers = 0

    def join(self, say: Callable[[Any], None]) -> Peer:
        self._numbers += 1
        peer = self._peers[self._numbers] = Peer(self._numbers, say)
        return peer

    def leave(self, peer: Peer) -> None:
        self._peers.pop(peer.number, None)

    def execute(self, peer: Peer, command: list[bytes]) -> Any:
        """Run a command; an error reply is a Refused that is given, not raised."""
        self.keyspace.tick()
        verb = command[0].upper()
        try:
            reply = self._run(peer, verb, command)
        except Refused as refused:
            reply = refused
        if verb in (b"EVALSHA", b"EVAL"):
            self.after(command, reply)
        self._tell(peer)
        return reply

    def flush_scripts(self) -> None:
        self._scripts.clear()

    def _run(self, peer: Peer, verb: bytes, command: list[bytes]) -> Any:
        if verb == b"EVALSHA":
            source = self._scripts.get(command[1])
            if source is None:
                raise Refused("NOSCRIPT No matching script. Please use EVAL.")
            return self._script(source, command)
        if (function := KNOWN.get(verb)) is not None:
            if peer.caches_next:
                peer.caches_next = False
                peer.reads[command[1]] = None
            return function(self.keyspace, *command[1:])
        return self._connection_command(peer, verb, command)

    def _script(self, source: bytes, command: list[bytes]) -> Any:
        count = int(command[2])
        return self._lua.run(source, command[3 : 3 + count], command[3 + count :], self.keyspace)

    def _connection_command(self, peer: Peer, verb: bytes, command: list[bytes]) -> Any:
        match (verb, *(word.upper() for word in command[1:2])):
            case (b"EVAL", *_):
                self._scripts[sha_of(command[1])] = command[1]
                return self._script(command[1], command)
            case (b"SCRIPT", b"LOAD"):
                self._scripts[sha_of(command[2])] = command[2]
            case (b"PING", *_):
                return Ok(b"PONG")
            case (b"INFO", *_):
                return b"redis_version:9.1.2\r\nused_memory_human:1M\r\nconnected_clients:1\r\n"
            case (b"CLIENT", b"ID"):
                return peer.number
            case (b"CLIENT", b"TRACKING"):
                return self._track(peer, command[2:])
            case (b"CLIENT", b"CACHING"):
                peer.caches_next = True
            case (b"SUBSCRIBE", _):
                peer.channels.add(command[1])
                return [b"subscribe", command[1], len(peer.channels)]
            case (b"CLIENT", b"SETINFO" | b"SETNAME") | (b"SELECT", _):
                pass
            case _:
                msg = f"this server does not know {b' '.join(command[:2])!r}: teach it, in commands.py"
                raise NotImplementedError(msg)
        return OK

    def _track(self, peer: Peer, options: list[bytes]) -> Ok:
        peer.prefixes, peer.listener = (), 0
        if options[0] == b"ON":
            peer.listener = int(options[options.index(b"REDIRECT") + 1])
            if peer.listener not in self._peers:
                raise Refused("ERR The client ID you want redirect to does not exist")
            places = [i for i, word in enumerate(options) if word == b"PREFIX"]
            peer.prefixes = tuple(options[i + 1] for i in places)
        return OK

    def _tell(self, author: Peer) -> None:
        """Push what the last command changed and published; prefixes are watched NOLOOP, as we send it."""
        changed, published = self.keyspace.changed, self.keyspace.published
        if changed:
            for peer in list(self._peers.values()):
                listener = self._peers.get(peer.listener)
                if listener is None:
                    continue
                news = [key for key in changed if key in peer.reads]
                for key in news:
                    del peer.reads[key]
                if peer is not author and peer.prefixes:
                    news += [key for key in changed if key.startswith(peer.prefixes)]
                if news:
                    listener.say([b"message", INVALIDATE, news])
            changed.clear()
        for channel, message in published:
            for peer in self._peers.values():
                if channel in peer.channels:
                    peer.say([b"message", channel, message])
        published.clear()


def sha_of(source: bytes) -> bytes:
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
