"""A workflow as a tree for people: chains, groups and nodes, each with its state."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .status import NodeStatus

_WORDS = {"c": "chain", "g": "group", "k": "group that collects"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a node with its state, or what holds nodes.

    Attributes:
        depth: how far it is indented.
        node: None for a chain or a group.
        word: what it is, for those.
    """

    depth: int
    node: NodeStatus | None
    word: str = ""

    def text(self) -> str:
        """Give it in words."""
        if self.node is None:
            return self.word
        error = f"  {self.node.error}" if self.node.error else ""
        return f"{self.node.number}  {self.node.task}  {self.node.state}{error}"


def tree(shape: str, nodes: Sequence[NodeStatus]) -> list[Line]:
    """Draw a workflow's shape (``flat.Flat.shape``) with its first nodes; the rest is left out."""
    known = {node.number: node for node in nodes}
    return list(_Drawing(shape, known, max(known, default=-1)).lines())


@dataclass
class _Drawing:
    shape: str
    known: Mapping[int, NodeStatus]
    last: int
    number: int = 0

    def lines(self) -> Iterator[Line]:
        yield from self._members(0, len(self.shape), 0)

    def _members(self, start: int, stop: int, depth: int) -> Iterator[Line]:
        at = start
        while at < stop:
            digits = at
            while self.shape[at].isdigit():
                at += 1
            count, end = int(self.shape[digits:at] or 1), self._end(at)
            for _ in range(count):
                if self.number > self.last:
                    yield Line(depth, None, "…")
                    return
                yield from self._one(at, end, depth)
            at = end

    def _one(self, at: int, end: int, depth: int) -> Iterator[Line]:
        kind = self.shape[at]
        if kind == ".":
            node = self.known.get(self.number)
            self.number += 1
            yield Line(depth, node, "" if node else "…")
            return
        self.number += kind != "c"
        yield Line(depth, None, _WORDS[kind])
        yield from self._members(at + 2, end - 1, depth + 1)

    def _end(self, at: int) -> int:
        """Give where the part that begins here ends."""
        depth = 0
        for place in range(at, len(self.shape)):
            depth += {"(": 1, ")": -1}.get(self.shape[place], 0)
            if depth == 0 and self.shape[place] in ".)":
                return place + 1
        return len(self.shape)
