"""Workflows to look at: which there are, and how the nodes of one stand and nest."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..wire import codec
from ..wire.keys import keys_of, workflows_in
from ..wire.scripts import Execute
from ..wire.workflows import FlowScripts
from .draft import CHUNK, Stored, unpacked

LISTS = ("running", "failed", "ended")
MOST_NODES = 300
LONGEST_SHAPE = 50_000
"""Nodes that are drawn, and characters of a shape that are read; of more, only their number is told."""

Kind = Literal["node", "chain", "group"]
_MARK = re.compile(r"(\d*)(\.|[cgk]\(|\))")


@dataclass(frozen=True, slots=True)
class Listed:
    """Some workflows of a state, the newest first, and how many there are in each state."""

    ids: Sequence[str]
    counts: Mapping[str, int]


@dataclass(slots=True)
class Box:
    """A unit of a workflow as it is drawn.

    Attributes:
        kind: a node, a chain (one after the other) or a group (side by side).
        number: of a node; -1 for others.
        task: of a node; empty when it is not known.
        queue: of a node.
        state: of a node: ``succeeded``, ``failed``, ``cancelled``, ``running``, ``ready`` or ``waiting``.
        children: in order.
        hidden: nodes inside that are not drawn.
    """

    kind: Kind
    number: int = -1
    task: str = ""
    queue: str = ""
    state: str = "waiting"
    children: "list[Box]" = field(default_factory=list["Box"])
    hidden: int = 0


async def listed(execute: Execute, state: str, *, start: int, count: int) -> Listed:
    """List workflows of a state: ``running``, ``failed`` (or cancelled) or ``ended``; four commands.

    Raises:
        ValueError: there is no list of that state.
    """
    if state not in LISTS:
        msg = f"workflows are listed as {', '.join(LISTS)}, not as '{state[:20]}'"
        raise ValueError(msg)
    ids, *counts = await asyncio.gather(
        execute("ZRANGE", workflows_in(state), start, start + count - 1, "REV"),
        *(execute("ZCARD", workflows_in(each)) for each in LISTS),
    )
    names = [each.decode(errors="replace") for each in ids]
    return Listed(names, dict(zip(LISTS, map(int, counts), strict=True)))


async def draw(scripts: FlowScripts, workflow: str) -> Box:
    """Give how a workflow nests and how each of its first 300 nodes stands; a handful of commands a node."""
    shape, count = await scripts.execute("HMGET", scripts.key(workflow, "state"), "shape", "nodes")
    if shape is None or len(shape) > LONGEST_SHAPE:
        return Box("chain", hidden=int(count or 0))
    root = box_of(shape.decode())
    nodes = {box.number: box for box in _nodes(root)}
    if nodes:
        await _fill(scripts, workflow, nodes)
    return root


async def _fill(scripts: FlowScripts, workflow: str, nodes: Mapping[int, Box]) -> None:
    execute, numbers = scripts.execute, [str(number) for number in nodes]
    chunks = sorted({str(number // CHUNK) for number in nodes})
    plans, failures, *done = await asyncio.gather(
        execute("HMGET", scripts.key(workflow, "plan"), *chunks),
        execute("HMGET", scripts.key(workflow, "failures"), *numbers),
        *(execute("HEXISTS", scripts.key(workflow, "results"), number) for number in numbers),
    )
    for call in (call for plan in plans if plan is not None for call in unpacked(plan)):
        if call.node.isdigit() and (box := nodes.get(int(call.node))) is not None:
            box.task, box.queue = _task(call), call.queue
    for box, failure, is_done in zip(nodes.values(), failures, done, strict=True):
        if is_done:
            box.state = "succeeded"
        elif failure is not None:
            how = failure.split(b"\n", 1)[0].decode(errors="replace").split(" ")
            box.state = "cancelled" if how[-1] == "cancelled" else "failed"
    open_ones = [box for box in nodes.values() if box.state == "waiting" and box.queue]
    found = await asyncio.gather(*(_job_state(scripts, workflow, box) for box in open_ones))
    for box, state in zip(open_ones, found, strict=True):
        box.state = state


async def _job_state(scripts: FlowScripts, workflow: str, box: Box) -> str:
    keys, job_id = keys_of(box.queue, scripts.layout), f"{workflow}:{box.number}"
    leased, score = await asyncio.gather(
        scripts.execute("EXISTS", keys.lease(job_id)), scripts.execute("ZSCORE", keys.queue, job_id)
    )
    return "running" if leased else "ready" if score is not None else "waiting"


def _task(call: Stored) -> str:
    try:
        return codec.decode_job(call.payload.encode()).f
    except ValueError:
        return ""


def _nodes(box: Box) -> Iterator[Box]:
    if box.kind == "node":
        yield box
    for child in box.children:
        yield from _nodes(child)


# -- the shape -------------------------------------------------------------------------------------------


@dataclass
class _Reading:
    """Goes through a shape: units are numbered in the order they are written in, groups too, chains not."""

    marks: list[tuple[str, str]]
    number: int = 0
    drawn: int = 0

    def read(self, at: int, into: Box) -> int:
        """Read the unit that begins at a mark, as often as it is repeated; gives the mark behind it."""
        times, end = int(self.marks[at][0] or 1), at
        for done in range(times):
            if self.drawn >= MOST_NODES:
                units, nodes, end = self._size(at)
                self.number += (times - done) * units
                into.hidden += (times - done) * nodes
                break
            end = self._one(at, into)
        return end

    def _one(self, at: int, into: Box) -> int:
        mark = self.marks[at][1]
        if mark == ".":
            into.children.append(Box("node", self.number))
            self.drawn, self.number = self.drawn + 1, self.number + 1
            return at + 1
        box = Box("chain" if mark == "c(" else "group")
        into.children.append(box)
        self.number += box.kind == "group"
        at += 1
        while self.marks[at][1] != ")":
            at = self.read(at, box)
        return at + 1

    def _size(self, at: int) -> tuple[int, int, int]:
        """Count the numbers and the nodes of one unit; gives the mark behind it, too."""
        mark = self.marks[at][1]
        if mark == ".":
            return 1, 1, at + 1
        units, nodes, at = int(mark != "c("), 0, at + 1
        while self.marks[at][1] != ")":
            times = int(self.marks[at][0] or 1)
            more, inside, at = self._size(at)
            units, nodes = units + times * more, nodes + times * inside
        return units, nodes, at + 1


def box_of(shape: str) -> Box:
    """Give the boxes of a shape, as ``Flat`` tells of it, numbered."""
    marks = [(times, mark) for times, mark in _MARK.findall(shape)]
    root = Box("chain")
    if marks:
        _Reading(marks).read(0, root)
    return root.children[0] if len(root.children) == 1 and not root.hidden else root
