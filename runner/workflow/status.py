"""The state of each node of a workflow."""

import asyncio
from dataclasses import dataclass

import msgspec

from ..shards import whole
from ..wire import codec
from ..wire.keys import keys_of
from ..wire.workflows import FlowScripts
from .draft import CHUNK, Stored, unpacked


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node.

    Attributes:
        number: of the node; its job's id is ``<workflow>:<number>``.
        task: name of its task.
        queue: where its job is.
        state: ``waiting`` (not due yet), ``scheduled``, ``running``, ``succeeded``, ``dead``, ``cancelled``.
        error: type and message, if it has failed; else empty.
    """

    number: int
    task: str
    queue: str
    state: str
    error: str = ""


async def read_nodes(scripts: FlowScripts, workflow: str, *, start: int, limit: int) -> list[NodeStatus]:
    """Give up to ``limit`` nodes in order, from unit ``start`` on; a few trips a hundred nodes."""
    found: list[NodeStatus] = []
    units = int(await scripts.execute("HGET", scripts.key(workflow, "state"), "units") or 0)
    for chunk in range(start // CHUNK, (units + CHUNK - 1) // CHUNK):
        data = await scripts.execute("HGET", scripts.key(workflow, "plan"), str(chunk))
        calls = [call for call in unpacked(data) if int(call.node) >= start] if data else []
        found += await _read(scripts, workflow, calls[: limit - len(found)])
        if len(found) >= limit:
            break
    return found


async def _read(scripts: FlowScripts, workflow: str, calls: list[Stored]) -> list[NodeStatus]:
    if not calls:
        return []
    names = [call.node for call in calls]
    results, failures = await asyncio.gather(
        scripts.execute("HMGET", scripts.key(workflow, "results"), *names),
        scripts.execute("HMGET", scripts.key(workflow, "failures"), *names),
    )
    jobs = await asyncio.gather(*(_job_state(scripts, workflow, call) for call in calls))
    return [
        NodeStatus(
            int(call.node),
            codec.decode_job(call.payload.encode()).f,
            whole(call.queue),
            "succeeded" if result is not None else job or _failed(failure)[0] or "waiting",
            "" if result is not None or job else _failed(failure)[1],
        )
        for call, result, failure, job in zip(calls, results, failures, jobs, strict=True)
    ]


async def _job_state(scripts: FlowScripts, workflow: str, call: Stored) -> str:
    keys, job_id = keys_of(call.queue, scripts.layout), f"{workflow}:{call.node}"
    score, lease = await asyncio.gather(
        scripts.execute("ZSCORE", keys.queue, job_id), scripts.execute("EXISTS", keys.lease(job_id))
    )
    return "" if score is None else "running" if lease else "scheduled"


def _failed(failure: bytes | None) -> tuple[str, str]:
    if failure is None:
        return "", ""
    head, _, error = failure.partition(b"\n")
    how = head.split(b" ")[2].decode()
    told = (msgspec.json.decode(error) or {}).get("$error", {})
    return "dead" if how == "collected" else how, f"{told.get('type', '')}: {told.get('message', '')}"
