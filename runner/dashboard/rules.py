"""What recurs, what holds calls up, and what belongs together: schedules, limits, workflows."""

import asyncio
from collections.abc import Sequence
from typing import Any

from ..gates import GateState
from ..limits import Limit, Limits
from ..wire.workflows import FlowScripts
from ..workflow.failure import UnknownWorkflow
from ..workflow.picture import draw, listed
from .asked import Asked, Page
from .shown import error_text

MOST_SCHEDULES = 200
MOST_LIMITS = 50
MOST_GATES = 100
PER_PAGE = 50


async def schedules(asked: Asked) -> Page:
    """What recurs: in words, the next ticks, how it went."""
    door = asked.doors.schedules
    found = await door.list()
    rows = [
        {"each": each, "words": each.schedule.rule.words(), "next": _next(each)}
        for each in found[:MOST_SCHEDULES]
    ]
    values = {"rows": rows, "total": len(found), "queues": asked.doors.inspector.queue_names}
    return Page("schedules", "Schedules", values)


def _next(standing: Any) -> list[int]:
    """Give the next five ticks of one that is not paused or over; no round trip."""
    ticks: list[int] = []
    tick = standing.next_ms
    while tick is not None and len(ticks) < 5:
        ticks.append(tick)
        tick = standing.schedule.after(tick)
    return ticks


async def limits(asked: Asked) -> Page:
    """Rates and how full they are, how many run at once, and the gates that hold calls up."""
    door = asked.doors.limits
    rates, counts, gates = await asyncio.gather(
        door.list(), door.concurrency(), door.states(asked.text("key") or None, most=MOST_GATES)
    )
    gauges = await asyncio.gather(*(_gauge(door, limit) for limit in rates[:MOST_LIMITS]))
    values = {
        "rates": list(zip(rates, gauges, strict=False)),
        "more": max(0, len(rates) - MOST_LIMITS),
        "counts": counts[:MOST_LIMITS],
        "gates": alike(gates[:MOST_GATES]),
        "key": asked.text("key"),
    }
    return Page("limits", "Limits", values)


def alike(gates: Sequence[GateState]) -> list[tuple[GateState, str, str]]:
    """Give one of the gates of a key that stand alike in several queues, why, and the names of these."""
    found: dict[tuple[Any, ...], list[GateState]] = {}
    for gate in gates:
        found.setdefault((gate.key, gate.state, gate.most, gate.why), []).append(gate)
    return [
        (some[0], error_text(some[0].why, 200), ", ".join(each.queue for each in some))
        for some in found.values()
    ]


async def _gauge(door: Limits, limit: Limit) -> Any:
    """Say how full a limit's own bucket is; None for one with a bucket a key, or without a rate."""
    return None if "{" in limit.name or limit.rate is None else await door.standing(limit.name)


async def workflows(asked: Asked) -> Page:
    """Workflows by state, the newest first."""
    state = asked.text("state", "running")
    given = asked.text("from", "0")
    start = int(given) if given.isdigit() else 0
    scripts = _scripts(asked)
    found = await listed(scripts.execute, state, start=start, count=PER_PAGE)
    infos = await asyncio.gather(*(_info(asked, each) for each in found.ids))
    values = {
        "state": state,
        "states": found.counts,
        "rows": [info for info in infos if info is not None],
        "from": start,
        "next": start + PER_PAGE if start + PER_PAGE < found.counts.get(state, 0) else None,
    }
    return Page("workflows", "Workflows", values)


async def _info(asked: Asked, workflow: str) -> Any:
    try:
        return await asked.doors.workflow(workflow).info()
    except UnknownWorkflow:  # it ended meanwhile, and is not kept
        return None


async def workflow(asked: Asked) -> Page:
    """One workflow: how its nodes stand, drawn as they nest."""
    name = asked.needed("id")
    info = await asked.doors.workflow(name).info()
    values = {"info": info, "picture": await draw(_scripts(asked), name)}
    return Page("workflow", f"Workflow {name[:80]}", values, is_live=info.state == "running")


def _scripts(asked: Asked) -> FlowScripts:
    return FlowScripts(asked.doors.client.execute, asked.doors.settings.redis.key_layout)
