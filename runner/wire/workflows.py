"""The scripts of workflows, as typed calls: those of a workflow, and those of a queue's nodes that ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from . import codec
from .keys import Keys, Layout, keys_of_workflow
from .scripts import Execute, run_script

LEASE_MS = 10_000
"""How long whoever took a node that ended has to tell its workflow before others do."""
PAGE = 100
PAGE_BYTES = 1024 * 1024
DRAFT_S = 3600
"""How long a draft waits to be begun."""

How = Literal["done", "dead", "undecided", "cancelled"]

UNREAD = "?"
"""Edges of a node whose payload is lost or cannot be read: they stand in the workflow's plan."""


class Act(NamedTuple):
    """One act on a workflow; the table of verbs is workflow_advance.lua's."""

    verb: Literal["end", "did", "stop", "again"]
    first: str = ""
    second: str = ""
    third: str = ""
    value: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a workflow says.

    Attributes:
        state: it is in.
        round: 1, and one more for each retry.
        goes_on: whether what becomes due is done; otherwise it is held.
        todo: what is to be done, up to 100 words.
    """

    state: str
    round: int
    goes_on: bool
    todo: list[str]


class Ended(NamedTuple):
    """A node that ended, or a note of what is to be done; ``how`` is as it was noted, its fence in front."""

    job_id: str
    how: bytes


class Taken(NamedTuple):
    """Nodes taken; ``till`` names the taking to ``drop``."""

    till: str
    may_be_more: bool
    nodes: list[Ended]


def node_word(how: How, edges: str, workflow: str, value: bytes) -> bytes:
    """Give how a node ended as scripts keep it."""
    return f"{how} {edges} {workflow}\n".encode() + value


def unrun_node(how: How, why: str, payload: bytes | None) -> bytes:
    """Give how a job ended that no worker ran to its end, if it is a node; else nothing."""
    try:
        meta = codec.decode_job(payload or b"").m
    except ValueError:
        return b""
    if meta is None or not meta.w:
        return b""
    return node_word(how, meta.e, meta.w, codec.encode_value(codec.error_value(RuntimeError(why))))


@dataclass(frozen=True, slots=True)
class Begin:
    """A start, as it is noted until it is done.

    Attributes:
        start: names the draft.
        edge: what is due first.
        parts: fields that the draft has when nothing of it is lost.
        fields: of the state.
    """

    start: str
    edge: str
    parts: int
    fields: dict[str, str]

    def word(self, workflow: str) -> bytes:
        """Give it as it is noted."""
        return f"begin {self.edge} {workflow}\n".encode() + msgspec.json.encode(
            (self.start, self.parts, self.fields)
        )


class FlowScripts:
    """The scripts, sent through one ``execute``; each may be sent twice."""

    def __init__(self, execute: Execute, layout: Layout = "classic") -> None:
        self.execute = execute
        self.layout: Layout = layout

    def keys(self, workflow: str) -> Keys:
        """Give the keys of a workflow."""
        return keys_of_workflow(workflow, self.layout)

    def key(self, workflow: str, part: str) -> str:
        """Give the key of a part of a workflow."""
        return f"{self.keys(workflow).arq}{part}:{workflow}"

    async def draft(self, workflow: str, start: str, part: str, fields: Mapping[str, bytes]) -> None:
        """Write some of what ``begin`` makes the plan or the units; it goes when it is not begun."""
        key = self.key(workflow, f"{part}-draft-{start}")
        flat = [each for field in fields.items() for each in field]
        await run_script(self.execute, "workflow_draft", (key,), (DRAFT_S, *flat))

    async def begin(self, workflow: str, begin: Begin, *, now_ms: int = 0) -> Answer | None:
        """Make a workflow of its draft, unless there is one; None when there is neither, or half a draft."""
        drafts = [self.key(workflow, f"{part}-draft-{begin.start}") for part in ("plan", "units")]
        flat = [each for field in begin.fields.items() for each in field]
        args = (self.keys(workflow).arq, workflow, now_ms, begin.start, begin.edge, begin.parts, *flat)
        reply = await run_script(self.execute, "workflow_begin", drafts, args)
        return _answer(reply) if reply else None

    async def advance(self, workflow: str, acts: Sequence[Act], *, now_ms: int = 0) -> Answer | None:
        """Act on a workflow, up to 200 acts; None when there is none."""
        flat = [each for act in acts for each in act]
        names, args = (self.key(workflow, "state"),), (self.keys(workflow).arq, workflow, now_ms, *flat)
        reply = await run_script(self.execute, "workflow_advance", names, args)
        return _answer(reply) if reply else None

    async def admit(self, workflow: str, nodes: Sequence[str]) -> list[int]:
        """Say of up to 500 nodes: 1 it runs, 2 the workflow has ended, 0 there is nothing to run."""
        names, args = (self.key(workflow, "state"),), (self.keys(workflow).arq, workflow, *nodes)
        return await run_script(self.execute, "workflow_admit", names, args)

    async def note(self, keys: Keys, note_id: str, word: bytes, *, now_ms: int = 0) -> str:
        """Keep in a queue that something is to be done for a workflow; names the note to ``drop``."""
        args = (now_ms, LEASE_MS, note_id, word)
        return (await run_script(self.execute, "nodes_note", (keys.nodes_ended,), args)).decode()

    async def take(self, keys: Keys, *, now_ms: int = 0) -> Taken:
        """Take up to 100 nodes of a queue whose end their workflow may not know."""
        names = (keys.nodes_ended, keys.nodes_ended + "-how")
        reply = await run_script(self.execute, "nodes_take", names, (now_ms, LEASE_MS, PAGE, PAGE_BYTES))
        nodes = [Ended(reply[i].decode(), reply[i + 1]) for i in range(2, len(reply), 2)]
        return Taken(reply[0].decode(), reply[1] == 1, nodes)

    async def drop(self, keys: Keys, till: str, ids: Sequence[str]) -> int:
        """Forget nodes of a queue, up to 100; those that ended anew stay."""
        names = (keys.nodes_ended, keys.nodes_ended + "-how")
        return await run_script(self.execute, "nodes_drop", names, (till, *ids))


def read_ended(ended: Ended) -> tuple[str, Act | Begin]:
    """Give the workflow of a node that ended, or of a note, and what it is to be told.

    Raises:
        ValueError: it is no word of ``node_word`` or ``Begin``.
    """
    head, _, value = ended.how.partition(b"\n")
    fence, how, edges, workflow = head.decode().split(" ", 3)
    if how == "begin":
        start, parts, fields = msgspec.json.decode(value, type=tuple[str, int, dict[str, str]])
        return workflow, Begin(start, edges, parts, fields)
    if how in ("stop", "again"):
        return workflow, Act("stop") if how == "stop" else Act("again", edges)
    node = ended.job_id.removeprefix(workflow + ":")
    return workflow, Act("end", node, f"{how} {fence}", edges, value)


def _answer(reply: list[Any]) -> Answer:
    state, number, goes_on, *todo = reply
    return Answer(state.decode(), int(number), goes_on == 1, [word.decode() for word in todo])
