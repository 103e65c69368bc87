"""The calls of a workflow as they are stored: a hundred in a chunk, compressed, for they are much alike."""

import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import msgspec

from ..client.entry import payload_of
from ..parts import Step
from ..shards import Shards
from ..wire import codec
from ..wire.scripts import Entry
from .flat import Node

CHUNK = 100
ERROR = "e"
"""The field of the call of ``on_error``."""
FEED = "$result"
"""Names, in a node's first argument, the unit whose value it is; in a list: None where that has none."""


class Stored(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One call, encoded; what is counted from when it becomes due is not settled yet.

    ``queue`` is the shard that it goes to, whenever it does: a job is made once, also when shards are added.
    ``lane`` is empty where that hangs on a value which is not known yet: the worker that gets it sorts it in.
    """

    node: str
    queue: str
    at_ms: int
    delay_ms: int
    expires_ms: int
    payload: str
    lane: str = ""

    def entry(self, workflow: str, now_ms: int, node: str = "") -> Entry:
        """Make the job of it, for a node that is due now."""
        payload = self.payload.encode()
        if self.expires_ms:
            payload = codec.expiring(payload, (self.at_ms or now_ms + self.delay_ms) + self.expires_ms)
        return Entry(f"{workflow}:{node or self.node}", self.at_ms, self.delay_ms, payload, self.lane)


_chunks = msgspec.json.Decoder(list[Stored])


def stored(
    call: Step[Any, Any],
    node: str,
    *,
    feed: Any,
    edges: str,
    workflow: str,
    now_ms: int,
    limit: int,
    shards: Shards,
) -> Stored:
    """Encode one call, which has been checked.

    Raises:
        InvalidArguments: they give no tenant or no gate of a limit.
        PayloadTooLarge: says how large.
    """
    task, placed = call.task, call.task.placement
    args, kwargs = call.args if feed is None else ({FEED: feed}, *call.args), call.kwargs
    if task.prepare is not None and feed is None:
        args, kwargs = task.prepare(args, kwargs)
    meta = codec.Meta(w=workflow, e=edges, p=placed.priority, o=placed.tenant)
    payload = payload_of(task, args, kwargs, now_ms=now_ms, meta=meta, limit=limit)
    lane = task.lane(args, kwargs).spec if feed is None else ""
    return Stored(
        node,
        shards.place(placed.queue or task.queue, f"{workflow}:{node}", lane=lane),
        0 if placed.until is None else round(placed.until.timestamp() * 1000),
        round(placed.delay_s * 1000),
        round((placed.expires_s or 0) * 1000),
        payload.decode(),
        lane,
    )


def chunks_of(
    nodes: Sequence[Node], *, workflow: str, now_ms: int, limit: int, shards: Shards
) -> Iterator[tuple[str, bytes]]:
    """Encode the nodes of a workflow: the number of each chunk, and its bytes.

    Raises:
        PayloadTooLarge: names the task.
    """
    options: dict[str, Any] = {"workflow": workflow, "now_ms": now_ms, "limit": limit, "shards": shards}
    for chunk, some in groupby(nodes, lambda node: node.number // CHUNK):
        calls = [stored(n.call, str(n.number), feed=n.feed, edges=n.edges, **options) for n in some]
        yield str(chunk), packed(calls)


def packed(chunk: Sequence[Stored]) -> bytes:
    """Give a chunk as it is stored."""
    return zlib.compress(msgspec.json.encode(chunk), 1)


def unpacked(data: bytes) -> list[Stored]:
    """Read a chunk."""
    return _chunks.decode(zlib.decompress(data))
