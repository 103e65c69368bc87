"""How dead letters look."""

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .. import shards
from ..dead_letters import Letter, Standing
from .showing import clean, moment, print_facts, print_table

_COLUMNS = ("died", "id", "queue", "task", "reason", "attempts", "error")


def as_plain(letter: Letter, *, whole: bool = False) -> dict[str, Any]:
    """Give a letter as JSON takes it; ``whole`` adds history, and the payload where it cannot be read."""
    plain: dict[str, Any] = {
        "id": letter.id,
        "queue": letter.queue,
        "task": letter.task,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "replays": letter.replays,
        "died_at_ms": letter.died_at_ms,
        "size": letter.size,
        "error": {name: text for name, text in letter.error.items() if whole or name != "traceback"},
        "args": letter.args,
        "kwargs": letter.kwargs,
    }
    if whole:
        plain |= {"history": letter.history, "former": letter.former}
        if letter.args is None and letter.payload is not None:
            plain["payload_base64"] = base64.b64encode(letter.payload).decode()
    return plain


def print_letters(letters: Sequence[Letter], standings: Sequence[Standing]) -> None:
    """Print a table and, to stderr, how each queue stands."""
    print_table(_COLUMNS, [_row(letter) for letter in letters])
    for standing in standings:
        if standing.count or standing.trimmed:
            trimmed = f", {standing.trimmed:,} deleted by retention" if standing.trimmed else ""
            stand = f"{standing.count:,} dead, {standing.size:,} bytes{trimmed}"
            print(f"{standing.queue}: {stand}", file=sys.stderr)


def print_letter(letter: Letter) -> None:
    """Print all that is kept of one letter, last traceback included."""
    facts = {
        "id": letter.id,
        "queue": letter.queue,
        "task": letter.task or "(not known)",
        "reason": letter.reason,
        "died": moment(letter.died_at_ms),
        "attempts": str(letter.attempts),
        "replays": str(letter.replays),
        "size": f"{letter.size:,} bytes",
        "args": "(cannot be read)" if letter.args is None else json.dumps(letter.args, ensure_ascii=False),
        "kwargs": json.dumps(letter.kwargs or {}, ensure_ascii=False),
    }
    print_facts(facts)
    print_attempts(letter.history)
    print_traceback(letter.error)


def print_attempts(history: Sequence[Mapping[str, Any]]) -> None:
    """Print a line for each attempt, oldest first."""
    for entry in history:
        error = entry.get("error") or {}
        what = f"{error.get('type', '')}: {error.get('message', '')}" if error else entry.get("reason", "")
        when = f"{moment(entry.get('start', 0))} on {entry.get('worker', '?')}"
        print(clean(f"attempt {entry.get('n', '?')}, {when}: {what}"))


def print_traceback(error: Mapping[str, Any]) -> None:
    """Print the traceback of an error, if there is one."""
    if text := str(error.get("traceback") or ""):
        print()
        print("\n".join(clean(line) for line in text.rstrip().splitlines()))


def _row(letter: Letter) -> list[str]:
    error = letter.error.get("type", "").rpartition(".")[2]
    message = (letter.error.get("message") or " ").splitlines()[0][:60]
    cells = (
        moment(letter.died_at_ms),
        letter.id,
        shards.whole(letter.queue),
        letter.task,
        letter.reason or "(only its id is left)",
    )
    return [*cells, str(letter.attempts), f"{error}: {message}" if error else ""]
