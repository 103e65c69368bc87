"""Nodes of workflows, as a worker sees them: whether one runs, what it takes, who is told how it ended."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..job import Attempt
from ..outcome import Cancelled, Dead, Outcome, Snoozed
from ..wire import codec
from ..wire.coalesce import Coalesced
from ..wire.keys import Keys, Layout
from ..wire.scripts import End, Execute
from ..wire.workflows import UNREAD, FlowScripts, How, node_word
from ..workflow.advance import Advancing
from ..workflow.draft import FEED
from ..workflow.values import Missing, read_failure, read_results, read_value, read_value_or_none
from .attempt import classify
from .sharing import ServedQueue
from .survive import TROUBLE, Patience

logger = logging.getLogger("runner.engine")

LOOK_S = 15.0
"""How often a worker looks for nodes whose end nobody told to their workflow."""
NEWS_S = 1.0
"""How long it waits when others write such ends: they see to them, unless they die."""
LEAVE_S = 2.0
AGAIN_MS = 1000
UNTOLD = 3
"""Beside what ``FlowScripts.admit`` says: the node has ended, and its workflow does not know it yet."""

_UNREADABLE = ("missing_payload", "undecodable")

Asked = tuple[Keys, str, str, str]


class Nodes:
    """The nodes of the queues that a worker serves; runs beside it.

    Args:
        execute: sends one command.
        layout: how keys are named.
        queues: those served.
        on_enqueued: called with the keys of a queue that got jobs.
    """

    def __init__(
        self, execute: Execute, layout: Layout, queues: Sequence[Keys], on_enqueued: Callable[[Keys], None]
    ) -> None:
        self._advancing = Advancing(execute, layout, on_enqueued)
        self._queues = {keys.queue: keys for keys in queues}
        self._by_ended = {keys.nodes_ended.encode(): keys for keys in queues}
        self._due = dict.fromkeys(self._queues)
        self._wake = asyncio.Event()
        self._news: asyncio.TimerHandle | None = None
        self._asking: Coalesced[Asked, int] = Coalesced(self._ask)
        self.prefixes = tuple(keys.nodes_ended for keys in queues)

    # -- those that ended -------------------------------------------------------------------------------

    def note_ended(self, queue: str) -> None:
        """Look at once: nodes of a queue have ended here."""
        self._due[queue] = None
        self._wake.set()

    def note_changed(self, keys: Sequence[bytes]) -> None:
        """Look soon at the queues whose nodes others noted; at all of them when news may have been missed."""
        changed = [each for key in keys if (each := self._by_ended.get(key)) is not None]
        self._due.update(dict.fromkeys(each.queue for each in (changed if keys else self._queues.values())))
        if (changed or not keys) and self._news is None:
            self._news = asyncio.get_running_loop().call_later(NEWS_S, self._note_news)

    def _note_news(self) -> None:
        self._news = None
        self._wake.set()

    async def run(self, execute: Execute) -> None:  # noqa: ARG002 - the one it was made with
        """Tell workflows of their nodes until cancelled."""
        patience = Patience()
        while True:
            self._wake.clear()
            try:
                await self.settle()
                patience.reset()
            except TROUBLE:
                await asyncio.sleep(patience.next_delay_s())
                continue
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                self._due.update(dict.fromkeys(self._queues))

    async def settle(self) -> None:
        """Tell workflows of all nodes that ended in the queues to look at."""
        while self._due:
            queue, is_left = next(iter(self._due)), True
            del self._due[queue]  # first: what ends meanwhile makes it due again, behind the others
            try:
                is_left = await self._advancing.settle(self._queues[queue])
            finally:
                if is_left:
                    self._due[queue] = None

    async def leave(self) -> None:
        """Tell workflows of what ended last, if the server is there; else another worker does."""
        with contextlib.suppress(*TROUBLE):
            async with asyncio.timeout(LEAVE_S):
                await self.settle()

    # -- those that begin -------------------------------------------------------------------------------

    async def admit(self, attempt: Attempt, *, takes_results: bool = False) -> Outcome | None:
        """Say why a node is not to run, or None; its first argument becomes what comes before it.

        Args:
            attempt: of the node.
            takes_results: its task reads the values of a group by itself.
        """
        try:
            return await self._admit(attempt, read_results if takes_results else read_value)
        except TROUBLE:
            return Snoozed(AGAIN_MS, "its workflow could not be asked")
        except Missing as error:
            return Dead("failed", error)
        except asyncio.CancelledError as error:
            return classify(error, attempt)

    async def _admit(
        self, attempt: Attempt, read: Callable[[FlowScripts, str, int], Awaitable[Any]]
    ) -> Outcome | None:
        workflow = attempt.meta.w
        node = attempt.job_id.removeprefix(workflow + ":")
        verdict = await self._asking.put((self._queues[attempt.queue], workflow, node, attempt.job_id))
        if verdict == UNTOLD:
            return Snoozed(AGAIN_MS, "its workflow has yet to be told how it ended")
        if verdict == 0:
            attempt.meta = codec.Meta(w=workflow)  # without edges: this end is nobody's news
            return Cancelled("the node has ended already")
        if verdict == 2:
            return Cancelled("its workflow has ended")
        first: Any = attempt.args[0] if attempt.args else None
        if isinstance(first, dict) and first.keys() == {FEED}:
            scripts, unit = self._advancing.scripts, first[FEED]
            match unit:
                case int():
                    value = await read(scripts, workflow, unit)
                case [int(step)]:
                    value = await read_value_or_none(scripts, workflow, step)
                case _:
                    value = await read_failure(scripts, workflow, node)
            attempt.args = [value, *attempt.args[1:]]
        return None

    async def _ask(self, asked: Sequence[Asked]) -> list[int]:
        """Ask of many nodes at once.

        First whether an end of theirs is on its way, of which the workflow does not know yet: in the other
        order an end could slip through in between.
        """
        execute, scripts = self._advancing.execute, self._advancing.scripts
        by_queue: dict[str, list[Asked]] = {}
        by_workflow: dict[str, list[Asked]] = {}
        for each in asked:
            by_queue.setdefault(each[0].nodes_ended, []).append(each)
            by_workflow.setdefault(each[1], []).append(each)
        ended = [execute("ZMSCORE", key, *(each[3] for each in some)) for key, some in by_queue.items()]
        admitted = [scripts.admit(name, [each[2] for each in some]) for name, some in by_workflow.items()]
        replies = await asyncio.gather(*ended, *admitted)
        verdicts: dict[Asked, int] = {}
        for some, reply in zip(by_workflow.values(), replies[len(ended) :], strict=True):
            verdicts.update(zip(some, reply, strict=True))
        for some, reply in zip(by_queue.values(), replies, strict=False):
            untold = (each for each, score in zip(some, reply, strict=True) if score is not None)
            verdicts.update(dict.fromkeys(untold, UNTOLD))
        return [verdicts[each] for each in asked]


def noting_ends(
    forget: Callable[[str, str], None], nodes: Nodes | None
) -> Callable[[ServedQueue, Sequence[End]], None]:
    """Give what is to be called with a queue and ends that were written."""

    def note(queue: ServedQueue, ends: Sequence[End]) -> None:
        for end in ends:
            forget(end.job_id, end.token)
        if nodes is not None and any(end.node for end in ends):
            nodes.note_ended(queue.keys.queue)

    return note


def place_of(attempt: Attempt, outcome: Outcome) -> tuple[str, str] | None:
    """Give the workflow an attempt is of, and the edges of its node; None for no node.

    A payload that cannot be read does not say so, but the id may; its workflow's plan says the edges then.
    """
    meta = attempt.meta
    if meta is not None:
        return (meta.w, meta.e) if meta.w else None
    if isinstance(outcome, Dead) and outcome.reason in _UNREADABLE:
        workflow, _, node = attempt.job_id.rpartition(":")
        return (workflow, UNREAD) if node.isdigit() else None
    return None


def node_end(end: End | None, place: tuple[str, str], outcome: Outcome) -> End | None:
    """Add to what is written of an attempt how its node ended, if it has.

    The workflow keeps what a node returned, so nothing of it is kept beside.
    """
    if end is None or end.verb not in ("done", "dead"):
        return end
    workflow, edges = place
    how: How = "dead" if end.verb == "dead" else "done"
    if isinstance(outcome, Cancelled):
        how = "cancelled"
    elif isinstance(outcome, Dead) and outcome.reason == "undecided":
        how = "undecided"
    word = node_word(how, edges, workflow, codec.node_value(end.result)) if edges else b""
    return end._replace(ms=0, result=b"", node=word)
