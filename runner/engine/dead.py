"""A death, as the worker sees it: what is enqueued beside the letter, who is told, and how long it stays."""

import logging
import re
from collections.abc import Mapping
from typing import Any

from .. import events
from ..clock import SYSTEM_CLOCK
from ..dead_letters import Retention
from ..dead_letters.letter import letter_of, parse
from ..dead_letters.retention import trim
from ..outcome import DEAD_REASONS
from ..tasks import Task
from ..wire import codec
from ..wire.dead_scripts import DeadScripts
from ..wire.keys import Keys, name_of
from ..wire.scripts import End, Execute
from ..wire.workflows import unrun_node
from .function import Runnable, TaskFunction

logger = logging.getLogger("runner.job")

UNTOLD = 10
"""Deaths no worker saw that one look tells of."""

_NOTE = re.compile(r"(\S*) ?(\d*) ?")
_FIELDS = ("reason", "attempts", "at", "note", "r", "payload")


def with_follower(
    end: End | None, runnable: Runnable | None, queue: str, payload: bytes | None
) -> End | None:
    """Add to a dead end the job its task declares with ``on_dead``; one script writes both.

    Args:
        end: what will be written; anything but a death stays as it is.
        runnable: what the job's name stands for.
        queue: key of the job's queue; the follower goes there too.
        payload: the job's, for its arguments.
    """
    follower = _follower(runnable)
    if end is None or end.verb != "dead" or follower is None:
        return end
    reason, _, history = end.note.partition(" ")
    note = parse(history.encode())
    told = _told(end.job_id, name_of(queue), reason, end.attempt, note, payload)
    job = _job(follower, told)
    return end._replace(note=f"{reason} {len(job)} {job.decode()}{history}")


def tell(queue: str, end: End, worker: str) -> None:
    """Emit ``job.dead`` for an end that was written; ``queue`` is its name."""
    head = _NOTE.match(end.note)
    reason, size = (head[1], int(head[2] or 0)) if head is not None else ("", 0)
    note = parse(end.note[head.end() if head is not None else 0 :].encode()[size:])
    error = note.get("error", {})
    events.emit(
        "job.dead",
        job_id=end.job_id,
        queue=queue,
        task=note.get("task", ""),
        reason=reason,
        attempts=end.attempt,
        error=error.get("type", ""),
        message=error.get("message", ""),
        worker=worker,
    )


async def look_after(
    execute: Execute, keys: Keys, runnables: Mapping[str, Runnable], retention: Retention, worker: str
) -> None:
    """Make one bounded step over a queue's dead letters: tell of deaths no worker saw, delete what must go.

    Poison is buried by the claim that convicts it, without its worker: whoever comes by first tells of it.
    """
    scripts = DeadScripts(execute)
    for member in await execute("SRANDMEMBER", keys.dead_untold, UNTOLD):
        await _tell_untold(execute, scripts, keys, member.decode(errors="replace"), runnables, worker)
    trimmed = await trim(scripts, keys, retention)
    if trimmed:
        logger.info(
            "%d dead letters of queue %s were older, more or larger than [dead] keeps", trimmed, keys.name
        )


async def _tell_untold(
    execute: Execute,
    scripts: DeadScripts,
    keys: Keys,
    job_id: str,
    runnables: Mapping[str, Runnable],
    worker: str,
) -> None:
    values = await execute("HMGET", keys.dead_letter(job_id), *_FIELDS)
    fields = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    letter = letter_of(job_id, keys.name, fields)
    message = DEAD_REASONS.get(letter.reason, "")
    note = {"task": letter.task, "error": {"type": "", "message": message}}
    follower, job = _follower(runnables.get(letter.task)), b""
    if follower is not None:
        told = _told(job_id, keys.name, letter.reason, letter.attempts, note, letter.payload)
        job = _job(follower, told)
    node = unrun_node("dead", message, letter.payload)
    if not await scripts.tell(keys, job_id, job, node=node):
        return
    logger.warning("%s:%s dead (%s)", job_id, letter.task, letter.reason, extra={"job_id": job_id})
    events.emit(
        "job.dead",
        job_id=job_id,
        queue=keys.name,
        task=letter.task,
        reason=letter.reason,
        attempts=letter.attempts,
        error="",
        message=message,
        worker=worker,
    )


def _follower(runnable: Runnable | None) -> Task[..., Any] | None:
    function = runnable.function if runnable is not None else None
    return function.task.on_dead if isinstance(function, TaskFunction) and function.task is not None else None


def _told(
    job_id: str, queue: str, reason: str, attempts: int, note: Mapping[str, Any], payload: bytes | None
) -> dict[str, Any]:
    """Give the one argument of an ``on_dead`` task; arguments are None when the payload cannot be read."""
    error = note.get("error", {})
    try:
        job = codec.decode_job(payload or b"")
        args, kwargs = job.a, job.k
    except ValueError:
        args, kwargs = None, None
    return {
        "id": job_id,
        "queue": queue,
        "task": note.get("task", ""),
        "reason": reason,
        "attempts": attempts,
        "error": {"type": error.get("type", ""), "message": error.get("message", "")},
        "args": args,
        "kwargs": kwargs,
    }


def _job(follower: Task[..., Any], told: dict[str, Any]) -> bytes:
    return codec.encode_job(follower.name, (told,), {}, SYSTEM_CLOCK.now_ms(), codec.Meta(r=follower.version))
