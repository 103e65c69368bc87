"""What a command did is an object for programs, too; stdout has nothing else."""

import json
from collections.abc import Callable
from typing import Any

import typer

from runner.cli import COMMANDS
from runner.wire import codec
from runner.wire.keys import keys_of

Cli = Callable[..., tuple[int, str, str]]
WITHOUT = {
    "new": "it writes a project", "worker": "it serves", "top": "it draws", "dashboard": "it serves",
    "dead export": "its lines are JSON", "dead log": "its lines are JSON", "config schema": "it is JSON",
}  # fmt: skip


def commands() -> dict[str, set[str]]:
    """Every command with the names of its options."""
    from importlib import import_module

    found: dict[str, set[str]] = {}

    def walk(name: str, command: Any) -> None:
        for sub, below in getattr(command, "commands", {}).items():
            walk(f"{name} {sub}", below)
        if not hasattr(command, "commands"):
            found[name] = {option for each in command.params for option in each.opts}

    for name, row in COMMANDS.items():
        walk(name, typer.main.get_command(getattr(import_module(row.module), row.attribute)))
    return found


def test_every_command_but_of_limits_has_a_form_for_programs() -> None:
    """But for those that draw, serve, or print nothing but JSON anyway."""
    lacking = {name for name, options in commands().items() if not options & {"--json", "--jsonl"}}
    assert {name for name in lacking if not name.startswith("limits ")} == set(WITHOUT)


def test_what_was_done_is_one_value(cli: Cli, sync: Any) -> None:
    """Of each kind of change: what it was done to, and whether it was; what fails is among them."""

    def told(*arguments: str) -> tuple[int, Any]:
        code, out, _ = cli(*arguments, "--json")
        return code, json.loads(out)

    assert cli("enqueue", "pay", "o-1", "5", "--key", "a", "--delay", "60s")[0] == 0
    assert told("queues", "pause", "bulk") == (0, [{"queue": "bulk", "done": True}])
    assert told("queues", "resume", "bulk") == (0, [{"queue": "bulk", "done": True}])
    assert told("queues", "drain", "bulk") == (0, {"queue": "bulk", "empty": True})
    assert told("jobs", "edit", "a", "--edit", "cents=7") == (0, {"id": "a", "done": True})
    code, found = told("jobs", "retry", "a", "nope")
    assert (code, [(each["id"], each["done"]) for each in found]) == (4, [("a", True), ("nope", False)])
    code, found = told("queues", "purge", "default", "--dry-run")
    assert (code, found["matched"], found["done"], found["dry_run"]) == (0, 1, 0, True)
    code, found = told("jobs", "cancel", "a")
    assert (code, found) == (0, [{"id": "a", "done": True, "said": "a cancelled"}])
    keys = keys_of("default")
    payload = codec.encode_job("pay", ("o", 1), {}, 1, codec.Meta())
    sync.hset(keys.dead_letter("d"), mapping={"payload": payload, "reason": "max_tries", "at": 1, "bytes": 9})
    sync.zadd(keys.dead, {"d": 1})
    code, found = told("dead", "replay", "--all", "--yes")
    assert (code, found["matched"], found["done"]) == (0, 1, 1)
    assert told("dead", "purge", "--all")[1]["matched"] == 0
    code, found = told("dead", "discard", "d", "--yes")
    assert (code, found[0]["done"]) == (4, False)
