"""Lua files whose header is their declaration.

A script's header names its keys and arguments in order, one a line:

    -- KEYS  queue     zset  job id -> due at (ms)
    -- ARGV  limit     int   at most this many jobs
    -- ARGV  entries   rest  id, token; repeated
    -- ARGV  asks      pack  name, owner; repeated
    -- USES  now bury

From it the loader puts in front of the file: the shared functions of ``lua/lib`` that USES names, in that
order, ``local queue = KEYS[1]`` and ``local limit = tonumber(ARGV[1])`` (``str`` stays text), and for
``rest`` a function ``entries(i)`` with ``entries_n``, for ``pack`` a table ``asks`` out of one argument in
msgpack: text and numbers, no bytes, which the server's decoder does not know. So no body ever writes an
index, and the Python side gets the same order from the same lines. ``FLAGS none`` makes the server refuse the
script whole when memory is full; all others run.
"""

import hashlib
import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

_LINE = re.compile(r"^-- (KEYS|ARGV|USES|FLAGS)\b *(.*)$")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_KINDS = ("int", "str", "pack", "rest")
_LUA = resources.files(__name__.rpartition(".")[0]) / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    """A script, ready to send.

    Attributes:
        name: the file's name without ``.lua``.
        keys: names of its keys, in order.
        args: names of its arguments, in order.
        has_rest: whether the last argument takes any number of values.
        source: what the server gets.
        offset: lines of ``source`` before the file's first; the server's ``user_script:90`` is the file's
            line ``90 - offset``.
        sha: the name the server knows it by.
    """

    name: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    has_rest: bool
    source: str
    offset: int
    sha: str


@dataclass
class _Header:
    keys: list[str] = field(default_factory=list[str])
    args: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    uses: list[str] = field(default_factory=list[str])
    flags: str = "flags=allow-oom"
    folder: Traversable = _LUA


@cache
def load(name: str) -> Script:
    """Read a script by its verb.

    Raises:
        ValueError: its header cannot be read.
    """
    return parse(name, (_LUA / f"{name}.lua").read_text())


@cache
def load_from(package: str, name: str) -> Script:
    """Read a script of another package: from its folder ``lua``, whose ``lib`` serves its USES.

    Raises:
        ValueError: its header cannot be read.
    """
    folder = resources.files(package) / "lua"
    return parse(name, (folder / f"{name}.lua").read_text(), folder)


def parse(name: str, text: str, folder: Traversable = _LUA) -> Script:
    """Make a Script out of a file's text and the shared functions in ``lib`` of its folder.

    Raises:
        ValueError: its header cannot be read; names the file, the line and what was expected.
    """
    header = _read_header(name, text, folder)
    libs = [_lib(folder, lib).read_text().rstrip() for lib in header.uses]
    front = "\n".join([f"#!lua {header.flags}".rstrip(), *libs, *_locals(header)]) + "\n"
    source = front + text
    has_rest = bool(header.args) and header.args[-1][1] == "rest"
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    args = tuple(arg for arg, _ in header.args)
    return Script(name, tuple(header.keys), args, has_rest, source, front.count("\n"), sha)


def _read_header(name: str, text: str, folder: Traversable) -> _Header:
    header = _Header(folder=folder)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("--"):
            break
        match = _LINE.match(line)
        if match is not None and (wrong := _read_line(header, match[1], match[2].split())):
            msg = f"{name}.lua:{number}: {wrong}, in: {line}"
            raise ValueError(msg)
    return header


def _read_line(header: _Header, what: str, words: list[str]) -> str:
    """Take one declaration into the header; gives what is wrong with it, or nothing."""
    if what == "FLAGS":
        header.flags = ""
        return "" if words == ["none"] else "FLAGS is 'none' (refused when memory is full) or left out"
    if what == "USES":
        header.uses += words
        missing = [lib for lib in words if not _lib(header.folder, lib).is_file()]
        return f"there is no lib/{missing[0]}.lua" if missing else ""
    if len(words) < 2 or _NAME.fullmatch(words[0]) is None:
        return f"{what} takes a name and a kind"
    if words[0] in header.keys or words[0] in dict(header.args):
        return f"the name '{words[0]}' is taken"
    if what == "KEYS":
        header.keys.append(words[0])
        return ""
    if header.args and header.args[-1][1] == "rest":
        return f"'{header.args[-1][0]}' takes the rest, so nothing can follow it"
    header.args.append((words[0], words[1]))
    return "" if words[1] in _KINDS else f"an argument is one of {', '.join(_KINDS)}"


def _lib(folder: Traversable, name: str) -> Traversable:
    return folder / "lib" / f"{name}.lua"


def _locals(header: _Header) -> list[str]:
    lines = [f"local {key} = KEYS[{i}]" for i, key in enumerate(header.keys, 1)]
    for i, (name, kind) in enumerate(header.args, 1):
        if kind == "rest":
            lines.append(f"local {name}_n = #ARGV - {i - 1}")
            lines.append(f"local function {name}(i) return ARGV[i + {i - 1}] end")
        elif kind == "pack":
            lines.append(f"local {name} = cmsgpack.unpack(ARGV[{i}])")
        elif kind == "int":
            lines.append(f"local {name} = tonumber(ARGV[{i}])")
        else:
            lines.append(f"local {name} = ARGV[{i}]")
    return lines
