"""How a saga stands: the truth about each step and its undo, out of what is noted of its nodes."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..wire import codec
from ..wire.workflows import FlowScripts
from .draft import unpacked

Did = Literal["waiting", "done", "failed", "undecided"]

_SHAPE = re.compile(r"s\((\d+)\.(\d+)\.\)")


@dataclass(frozen=True, slots=True)
class StepStanding:
    """How a step of a saga stands.

    Attributes:
        node: number of the step's node: its job is ``<workflow>:<node>``.
        task: name of the step's task.
        state: ``waiting``: it has not ended, and may run; ``done``; ``failed``; ``undecided``.
        undo_node: number of its undo's node; None without one.
        undo: ``none``: it has no undo; ``waiting``: that has not ended, and may run; ``done``; ``failed``.
    """

    node: int
    task: str
    state: Did
    undo_node: int | None
    undo: Literal["none", "waiting", "done", "failed", "undecided"]


async def read_steps(scripts: FlowScripts, workflow: str) -> list[StepStanding]:
    """Read how each step stands; two round trips. Empty for what is no saga."""
    read, key = scripts.execute, scripts.key
    shape, results, failures = await asyncio.gather(
        read("HGET", key(workflow, "state"), "shape"),
        read("HKEYS", key(workflow, "results")),
        read("HGETALL", key(workflow, "failures")),
    )
    found = _SHAPE.fullmatch((shape or b"").decode())
    if found is None:
        return []
    chunks = await read("HVALS", key(workflow, "plan"))
    payloads = {
        c.node: codec.decode_job(c.payload.encode()) for data in chunks if data for c in unpacked(data)
    }
    done = {name.decode() for name in results}
    failed = {name.decode(): value for name, value in zip(failures[::2], failures[1::2], strict=True)}
    undo_of = {job.a[0]["$result"][0]: int(node) for node, job in payloads.items() if _is_undo(node, found)}
    return [
        StepStanding(
            number,
            payloads[str(number)].f,
            _did(str(number), done, failed),
            undo_of.get(number),
            _did(str(undo_of[number]), done, failed) if number in undo_of else "none",
        )
        for number in range(int(found[1]))
    ]


def _is_undo(node: str, shape: "re.Match[str]") -> bool:
    return node.isdigit() and int(node) >= int(shape[1])


def _did(node: str, done: set[str], failed: Mapping[str, Any]) -> Did:
    if node in done:
        return "done"
    if node not in failed:
        return "waiting"
    return "undecided" if failed[node].split(b"\n", 1)[0].endswith(b" undecided") else "failed"
