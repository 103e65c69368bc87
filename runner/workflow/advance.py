"""Making workflows go on: what ended becomes known to them, and what becomes due is enqueued.

Three steps, each a script of one slot and safe to be done twice, so that a crash between them only means
that somebody else does the rest: the script that ends a node's job keeps its end in the job's queue; the
workflow is told and says what is to be done, which stays in its set ``todo`` until it was done; the end is
dropped. Ids of jobs are derived from the workflow's, so doing twice makes no second job.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from ..wire import codec
from ..wire.dead_scripts import Answer as Revived
from ..wire.dead_scripts import DeadScripts, new_op
from ..wire.keys import Keys, Layout, keys_of, workflows_in
from ..wire.passing import is_passing
from ..wire.scripts import MAX_BATCH, Entry, Scripts
from ..wire.workflows import UNREAD, Act, Answer, Begin, FlowScripts, read_ended, unrun_node
from .draft import CHUNK, ERROR, Stored, unpacked
from .flat import members_of, units_of

logger = logging.getLogger("runner.workflow")

T = TypeVar("T")

AT_ONCE = 100
"""Jobs that one script makes: a large group must not hold up the server for others by more than a few ms."""
KEPT_ENDED = 10_000
"""Workflows that ended well which are listed."""


class PlanLost(ValueError):
    """A workflow is not there, or not the part of its plan that is asked for: the server lost writes."""


@dataclass
class Advancing:
    """Makes workflows go on.

    Attributes:
        execute: sends one command.
        layout: how keys are named.
        on_enqueued: called with the keys of a queue that got jobs.
        now_ms: the time to hand to scripts; 0: the server's.
    """

    execute: Callable[..., Any]
    layout: Layout = "classic"
    on_enqueued: Callable[[Keys], None] = lambda _: None
    now_ms: int = 0
    _seen: dict[tuple[str, str], list[Stored]] = field(default_factory=dict[tuple[str, str], list[Stored]])

    def __post_init__(self) -> None:
        self.scripts = FlowScripts(self.execute, self.layout)
        self._jobs = Scripts(self.execute)
        self._dead = DeadScripts(self.execute)

    # -- nodes that ended -------------------------------------------------------------------------------

    async def settle(self, keys: Keys) -> bool:
        """Tell workflows of up to 100 of their nodes that ended in a queue; whether there may be more.

        Raises:
            redis.exceptions.RedisError: of the server; what was taken is seen again when its lease is over.
        """
        taken = await self.scripts.take(keys, now_ms=self.now_ms)
        by_workflow: dict[str, list[tuple[str, Act | Begin]]] = {}
        done: list[str] = []
        for ended in taken.nodes:
            try:
                workflow, act = read_ended(ended)
                by_workflow.setdefault(workflow, []).append((ended.job_id, act))
            except ValueError:
                logger.exception("node %s: how it ended cannot be read; it is forgotten", ended.job_id)
                done.append(ended.job_id)
        for workflow, ends in by_workflow.items():
            if await self._settle(workflow, [act for _, act in ends]):
                done += [job_id for job_id, _ in ends]
        if done:
            await self.scripts.drop(keys, taken.till, done)
        return taken.may_be_more

    async def _settle(self, workflow: str, acts: Sequence[Act | Begin]) -> bool:
        """Act on one workflow and do all it asks for; False when something is wrong with it."""
        try:
            for act in acts:
                if isinstance(act, Begin):
                    await self.begin(workflow, act)
            plain = [await self._placed(workflow, act) for act in acts if isinstance(act, Act)]
            if told := [act for act in plain if act is not None]:
                await self.act(workflow, told)
        except (ResponseError, ValueError) as error:
            if is_passing(error):
                raise
            logger.exception("workflow %s cannot go on; it is tried again", workflow)
            return False
        return True

    async def _placed(self, workflow: str, act: Act) -> Act | None:
        """Give an act with its edges, from the plan where the job could not say them; None for no node."""
        if act.third != UNREAD:
            return act
        with contextlib.suppress(PlanLost):  # an id may look like a node's and be none
            meta = codec.decode_job((await self._call(workflow, act.first)).payload.encode()).m
            return None if meta is None else act._replace(third=meta.e)

    async def begin(self, workflow: str, begin: Begin) -> Answer | None:
        """Make a workflow of a draft and do all it asks for; None when the draft is not whole any more.

        Raises:
            PlanLost: the server lost the workflow meanwhile.
        """
        answer = await self.scripts.begin(workflow, begin, now_ms=self.now_ms)
        return None if answer is None else await self.carry_out(workflow, answer)

    async def act(self, workflow: str, acts: Sequence[Act]) -> Answer | None:
        """Act on a workflow and do all it asks for; None when there is none."""
        answer = await self.scripts.advance(workflow, acts, now_ms=self.now_ms)
        return None if answer is None else await self.carry_out(workflow, answer)

    async def surely(self, queue: str, note_id: str, word: bytes, act: Callable[[], Awaitable[T]]) -> T:
        """Do what is noted in a queue first: if this process dies half-way, a worker does the rest."""
        keys = keys_of(queue, self.layout)
        till = await self.scripts.note(keys, note_id, word, now_ms=self.now_ms)
        done = await act()
        await self.scripts.drop(keys, till, [note_id])
        return done

    # -- what is to be done -----------------------------------------------------------------------------

    async def carry_out(self, workflow: str, answer: Answer) -> Answer:
        """Do what a workflow asks for, until it asks for nothing more."""
        while answer.todo:
            did = await self._do(workflow, answer)
            told = await self.scripts.advance(workflow, did, now_ms=self.now_ms)
            if told is None:
                break
            answer = told
        self._seen.clear()
        return answer

    async def _do(self, workflow: str, answer: Answer) -> list[Act]:
        did: list[Act] = []
        by_queue: dict[str, list[Entry]] = {}
        for word in answer.todo:
            kind, _, rest = word.partition(":")
            if word[0].isdigit() and not answer.goes_on:
                did.append(Act("did", word, word))  # the script holds it
                continue
            if kind == "!list":
                await self._list(workflow, answer)
            elif kind == "!cancel":
                did.append(Act("did", word, await self._cancel(workflow, answer, rest)))
                continue
            elif kind == "!again":
                did.append(Act("did", word, await self._again(workflow, answer, rest)))
                continue
            elif rest:
                did.append(Act("did", word, await self._open(workflow, kind, int(rest), by_queue)))
                continue
            else:
                await self._add(workflow, word, by_queue)
            did.append(Act("did", word))
        await self._enqueue(by_queue)
        return did

    async def _add(self, workflow: str, node: str, by_queue: dict[str, list[Entry]]) -> None:
        call = await self._call(workflow, node)
        by_queue.setdefault(call.queue, []).append(call.entry(workflow, await self._now_ms(call), node))

    async def _enqueue(self, by_queue: dict[str, list[Entry]]) -> None:
        for queue, entries in by_queue.items():
            keys = keys_of(queue, self.layout)
            for start in range(0, len(entries), AT_ONCE):
                await self._jobs.enqueue(keys, entries[start : start + AT_ONCE], now_ms=self.now_ms)
            self.on_enqueued(keys)

    async def _open(self, workflow: str, group: str, start: int, by_queue: dict[str, list[Entry]]) -> str:
        """Make jobs of some of a group's members; gives what is to be done then: inner groups, the rest."""
        line = await self.execute("HGET", self.scripts.key(workflow, "units"), group)
        if line is None:
            msg = f"workflow {workflow} has no group {group}"
            raise PlanLost(msg)
        members = members_of(line)
        stop = min(start + MAX_BATCH, members.count)
        following: list[str] = []
        for number, is_group in units_of(members.heads, start, stop):
            if is_group:
                following.append(str(number))
            else:
                await self._add(workflow, str(number), by_queue)
        if stop < members.count:
            following.append(f"{group}:{stop}")
        return " ".join(following)

    async def _call(self, workflow: str, node: str) -> Stored:
        """Give the stored call of a node.

        Raises:
            PlanLost: the workflow has no such node (any more).
        """
        is_error = node.startswith(ERROR)
        for each in await self._chunk(workflow, ERROR if is_error else str(int(node) // CHUNK)):
            if is_error or each.node == node:
                return each
        msg = f"workflow {workflow} has no node {node}"
        raise PlanLost(msg)

    async def _chunk(self, workflow: str, chunk: str) -> list[Stored]:
        found = self._seen.get((workflow, chunk))
        if found is None:
            data = await self.execute("HGET", self.scripts.key(workflow, "plan"), chunk)
            if not data:
                return []
            if len(self._seen) > 10:
                self._seen.clear()
            found = self._seen[workflow, chunk] = unpacked(data)
        return found

    async def _now_ms(self, call: Stored) -> int:
        if not call.expires_ms or self.now_ms:
            return self.now_ms
        seconds, microseconds = await self.execute("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def _list(self, workflow: str, answer: Answer) -> None:
        """Put a workflow into the list of its state, and out of the others."""
        state = {"running": "running", "succeeded": "ended"}.get(answer.state, "failed")
        key = self.scripts.key(workflow, "state")
        started = await self.execute("HGET", key, "started")
        for each in ("running", "failed", "ended"):
            if each == state:
                await self.execute("ZADD", workflows_in(each), started or 0, workflow)
            else:
                await self.execute("ZREM", workflows_in(each), workflow)
        await self.execute("ZREMRANGEBYRANK", workflows_in("ended"), 0, -KEPT_ENDED - 1)

    async def _cancel(self, workflow: str, answer: Answer, rest: str) -> str:
        """Cancel a hundred nodes of a workflow that ended; gives the word for the rest."""
        number, chunk = map(int, rest.split(":"))
        if answer.state in ("running", "succeeded") or number != answer.round:
            return ""
        calls = await self._chunk(workflow, str(chunk))
        if calls:
            nodes = [call.node for call in calls]
            ended = await asyncio.gather(
                self.execute("HMGET", self.scripts.key(workflow, "results"), *nodes),
                self.execute("HMGET", self.scripts.key(workflow, "failures"), *nodes),
            )
            waiting = [c for c, r, f in zip(calls, *ended, strict=True) if r is None and f is None]
            await asyncio.gather(*(self._cancel_one(workflow, call) for call in waiting))
        total = int(await self.execute("HGET", self.scripts.key(workflow, "state"), "units") or 0)
        return f"!cancel:{number}:{chunk + 1}" if (chunk + 1) * CHUNK < total else ""

    async def _cancel_one(self, workflow: str, call: Stored) -> None:
        entry = call.entry(workflow, 0)
        word = unrun_node("cancelled", "cancelled", entry.payload)
        keys = keys_of(call.queue, self.layout)
        await self._jobs.cancel(keys, entry.job_id, result=b"", keep_ms=0, node=word, now_ms=self.now_ms)

    async def _again(self, workflow: str, answer: Answer, cursor: str) -> str:
        """Make jobs again of some nodes that failed; gives the word for the rest."""
        key = self.scripts.key(workflow, "failures")
        following, flat = await self.execute("HSCAN", key, cursor, "COUNT", 100)
        for node, failure in zip(flat[::2], flat[1::2], strict=True):
            _, number, how = failure.split(b"\n", 1)[0].split(b" ")
            if how != b"collected" and int(number) < answer.round:
                await self._make_again(workflow, node.decode())
        return "" if following == b"0" else f"!again:{following.decode()}"

    async def _make_again(self, workflow: str, node: str) -> None:
        """Make a job again as the plan says it: the dead letter's may be unreadable, gone or expired."""
        call = await self._call(workflow, node)
        keys = keys_of(call.queue, self.layout)
        entry = call.entry(workflow, await self._now_ms(call))
        [revived] = await self._dead.replay(
            keys, [(entry.job_id, entry.payload)], by="workflow", op=new_op(), now_ms=self.now_ms
        )
        if revived == Revived.MISSING:
            await self.execute("DEL", keys.result(entry.job_id))
            await self._jobs.enqueue(keys, [entry], now_ms=self.now_ms)
        self.on_enqueued(keys)
