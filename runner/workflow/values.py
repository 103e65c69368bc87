"""What nodes returned, as those that come after them get it: read by pages, however much it is."""

from typing import Any, Generic, TypeVar

import msgspec

from ..results import PAGE, Results
from ..wire.workflows import FlowScripts
from .flat import Members, members_of, units_of

R = TypeVar("R", covariant=True)


class NodeOutcome(msgspec.Struct, Generic[R], frozen=True, omit_defaults=True):
    """How a member of a group that collects has ended.

    Attributes:
        ok: whether it succeeded.
        value: what it returned; None when it did not.
        type: qualified name of the error's class; empty for none.
        message: its text.
    """

    ok: bool
    value: R | None = None
    type: str = ""
    message: str = ""


class Missing(Exception):
    """A value is not there: the workflow is gone, or has not come so far."""


async def read_value(scripts: FlowScripts, workflow: str, unit: int) -> Any:
    """Give the value of a unit as plain JSON: of a node what it returned, of a group a list of its members'.

    Raises:
        Missing: it is not there.
    """
    line = await scripts.execute("HGET", scripts.key(workflow, "units"), str(unit))
    if line is None:
        [value] = await _read(scripts, workflow, "results", [str(unit)])
        return _decoded(value, workflow, unit)
    members = members_of(line)
    values: list[Any] = []
    for start in range(0, members.count, PAGE):
        values += await _read_page(scripts, workflow, members, start)
    return values


async def read_results(scripts: FlowScripts, workflow: str, unit: int) -> Any:
    """Give the values of a group's members as ``Results``, read later; of a node as ``read_value``.

    Raises:
        Missing: it is not there.
    """
    line = await scripts.execute("HGET", scripts.key(workflow, "units"), str(unit))
    if line is None:
        return await read_value(scripts, workflow, unit)
    members = members_of(line)
    return Results[Any](members.count, lambda start: _read_page(scripts, workflow, members, start))


async def read_value_or_none(scripts: FlowScripts, workflow: str, node: int) -> Any:
    """Give what a node returned as plain JSON; None when it has not succeeded."""
    [value] = await _read(scripts, workflow, "results", [str(node)])
    return None if value is None else msgspec.json.decode(value)


async def _read_page(scripts: FlowScripts, workflow: str, members: Members, start: int) -> list[Any]:
    stop = min(start + PAGE, members.count)
    units = list(units_of(members.values, start, stop))
    found = await _read(scripts, workflow, "results", [str(number) for number, _ in units])
    errors: list[bytes | None] = [None] * len(units)
    if members.collects:
        bits = [str(members.first_bit + n) for n in range(start, stop)]
        errors = await _read(scripts, workflow, "aside", bits)
    values: list[Any] = []
    for (number, is_group), value, error in zip(units, found, errors, strict=True):
        if error is not None and value is None:
            values.append(_failed(error))
            continue
        plain = await read_value(scripts, workflow, number) if is_group else _decoded(value, workflow, number)
        values.append({"ok": True, "value": plain} if members.collects else plain)
    return values


async def _read(scripts: FlowScripts, workflow: str, part: str, fields: list[str]) -> list[bytes | None]:
    return await scripts.execute("HMGET", scripts.key(workflow, part), *fields)


def _decoded(value: bytes | None, workflow: str, unit: int) -> Any:
    if value is None:
        msg = f"workflow {workflow} has no value of {unit}"
        raise Missing(msg)
    return msgspec.json.decode(value)


def _failed(error: bytes) -> dict[str, Any]:
    told = msgspec.json.decode(error).get("$error", {})
    return {"ok": False, "type": told.get("type", ""), "message": told.get("message", "")}


async def read_failure(scripts: FlowScripts, workflow: str, node: str) -> dict[str, Any]:
    """Give what ``on_error`` gets: workflow, node, and the type and message of its error.

    Raises:
        Missing: it is not there.
    """
    key = scripts.key(workflow, "state")
    told = await scripts.execute("HGET", key, f"failure:{node.removeprefix('e')}")
    if told is None:
        msg = f"workflow {workflow} has not failed"
        raise Missing(msg)
    failure = msgspec.json.decode(told)
    error = (failure["error"] or {}).get("$error", {})
    short = {name: error.get(name, "") for name in ("type", "message")}
    return {"workflow": workflow, "node": failure["node"], "error": short}
