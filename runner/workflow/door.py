"""The door to workflows: starting them, and handles on those that were."""

import asyncio
import secrets
from functools import partial
from typing import Any, Literal, TypedDict, TypeVar

from ..arguments import converter_of
from ..client import Client
from ..clock import SYSTEM_CLOCK
from ..errors import InvalidJob, ServerError
from ..parts import Part, Saga, Step
from ..placement import checked_key
from ..registry import Registry
from ..settings import Settings
from ..tasks import Task
from ..wire.keys import workflows_in
from ..wire.workflows import Begin
from .advance import Advancing, PlanLost
from .check import Given, check_parts
from .draft import ERROR, chunks_of, packed, stored
from .flat import Flat, lay_flat
from .handle import Workflow, WorkflowInfo
from .saga import check_saga, lay_saga

R = TypeVar("R", covariant=True)

OnFailure = Literal["cancel", "finish"]

STARTS = 5
"""How often a start is made in all when the server loses what was written of it."""
KEPT_S = 60.0
"""A workflow that has ended is kept for at least so long (flow_keep.lua)."""
DRAFT_CHUNKS = 20
DRAFT_GROUPS = 500
"""Chunks of calls, and groups, that one trip writes."""


class StartOptions(TypedDict, total=False):
    """The options of ``Workflows.start``, which tells of them."""

    id: str | None
    on_failure: OnFailure
    on_error: Task[[dict[str, Any]], Any] | None


