"""Reads what one job has to pass before it runs: the gate that it waited before."""

import re

from ..explain import Gate
from ..wire.keys import Keys
from .reading import Execute

_WAITED = re.compile(r"gate (.+?)( is closed: .*| lets few through: .*|: too many retries)", re.DOTALL)


async def read_gates(execute: Execute, keys: Keys, waits_for: str) -> list[Gate]:
    """Read the gate that a job waits before; nothing when it waits before none."""
    waited = _WAITED.fullmatch(waits_for)
    if waited is None:
        return []
    narrow, until, state, why = await execute("HMGET", keys.gate(waited[1]), "n", "u", "s", "why")
    return [
        Gate(
            key=waited[1],
            limit="",
            at_once=int(narrow) if narrow else None,
            held=0,
            holders=(),
            closed_until_ms=int(until or 0),
            is_asked=state == b"recovering",
            why=(why or b"").decode(errors="replace"),
        )
    ]
