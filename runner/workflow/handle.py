"""A handle on one started workflow."""

import asyncio
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from ..arguments import Converter
from ..client import Client
from ..errors import Delay, JobFailed, ResultTimeout, seconds
from ..wire.workflows import Act
from .advance import Advancing
from .failure import UnknownWorkflow, WorkflowFailed
from .standing import StepStanding, read_steps
from .status import NodeStatus, read_nodes
from .values import read_value

R = TypeVar("R", covariant=True)

Disposition = Literal["created", "duplicate", "unknown"]


@dataclass(frozen=True, slots=True)
class WorkflowInfo:
    """What the server knows of a workflow.

    Attributes:
        id: the workflow's.
        state: ``running``, ``succeeded``, ``failed``, ``cancelled``; sagas: ``undone``, ``needs_attention``.
        nodes: calls it has.
        succeeded: of them, those that did.
        failed: of them, those that died or were cancelled, and have not succeeded since.
        failed_node: the node that failed it; empty for none.
        started_at_ms: when it began.
        ended_at_ms: when it ended; None before.
        round: 1, and one more for each retry.
    """

    id: str
    state: str
    nodes: int
    succeeded: int
    failed: int
    failed_node: str
    started_at_ms: int
    ended_at_ms: int | None
    round: int


class Workflow(Generic[R]):
    """One started workflow.

    Attributes:
        id: the workflow's.
        disposition: ``created``; ``duplicate``: there was one of that id already, and this is it;
            ``unknown``: a handle made from an id.
    """

    __slots__ = ("_advancing", "_client", "_converter", "disposition", "id")

    def __init__(
        self,
        client: Client,
        advancing: Advancing,
        workflow: str,
        disposition: Disposition,
        converter: Converter | None = None,
    ) -> None:
        self._client = client
        self._advancing = advancing
        self._converter = converter
        self.id = workflow
        self.disposition: Disposition = disposition

    async def result(self, timeout: Delay | None = None) -> R:
        """Wait for the workflow to end and give what its last part returned.

        Args:
            timeout: seconds or timedelta to wait; None waits as long as it takes.

        Raises:
            WorkflowFailed: a node died; names it, with the type and message of its error.
            JobCancelled: somebody cancelled it.
            ResultTimeout: the wait ended first; the workflow goes on.
            ResultGone: it ended and is not kept any more, or there never was one.
        """
        timeout_s = None if timeout is None else seconds(timeout)
        waiting = asyncio.timeout(timeout_s)
        try:
            async with waiting:
                value: Any = await self._client.wait_for_workflow(self.id)
        except TimeoutError:
            if not waiting.expired():
                raise
            msg = f"workflow {self.id} has not ended within {timeout_s:g} s; it goes on"
            raise ResultTimeout(msg) from None
        except JobFailed as failed:
            info = await self.info()
            told = (failed.type, failed.message, failed.traceback)
            raise WorkflowFailed(info.failed_node, *told, info.state) from None
        if isinstance(value, dict) and value.keys() == {"$group"}:
            value = await read_value(self._advancing.scripts, self.id, value["$group"])
        return self._rebuilt(value)

    def _rebuilt(self, value: Any) -> Any:
        """Give a value as annotated, where that is known and it fits."""
        try:
            return value if self._converter is None else self._converter.rebuild(value)
        except TypeError:
            return value

    async def info(self) -> WorkflowInfo:
        """Give what the server knows of it; one round trip.

        Raises:
            UnknownWorkflow: it knows nothing.
        """
        scripts = self._advancing.scripts
        names = ("s", "nodes", "node", "started", "ended", "round")
        fields, succeeded, failed = await asyncio.gather(
            scripts.execute("HMGET", scripts.key(self.id, "state"), *names),
            scripts.execute("HLEN", scripts.key(self.id, "results")),
            scripts.execute("HLEN", scripts.key(self.id, "failures")),
        )
        if fields[0] is None:
            msg = f"there is no workflow '{self.id}': it ended and is not kept any more, or never was"
            raise UnknownWorkflow(msg)
        state, nodes, node, started, ended, number = ((each or b"").decode() for each in fields)
        return WorkflowInfo(
            self.id,
            state,
            int(nodes),
            int(succeeded),
            failed,
            node,
            int(started),
            int(ended) if ended else None,
            int(number),
        )

    async def steps(self) -> list[StepStanding]:
        """Say how each step of a saga stands, and its undo; empty for other workflows."""
        return await read_steps(self._advancing.scripts, self.id)

    async def status(self) -> str:
        """Say which state it is in: ``running``, ``succeeded``, ``failed`` or ``cancelled``."""
        return (await self.info()).state

    async def nodes(self, *, start: int = 0, limit: int = 1000) -> list[NodeStatus]:
        """Give the state of each node, in order: up to ``limit``, from the one numbered ``start`` on."""
        return await read_nodes(self._advancing.scripts, self.id, start=start, limit=limit)

    async def shape(self) -> str:
        """Say how its parts nest, for ``tree``; the form is that of ``flat.Flat.shape``."""
        scripts = self._advancing.scripts
        return (await scripts.execute("HGET", scripts.key(self.id, "state"), "shape") or b"").decode()

    async def progress(self) -> float:
        """Say how much of it has succeeded: a share from 0 to 1."""
        info = await self.info()
        return 1.0 if info.state == "succeeded" else info.succeeded / max(1, info.nodes)

    async def cancel(self) -> bool:
        """Cancel it: nodes that wait are cancelled, running ones are asked to stop, nothing more begins.

        Of a saga the step under way comes to its end, and then what has happened is undone.

        Returns:
            Whether there was anything to cancel.
        """
        if (await self.info()).state in ("succeeded", "cancelled", "undone"):
            return False
        return await self._do("stop", "-") in ("cancelled", "running")

    async def retry(self) -> bool:
        """Let one that failed or was cancelled go on: what failed is done again, what succeeded is not.

        Returns:
            Whether there was anything to do again.
        """
        info = await self.info()
        if info.state in ("running", "succeeded", "undone"):
            return False
        return await self._do("again", str(info.round)) is not None

    async def _do(self, verb: Literal["stop", "again"], word: str) -> str | None:
        advancing = self._advancing
        queue = await advancing.execute("HGET", advancing.scripts.key(self.id, "state"), "queue")
        if queue is None:
            return None
        act, note = Act(verb, "" if verb == "stop" else word), f"{verb} {word} {self.id}\n".encode()
        answer = await advancing.surely(
            queue.decode(), f"{self.id}:{verb}", note, lambda: advancing.act(self.id, [act])
        )
        return None if answer is None else answer.state

    def __repr__(self) -> str:
        return f"<Workflow {self.id}, {self.disposition}>"
