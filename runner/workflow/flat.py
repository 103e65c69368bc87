"""A workflow laid flat: numbered nodes and groups, and where the end of each leads.

Units (nodes and groups) are numbered in the order they are written in, from 0; chains are none: a unit's
edge leads straight to what follows. An edge is ``>7`` (unit 7 becomes due), ``12.3`` (bit 12 of group 3 is
set; its own edge follows when it was the last), or ``=word`` (the workflow ends in that state). A node has
two of them with ``|`` between: when it is done, and when it is not; a saga's have more. Values are not passed
along edges: a node names the unit whose value it takes, and that is read when it runs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from ..errors import InvalidJob
from ..parts import Chain, Group, Part, Step

MAX_DEPTH = 100


class Run(NamedTuple):
    """Units at equal distances: the first, how many, the distance; whether they are groups."""

    first: int
    length: int
    step: int
    are_groups: bool


@dataclass(frozen=True, slots=True)
class Node:
    """One call of a workflow.

    Attributes:
        number: of the unit.
        call: what is called.
        feed: the unit whose value is its first argument; in a list: None where that has none. None for none.
        edges: see above.
    """

    number: int
    call: Step[Any, Any]
    feed: int | list[int] | None
    edges: str


@dataclass(frozen=True, slots=True)
class Members:
    """A group.

    Attributes:
        first_bit: its members' bits follow one another.
        count: of its members.
        edge: what follows when all have ended.
        collects: errors count as ends.
        heads: the units its members begin with.
        values: the units whose values are its members'.
    """

    first_bit: int
    count: int
    edge: str
    collects: bool
    heads: list[Run]
    values: list[Run]

    def line(self) -> bytes:
        """Give it as it is stored: what scripts read, then JSON."""
        rest = msgspec.json.encode((self.collects, self.heads, self.values))
        return f"{self.first_bit} {self.count} {self.edge} ".encode() + rest


def members_of(line: bytes) -> Members:
    """Read what ``Members.line`` wrote."""
    first, count, edge, rest = line.split(b" ", 3)
    collects, heads, values = msgspec.json.decode(rest, type=tuple[bool, list[Run], list[Run]])
    return Members(int(first), int(count), edge.decode(), collects, heads, values)


@dataclass
class Flat:
    """A workflow laid flat.

    Attributes:
        nodes: in the order of their numbers.
        groups: by number.
        edge: where it begins.
        value: the unit whose value is the workflow's; a group has one only then.
        shape: how units nest, for drawing: ``.`` a node, ``c(…)`` a chain, ``g(…)`` a group, ``k(…)`` a group
            that collects; a number in front repeats.
    """

    nodes: list[Node] = field(default_factory=list[Node])
    groups: dict[int, Members] = field(default_factory=dict[int, Members])
    edge: str = ""
    value: int = 0
    shape: str = ""


@dataclass(slots=True)
class _Unit:
    """A part with its number; a chain has that of its first."""

    part: Part[Any, Any]
    number: int
    children: "list[_Unit]"
    shape: str

    @property
    def value(self) -> int:
        return self.children[-1].value if isinstance(self.part, Chain) else self.number

    @property
    def is_group_valued(self) -> bool:
        if isinstance(self.part, Chain):
            return self.children[-1].is_group_valued
        return isinstance(self.part, Group)

    @property
    def begins_with_group(self) -> bool:
        if isinstance(self.part, Chain):
            return self.children[0].begins_with_group
        return isinstance(self.part, Group)


def lay_flat(workflow: Part[Any, Any]) -> Flat:
    """Number a workflow's units and say where their ends lead.

    Raises:
        InvalidJob: it nests deeper than 100, or holds what is no part.
    """
    root = _number(workflow, [0], 0)
    made = _Laying(Flat(edge=f">{root.number}", value=root.value, shape=root.shape))
    made.lay(root, None, "=succeeded", "=failed")
    made.flat.nodes.sort(key=lambda node: node.number)
    return made.flat


def _number(part: Part[Any, Any], counter: list[int], depth: int) -> _Unit:
    if depth > MAX_DEPTH:
        msg = f"the workflow nests deeper than {MAX_DEPTH}"
        raise InvalidJob(msg)
    number = counter[0]
    match part:
        case Step():
            counter[0] += 1
            return _Unit(part, number, [], ".")
        case Chain(parts):
            children = [_number(each, counter, depth + 1) for each in parts]
            return _Unit(part, children[0].number, children, f"c({_shapes(children)})")
        case Group(parts, error):
            counter[0] += 1
            children = [_number(each, counter, depth + 1) for each in parts]
            return _Unit(part, number, children, f"{'g' if error == 'fail' else 'k'}({_shapes(children)})")
        case _:
            msg = f"{part!r} is no part of a workflow: use task.call(…), chain, group and chord"
            raise InvalidJob(msg)


def _shapes(children: list[_Unit]) -> str:
    made: list[list[Any]] = []
    for child in children:
        if made and made[-1][0] == child.shape:
            made[-1][1] += 1
        else:
            made.append([child.shape, 1])
    return "".join(shape if count == 1 else f"{count}{shape}" for shape, count in made)


@dataclass
class _Laying:
    flat: Flat
    bits: int = 0

    def lay(self, unit: _Unit, feed: int | None, after: str, otherwise: str) -> None:
        match unit.part:
            case Step(is_fixed=is_fixed) as call:
                takes = None if is_fixed else feed
                self.flat.nodes.append(Node(unit.number, call, takes, f"{after}|{otherwise}"))
            case Chain():
                for child, follower in zip(unit.children, [*unit.children[1:], None], strict=True):
                    self.lay(child, feed, after if follower is None else f">{follower.number}", otherwise)
                    feed = child.value
            case Group(error=error):
                first = self.bits
                self.bits += len(unit.children)
                self.flat.groups[unit.number] = Members(
                    first,
                    len(unit.children),
                    after,
                    error == "collect",
                    list(_runs((child.number, child.begins_with_group) for child in unit.children)),
                    list(_runs((child.value, child.is_group_valued) for child in unit.children)),
                )
                for bit, child in enumerate(unit.children, first):
                    edge = f"{bit}.{unit.number}"
                    self.lay(child, feed, edge, edge if error == "collect" else otherwise)
            case _:
                raise AssertionError(unit.part)


def _runs(units: Iterator[tuple[int, bool]]) -> Iterator[Run]:
    run: Run | None = None
    for number, is_group in units:
        if run is None:
            run = Run(number, 1, 1, is_group)
        elif run.length == 1 and run.are_groups == is_group:
            run = Run(run.first, 2, number - run.first, is_group)
        elif run.are_groups == is_group and number == run.first + run.length * run.step:
            run = run._replace(length=run.length + 1)
        else:
            yield run
            run = Run(number, 1, 1, is_group)
    if run is not None:
        yield run


def units_of(runs: list[Run], start: int, stop: int) -> Iterator[tuple[int, bool]]:
    """Give the numbers of the units ``start`` to ``stop`` of runs, and whether each is a group."""
    at = 0
    for first, length, step, are_groups in runs:
        for n in range(max(start - at, 0), min(stop - at, length)):
            yield first + n * step, are_groups
        at += length
        if at >= stop:
            return
