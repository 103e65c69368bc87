"""Reads what one job has to pass before it runs: its gates, who went through, and its place in its lane."""

import asyncio
import re
from typing import NamedTuple

from ..explain import Gate, Holder
from ..wire.keys import Keys
from .reading import Execute

SHOWN = 3
"""Jobs that hold a gate's slots are many; so many are named."""

_WAITED = re.compile(r"gate (.+?)( is closed: .*| lets few through: .*|: too many retries)", re.DOTALL)
_BETWEEN = "\x1f"


class Ahead(NamedTuple):
    """The gates of a job; and how many stand before it in its lane, None where it stands in none."""

    gates: list[Gate]
    lane_ahead: int | None


async def read_ahead(execute: Execute, keys: Keys, job_id: str, waits_for: str) -> Ahead:
    """Read a job's gates; at most five, with five commands each."""
    spec = _text(await execute("HGET", keys.laned, job_id))
    lane, parts = spec.partition(_BETWEEN)[2], spec.split(_BETWEEN)[2:]
    asked = dict(zip(parts[::3], parts[1::3], strict=False))
    if waited := _WAITED.fullmatch(waits_for):
        asked.setdefault(waited[1], "")
    rank, *gates = await asyncio.gather(
        execute("ZRANK", keys.lane(lane), job_id),
        *(_gate(execute, keys, key, limit) for key, limit in asked.items()),
    )
    return Ahead(gates, rank if spec else None)


async def _gate(execute: Execute, keys: Keys, key: str, limit: str) -> Gate:
    rules = (f"set:{key}", f"set:{limit}", f"limit:{limit}")
    (narrow, until, state, why), counts, held, first = await asyncio.gather(
        execute("HMGET", keys.gate(key), "n", "u", "s", "why"),
        execute("HMGET", keys.rules, *rules),
        execute("ZCARD", keys.holders(key)),
        execute("ZRANGE", keys.holders(key), 0, SHOWN - 1, "WITHSCORES"),
    )
    bounds = [int(narrow)] if narrow else []
    bounds += [int(count) for count in counts if count][:1]
    pairs = list(zip(first[::2], first[1::2], strict=True))
    workers = await asyncio.gather(*(execute("HGET", keys.running, job_id) for job_id, _ in pairs))
    return Gate(
        key=key,
        limit=limit,
        at_once=min(bounds, default=None),
        held=held,
        holders=[
            Holder(_text(job_id), _worker(entry), int(float(since)), 0)
            for (job_id, since), entry in zip(pairs, workers, strict=True)
        ],
        closed_until_ms=int(until or 0),
        is_asked=state == b"recovering",
        why=_text(why) if narrow or state else "",
    )


def _worker(entry: bytes | None) -> str:
    match = re.fullmatch(r"\S+ \S+ (.*) \d", _text(entry))
    return match[1] if match else ""


def _text(value: bytes | None) -> str:
    return (value or b"").decode(errors="replace")
