"""Lua files whose header is their declaration.

A script's header names its keys and arguments in order, one a line:

    -- KEYS  queue     zset  job id -> due at (ms)
    -- ARGV  limit     int   at most this many jobs
    -- ARGV  entries   rest  id, token; repeated
    -- USES  now bury

From it the loader puts in front of the body: the shared functions of ``lua/lib`` that USES names, ``local queue =
KEYS[1]`` and ``local limit = tonumber(ARGV[1])`` (``str`` stays text), and for ``rest`` a function ``entries(i)`` with
``entries_n``. So no body ever writes an index, and the Python side gets the same order from the same lines.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_LINE = re.compile(r"^-- (KEYS|ARGV|USES|FLAGS) +(.*)$")
_LUA = resources.files(__package__) / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    """A script, ready to send.

    Attributes:
        name: the file's name without ``.lua``.
        keys: names of its keys, in order.
        args: names of its arguments, in order; a trailing ``rest`` takes any number.
        source: what the server gets.
        sha: the name the server knows it by.
    """

    name: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    has_rest: bool
    source: str
    sha: str


@cache
def load(name: str) -> Script:
    """Read a script by its verb.

    Raises:
        ValueError: its header cannot be read.
    """
    body = (_LUA / f"{name}.lua").read_text()
    return parse(name, body)


def parse(name: str, body: str) -> Script:
    """Make a Script out of a file's text."""
    keys: list[str] = []
    args: list[tuple[str, str]] = []
    uses: list[str] = []
    flags = "allow-oom"
    for line in body.splitlines():
        if not line.startswith("--"):
            break
        if (match := _LINE.match(line)) is None:
            continue
        what, words = match[1], match[2].split()
        if what == "KEYS":
            keys.append(words[0])
        elif what == "ARGV":
            args.append((words[0], words[1]))
        elif what == "USES":
            uses += words
        else:
            flags = "" if words[0] == "none" else words[0]
    if any(kind == "rest" for _, kind in args[:-1]):
        msg = f"{name}.lua: only the last argument may be 'rest'"
        raise ValueError(msg)
    shebang = f"#!lua flags={flags}" if flags else "#!lua"
    libs = [(_LUA / "lib" / f"{lib}.lua").read_text() for lib in uses]
    source = "\n".join([shebang, *libs, *_locals(keys, args), body])
    has_rest = bool(args) and args[-1][1] == "rest"
    sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, tuple(keys), tuple(a for a, _ in args), has_rest, source, sha)


def _locals(keys: list[str], args: list[tuple[str, str]]) -> list[str]:
    lines = [f"local {key} = KEYS[{i}]" for i, key in enumerate(keys, 1)]
    for i, (name, kind) in enumerate(args, 1):
        if kind == "rest":
            lines.append(f"local {name}_n = #ARGV - {i - 1}")
            lines.append(f"local function {name}(i) return ARGV[i + {i - 1}] end")
        elif kind == "int":
            lines.append(f"local {name} = tonumber(ARGV[{i}])")
        else:
            lines.append(f"local {name} = ARGV[{i}]")
    return lines
