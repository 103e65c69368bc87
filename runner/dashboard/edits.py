"""Other arguments for a job that waits, or for a dead one that is replayed with them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from ..dead_letters import Edit
from ..errors import ChangeRefused, InvalidArguments
from ..inspector import JobDetail
from ..job import JobState
from ..tasks import Task
from .access import Forbidden
from .asked import Asked, Done, Page
from .shown import escaped_json, value_text

MOST_FIELDS = 40
DEAD = (JobState.DEAD, JobState.EXPIRED)
WAITING = (JobState.READY, JobState.SCHEDULED)


@dataclass(frozen=True, slots=True)
class Field:
    """One argument in the form.

    Attributes:
        name: of the parameter; or ``args`` and ``kwargs``, for all of them.
        text: its value as JSON; empty when it holds a secret, or is too long to be shown.
        was: the digest of that text: what comes back as it was is no change.
    """

    name: str
    text: str
    was: str

    @property
    def lines(self) -> int:
        """How tall its box is."""
        return min(24, max(1, self.text.count("\n") + 1))


async def edit(asked: Asked) -> Page:
    """The form; the arguments as they are, but for secrets.

    Raises:
        Forbidden: the sender may only look.
        ChangeRefused: the job runs, or has ended well.
    """
    if asked.access.role != "operate":
        msg = "your role is read: it looks, and changes nothing"
        raise Forbidden(msg)
    found, task = await _editable(asked)
    return _form(found, fields_of(task, found)[0])


async def edit_job(asked: Asked) -> Done | Page:
    """Write what was changed; what does not fit the task comes back with what is wrong with it."""
    found, task = await _editable(asked)
    fields, are_whole = fields_of(task, found)
    is_dead = found.info.state in DEAD
    try:
        values = changed(fields, asked.given)
        change = _whole(values) if are_whole else Edit(values)
        if is_dead:
            door = asked.doors.dead
            door.by = asked.by
            await door.replay(found.id, queue=found.info.queue, edit=change)
        else:
            await asked.doors.queues.edit(found.id, change, queue=found.info.queue)
    except (InvalidArguments, ValueError) as error:
        given = [Field(each.name, _given(asked.given, each.name), each.was) for each in fields]
        return _form(found, given, wrong=str(error))
    return Done("job", "replayed" if is_dead else "changed", {"id": found.id, "queue": found.info.queue})


async def _editable(asked: Asked) -> tuple[JobDetail, Task[..., Any]]:
    found = await asked.doors.inspector.job(asked.needed("id"), queue=asked.text("queue") or None)
    if found.info.state not in (*DEAD, *WAITING):
        msg = f"job '{found.id[:80]}' is {found.info.state}: only what waits, or is dead, can be changed"
        raise ChangeRefused(msg)
    task = asked.doors.registry.get(found.task)
    if task is None or found.args is None:
        why = "its payload cannot be read" if task else f"task '{found.task[:80]}' is not known here"
        msg = f"job '{found.id[:80]}' cannot be changed: {why}, so its arguments cannot be checked"
        raise ChangeRefused(msg)
    return found, task


def fields_of(task: Task[..., Any], found: JobDetail) -> tuple[list[Field], bool]:
    """Give the arguments of a job by name, or whole: of a task that takes any number, or others by now."""
    args, kwargs = list(found.args or ()), dict(found.kwargs or {})
    try:
        named = task.parameters.named(task.name, args, kwargs) if task.parameters.are_fixed else None
    except InvalidArguments:
        named = None
    shown = {"args": args, "kwargs": kwargs} if named is None else named
    return [_field(name, value) for name, value in list(shown.items())[:MOST_FIELDS]], named is None


def _field(name: str, value: Any) -> Field:
    plain = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    text = escaped_json(plain) if value_text(value, name) == plain else ""
    return Field(name, text, _digest(text))


def changed(fields: list[Field], given: Mapping[str, str]) -> dict[str, Any]:
    """Give the values of what differs from what was shown.

    Raises:
        ValueError: a value is no JSON, or nothing differs.
    """
    values: dict[str, Any] = {}
    for field in fields:
        text = _given(given, field.name)
        if text.strip() and _digest(text) != given.get(f"was:{field.name}", ""):
            try:
                values[field.name] = json.loads(text)
            except (ValueError, RecursionError) as error:
                msg = f"{field.name}: expected JSON ({error}); text stands in quotes"
                raise ValueError(msg) from None
    if not values:
        msg = "nothing was changed"
        raise ValueError(msg)
    return values


def _whole(values: Mapping[str, Any]) -> Edit:
    args, kwargs = values.get("args"), values.get("kwargs")
    if not isinstance(args, list | None) or not isinstance(kwargs, dict | None):
        msg = "args is a list, kwargs an object"
        raise ValueError(msg)
    return Edit(args=args, kwargs=kwargs)


def _given(given: Mapping[str, str], name: str) -> str:
    return given.get(f"value:{name}", "").replace("\r\n", "\n")


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


def _form(found: JobDetail, fields: list[Field], *, wrong: str = "") -> Page:
    values = {"job": found, "fields": fields, "is_dead": found.info.state in DEAD, "wrong": wrong}
    status = 400 if wrong else 200
    return Page("edit", f"Change job {found.id[:80]}", values, is_live=False, status=status)