class Workflows:
    """Starts workflows, and gives handles on them.

    Args:
        client: how to reach the server.
        settings: how keys are named, how large calls may be, and how long what has ended is kept: as results
            when it succeeded, else as dead letters, to be retried.
        registry: the tasks that may be called.

    Attributes:
        advancing: makes them go on.
    """

    def __init__(self, client: Client, settings: Settings, registry: Registry) -> None:
        self._client = client
        self._settings = settings
        self._registry = registry
        self.advancing = Advancing(client.execute, settings.redis.key_layout)

    def workflow(self, workflow: str) -> Workflow[Any]:
        """Make a handle on a workflow from its id, without asking the server."""
        return Workflow(self._client, self.advancing, checked_key(workflow), "unknown")

    async def list(self, which: Literal["all", "failed"] = "all", *, limit: int = 50) -> list[WorkflowInfo]:
        """List workflows, the newest first; those that are not kept any more are left out.

        Each stands as its own state says: the lists of states are in other slots and follow a moment later.

        Args:
            which: ``failed``: those that failed or were cancelled.
            limit: how many of each state, at most.
        """
        states = ("running", "failed") if which == "failed" else ("running", "failed", "ended")
        execute, found = self.advancing.execute, dict[str, float]()
        for state in states:
            page = await execute("ZREVRANGE", workflows_in(state), 0, limit - 1, "WITHSCORES")
            found |= {page[i].decode(): float(page[i + 1]) for i in range(0, len(page), 2)}
        names = sorted(found, key=lambda name: found[name], reverse=True)
        infos = await asyncio.gather(*(self.workflow(name).info() for name in names), return_exceptions=True)
        kept = [info for info in infos if isinstance(info, WorkflowInfo)]
        unwanted = ("running", "succeeded") if which == "failed" else ()
        return [info for info in kept if info.state not in unwanted][:limit]

    async def start(
        self,
        workflow: Part[object, R],
        *,
        id: str | None = None,  # noqa: A002 - the word users know
        on_failure: OnFailure = "cancel",
        on_error: Task[[dict[str, Any]], Any] | None = None,
    ) -> Workflow[R]:
        """Start a workflow; when it returns, what is due first is enqueued.

        Args:
            workflow: a call, or what chain, group and chord made.
            id: names it; the same id twice is one workflow. None for a random one.
            on_failure: what becomes of the others when a node dies: ``cancel`` those that wait and ask those
                that run to stop, or let all ``finish`` that do not depend on it.
            on_error: called once when the workflow fails, and once more for each failure after a retry, with
                a dict: workflow, node, error (type and message).

        Raises:
            InvalidTask: a task is not registered.
            InvalidArguments: arguments do not fit, or a result not the task that would get it; names both.
            InvalidJob: the workflow cannot be: a key= on a node, nesting deeper than 100, an id that is none.
            PayloadTooLarge: a call is larger than ``limits.payload``.
            ServerError: as ``enqueue``, or the server keeps losing what is written (it is restored or fails
                over again and again); start it again with the same id.
        """
        name = secrets.token_hex(8) if id is None else _checked_id(id)
        is_saga = isinstance(workflow, Saga)
        given = check_saga(workflow, self._registry) if is_saga else check_parts(workflow, self._registry)
        if on_failure not in ("cancel", "finish"):
            msg = f"on_failure= is 'cancel' or 'finish', not {on_failure!r}"
            raise InvalidJob(msg)
        flat = lay_saga(workflow) if is_saga else lay_flat(workflow)
        fields = {"policy": on_failure, "error": "" if on_error is None else "1", **self._fields(flat)}
        if is_saga:
            fields["saga"] = "1"
        disposition = await self._start(name, flat, fields, on_error)
        return Workflow(self._client, self.advancing, name, disposition, converter_of(given.kind))

    async def _start(
        self, name: str, flat: Flat, fields: dict[str, str], on_error: Task[[dict[str, Any]], Any] | None
    ) -> Literal["created", "duplicate"]:
        """Write a draft and make the workflow of it, again where the server loses what was written."""
        start = secrets.token_hex(8)
        for _ in range(STARTS):
            parts = await self._draft(name, start, flat, on_error)
            disposition = await self._begin(name, Begin(start, flat.edge, parts, fields))
            if disposition is not None:
                return disposition
        msg = (
            f"workflow {name}: the server has lost what was written of it, {STARTS} times in a row. "
            "Was it restored, or failed over? Start it again with the same id"
        )
        raise ServerError(msg)

    def _fields(self, flat: Flat) -> dict[str, str]:
        """Give what the state says beside the options; ``queue`` is where it is noted what is to be done."""
        first = flat.nodes[0].call.task if flat.nodes else None
        return {
            "value": str(flat.value) if flat.value in flat.groups else "",
            "keep": str(round(self._settings.worker.keep_result * 1000)),
            "keep_failed": str(round(self._settings.dead.keep * 1000)),
            "nodes": str(len(flat.nodes)),
            "units": str(len(flat.nodes) + len(flat.groups)),
            "queue": "default" if first is None else first.placement.queue or first.queue,
            "shape": flat.shape,
        }

    async def _begin(self, workflow: str, begin: Begin) -> Literal["created", "duplicate"] | None:
        """Make it of its draft; None when the server has lost something of it: everysec, a failover."""
        advancing, begun_at = self.advancing, SYSTEM_CLOCK.monotonic()
        queue, note_id = begin.fields["queue"], f"{workflow}:begin:{begin.start}"
        begin_it = partial(advancing.begin, workflow, begin)
        try:
            if await advancing.surely(queue, note_id, begin.word(workflow), begin_it) is None:
                return None
        except PlanLost:
            return None
        started = await advancing.execute("HGET", advancing.scripts.key(workflow, "state"), "start")
        if started is None and SYSTEM_CLOCK.monotonic() - begun_at < KEPT_S:
            return None  # it cannot have ended and gone so soon
        return "created" if started is None or started.decode() == begin.start else "duplicate"

    async def _draft(
        self, workflow: str, start: str, flat: Flat, on_error: Task[[dict[str, Any]], Any] | None
    ) -> int:
        """Write what the workflow is made of; nothing of it counts before it is begun. Gives its parts."""
        scripts, parts = self.advancing.scripts, len(flat.groups)
        options: dict[str, Any] = {
            "workflow": workflow,
            "now_ms": SYSTEM_CLOCK.now_ms(),
            "limit": self._settings.limits.payload,
            "shards": self._settings.shards,
        }
        plan: dict[str, bytes] = {}
        if on_error is not None:
            call: Step[Any, Any] = Step(on_error, (), {})
            check_parts(call, self._registry, Given(dict, "the workflow's failure"))
            plan[ERROR] = packed([stored(call, ERROR, feed="failure", edges="|", **options)])
        for number, chunk in chunks_of(flat.nodes, **options):
            plan[number] = chunk
            if len(plan) >= DRAFT_CHUNKS:
                await scripts.draft(workflow, start, "plan", plan)
                parts, plan = parts + len(plan), {}
        await scripts.draft(workflow, start, "plan", plan or {"": b""})
        groups = [(str(number), members.line()) for number, members in flat.groups.items()]
        for at in range(0, len(groups), DRAFT_GROUPS):
            await scripts.draft(workflow, start, "units", dict(groups[at : at + DRAFT_GROUPS]))
        return parts + len(plan or {"": b""})


def _checked_id(workflow: Any) -> str:
    try:
        return checked_key(workflow)
    except ValueError as error:
        raise InvalidJob(f"id=: {error}") from None
