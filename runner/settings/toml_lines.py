"""Where things stand in a TOML text: ``tomllib`` gives values without positions.

The scanner trusts that ``tomllib`` has accepted the text; it only looks for where statements begin.
"""

import re

_PIECE = re.compile(
    r'"""(?:\\.|[^\\])*?"""'  # basic string over several lines
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n=]"
    r"|[^\"'\#\[\]{}\n=]+",
    re.DOTALL,
)
_NAME = re.compile(r'"((?:\\.|[^"\\])*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')
_POSITION = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")

Path = tuple[str, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Give the line, from 1, on which each table and each key begins.

    Keys inside an inline table or a list are not listed: ask for the key that holds them.
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    for line, is_header, key in _statements(text):
        names = tuple(a or b or c for a, b, c in _NAME.findall(key))
        if is_header:
            table = names
        path = table if is_header else table + names
        for length in range(1, len(path) + 1):
            lines.setdefault(path[:length], line)
    return lines


def _statements(text: str) -> list[tuple[int, bool, str]]:
    """Give (line, is a table header, its name or key) of each statement."""
    found: list[tuple[int, bool, str]] = []
    line, depth = 1, 0
    key, start, in_value, is_header = "", 1, False, False
    for piece in _PIECE.findall(text):
        if piece == "\n" and depth == 0:
            if key.strip():
                found.append((start, is_header, key.strip()))
            key, in_value, is_header = "", False, False
        elif piece in {"[", "{"}:
            depth += 1
            is_header = is_header or (not in_value and piece == "[")
        elif piece in {"]", "}"}:
            depth -= 1
        elif piece == "=":
            in_value = True
        elif not in_value and not piece.startswith("#"):
            start = start if key.strip() else line
            key += piece
        line += piece.count("\n")
    if key.strip():
        found.append((start, is_header, key.strip()))
    return found


def broken_at(error: Exception, text: str) -> tuple[str, int, int]:
    """Give what ``tomllib`` complained of and the line and column, both from 1."""
    what = str(error)
    match = _POSITION.search(what)
    if match is None or match[1] is None:
        lines = text.rstrip("\n").split("\n")
        return _POSITION.sub("", what), len(lines), len(lines[-1]) + 1
    return _POSITION.sub("", what), int(match[1]), int(match[2])
