"""Runs our Lua files in this process, in the same Lua 5.1 that the server has.

Values cross as the server's own rules say: a number that a script returns loses its fraction, ``false`` is
nil, a list ends at its first nil, ``{ok = …}`` and ``{err = …}`` are replies; a number given to a command is
written out in full, a status given to a script is a table. Globals are as strict as the server's.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from lupa import lua51

from . import messagepack
from .commands import COMMANDS
from .keyspace import Keyspace, Ok, Refused
from .streams import STREAM_COMMANDS
from .zsets import ZSET_COMMANDS

KNOWN = COMMANDS | ZSET_COMMANDS | STREAM_COMMANDS

_FRAME = b"""
local commands, sha1hex, pack, unpack_all = ...
redis = {}
function redis.call(name, ...)
  local command = commands[name]
  if not command then
    error('ERR Unknown command ' .. name)
  end
  return command(...)
end
function redis.error_reply(text) return { err = text } end
function redis.status_reply(text) return { ok = text } end
redis.sha1hex = sha1hex
cmsgpack = { pack = pack, unpack = function(text) return unpack(unpack_all(text)) end }
local function strict(_, name) error('Script attempted to access global variable ' .. tostring(name)) end
local G = setmetatable(_G, { __index = strict, __newindex = strict })
local globals = { loadstring = loadstring }
return function(source, name)
  local chunk, trouble = globals.loadstring(source, name)
  if not chunk then
    error(trouble)
  end
  return function(keys, argv)
    rawset(G, 'KEYS', keys)
    rawset(G, 'ARGV', argv)
    local reply = chunk()
    if type(reply) ~= 'table' then
      return false, reply
    elseif rawget(reply, 'err') then
      return 'err', rawget(reply, 'err')
    elseif rawget(reply, 'ok') then
      return 'ok', rawget(reply, 'ok')
    end
    return true, unpack(reply)
  end
end
"""


class Lua:
    """One interpreter; scripts are compiled once, whatever is flushed."""

    def __init__(self) -> None:
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True, register_eval=False)
        self._lua.execute(b"collectgarbage('setpause', 400)")  # half of its work was to look at what stays
        self._table = self._lua.table_from
        self.keyspace: Keyspace | None = None
        commands = self._table({name: self._command(function) for name, function in KNOWN.items()})
        frame = self._lua.execute(b"return function(...) " + _FRAME + b" end")
        self._compile = frame(commands, _sha1hex, messagepack.pack, self._unpacked)
        self._compiled: dict[bytes, Callable[..., Any]] = {}

    def _command(self, function: Callable[..., Any]) -> Callable[..., Any]:
        table = self._table

        def command(*arguments: Any) -> Any:
            for each in arguments:
                if type(each) is not bytes:
                    arguments = tuple(e if type(e) is bytes else written(e) for e in arguments)
                    break
            reply = function(self.keyspace, *arguments)
            kind = type(reply)
            if kind is bytes or kind is int:
                return reply
            if kind is list:
                return table([False if each is None else each for each in reply])
            return table({b"ok": bytes(reply)}) if kind is Ok else False

        return command

    def _unpacked(self, text: bytes) -> Any:
        found = messagepack.unpack(text)
        return self._table([self._table(each) if type(each) is list else each for each in found])

    def run(
        self, source: bytes, keys: Sequence[bytes], arguments: Sequence[bytes], keyspace: Keyspace
    ) -> Any:
        """Run a script.

        Raises:
            Refused: it gives an error, or breaks off with one; what it wrote until then stays.
        """
        script = self._compiled.get(source)
        if script is None:
            script = self._compiled[source] = self._compile(_without_shebang(source), b"@user_script")
        self.keyspace = keyspace
        try:
            told = script(self._table(keys), self._table(arguments))
        except lua51.LuaError as error:
            raise Refused(f"ERR {error}") from None
        finally:
            self.keyspace = None
        head, *reply = told if type(told) is tuple else (told,)
        if head is True:
            return [_plain(each) for each in reply]
        if head is False:
            return _plain(*reply)
        if head == b"err":
            raise Refused(reply[0].decode())
        return Ok(reply[0])


def written(value: Any) -> bytes:
    """Write a number that a script gives to a command, as the server does."""
    if type(value) is int:
        return b"%d" % value
    if type(value) is float:
        return b"%.17g" % value
    raise Refused("ERR Command arguments must be strings or integers")


def _plain(value: Any = None) -> Any:
    """Turn what a script returns into a reply."""
    kind = type(value)
    if kind is bytes or kind is int:
        return value
    if kind is float:
        return int(value)
    if kind is bool:
        return 1 if value else None
    if value is None:
        return None
    if (trouble := value[b"err"]) is not None:
        return Refused(trouble.decode())
    found = []
    for place in range(1, len(value) + 1):
        if value[place] is None:
            break
        found.append(_plain(value[place]))
    return found


def _without_shebang(source: bytes) -> bytes:
    return b"--" + source if source.startswith(b"#!") else source


def _sha1hex(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
