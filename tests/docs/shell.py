"""Commands of a page, parsed by the command line itself, and not executed."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from typing import Any

import typer
from pages import ROOT, Block
from typer.core import TyperGroup

from runner.cli import _root
from runner.settings.model import KEYS

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
VARIABLES = {f"RUNNER_{key.upper().replace('.', '__')}" for key in KEYS} | {"RUNNER_SETTINGS"}
TABLES = ("RUNNER_WEBHOOKS__SECRETS__",)
[Refused] = [kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"]
"""What the command line raises over a line that it does not take; typer may bring a click of its own."""
_ASSIGNMENT = re.compile(r"([A-Z][A-Z0-9_]*)=")


def lines(block: Block) -> list[str]:
    """Give the command lines of a block: all of a `sh`, those after `$` of others."""
    text = block.text.replace("\\\n", " ")
    if block.language == "sh":
        return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")] if not block.language else []


def commands(line: str) -> Iterator[list[str]]:
    """Give the words of each command of a line, without redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    is_target = False
    for word in lexer:
        if set(word) <= set("|&;"):
            yield words
            words = []
        elif set(word) <= set("<>"):
            is_target = True
        elif is_target:
            is_target = False
        else:
            words.append(word)
    yield words


def unknown_variables(text: str) -> list[str]:
    """Give the variables of ours that mean nothing."""
    named = re.findall(r"\bRUNNER_[A-Z][A-Z0-9_]*[A-Z0-9]\b", text)
    return [name for name in named if name not in VARIABLES and not name.startswith(TABLES)]


def fault(words: list[str]) -> str:
    """Say what is wrong with a command; empty for nothing, and for programs that are not ours."""
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    match words:
        case ["runner", *rest]:
            return _parse(rest)
        case ["make", *targets]:
            return ", ".join(f"no target {t}" for t in targets if "=" not in t and t not in TARGETS)
        case ["python", "-m", module, *_]:
            return "" if importlib.util.find_spec(module) else f"no module {module}"
        case _:
            return ""


def _parse(words: list[str]) -> str:
    try:
        command, rest = command_of(words)
        if not isinstance(command, TyperGroup) and not {"--help"} & set(rest):
            command.make_context(command.name, list(rest))
    except Refused as error:
        return error.format_message()
    return ""


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """Give the command that words name, and what is left of them.

    Raises:
        Refused: there is none of that name.
    """
    command = _root()
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        with typer.Context(command) as context:
            _, command, words = command.resolve_command(context, words)
    return command, words


def unknown_inline(text: str) -> list[str]:
    """Give the commands in a page's prose, `runner jobs list|show ID`, that there are not."""
    found = []
    for words in re.findall(r"`runner ([a-z][^`\n]*)`", text):
        path, parts = "runner", [[""]]
        for word in words.split():
            if not re.fullmatch(r"[a-z|]+", word) or not _groups(parts):
                break
            path, parts = f"{path} {word}", [[*part, each] for part in parts for each in word.split("|")]
        found += [f"`runner {words}`" for part in parts if not _exists(part[1:])]
    return found


def _groups(parts: list[list[str]]) -> bool:
    return all(_exists(part[1:]) and isinstance(command_of(part[1:])[0], TyperGroup) for part in parts)


def _exists(words: list[str]) -> bool:
    try:
        command_of(words)
    except Refused:
        return False
    return True
