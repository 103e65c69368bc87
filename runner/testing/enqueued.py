"""Jobs that wait, as a test asks for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArguments
from ..tasks import Task
from ..wire import codec
from ..wire.keys import Keys, Layout, keys_of
from ..wire.scripts import Execute

ABOUT_MS = 1000
"""How far a due time may be from the one that is asked for."""


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that waits or runs.

    Attributes:
        id: the job's.
        queue: name of its queue.
        task: name of its task.
        arguments: by the task's parameters where the task is known, defaults filled in.
        due_at_ms: when it may start.
        enqueued_at_ms: when it was enqueued.
    """

    id: str
    queue: str
    task: str
    arguments: Mapping[str, Any]
    due_at_ms: int
    enqueued_at_ms: int

    def fits(self, task: Task[..., Any], wanted: Mapping[str, Any]) -> bool:
        """Say whether it is a job of this task, placed so, with these arguments among others."""
        placed = task.placement
        if placed.queue not in (None, self.queue) or placed.key not in (None, self.id):
            return False
        due_ms = self.enqueued_at_ms + placed.delay_s * 1000 if placed.delay_s else self.due_at_ms
        if placed.until is not None:
            due_ms = placed.until.timestamp() * 1000
        if abs(due_ms - self.due_at_ms) > ABOUT_MS:
            return False
        return all(name in self.arguments and self.arguments[name] == value for name, value in wanted.items())


async def read_enqueued(
    execute: Execute, queues: Iterable[str], layout: Layout, task: Task[..., Any] | None
) -> list[Enqueued]:
    """Read the jobs of these queues, of one task or of all."""
    found: list[Enqueued] = []
    for keys in (keys_of(name, layout) for name in queues):
        flat = await execute("ZRANGE", keys.queue, 0, -1, "WITHSCORES")
        for job_id, due_ms in zip(flat[::2], flat[1::2], strict=True):
            job = await _read(execute, keys, job_id.decode(), float(due_ms), task)
            found += [job] if job is not None else []
    return sorted(found, key=lambda job: job.due_at_ms)


async def _read(
    execute: Execute, keys: Keys, job_id: str, due_ms: float, task: Task[..., Any] | None
) -> Enqueued | None:
    try:
        payload = codec.decode_job(await execute("GET", keys.job(job_id)) or b"")
    except ValueError:
        return None
    if task is not None and payload.f != task.name:
        return None
    named: Mapping[str, Any] = {**{str(n): value for n, value in enumerate(payload.a)}, **payload.k}
    if task is not None:
        try:
            args, kwargs = task.parameters.rebuild(task.name, payload.a, payload.k)
            named = task.parameters.named(task.name, args, kwargs)
        except InvalidArguments:
            pass
    return Enqueued(job_id, keys.name, payload.f, named, round(due_ms), payload.et)


def told(task: Task[..., Any], wanted: Mapping[str, Any], there: Iterable[Enqueued]) -> str:
    """Say what is missing, and what is there instead."""
    placed = task.placement
    where = {"queue": placed.queue, "key": placed.key, "delay": placed.delay_s or None, "until": placed.until}
    asked = [f"{name}={value!r}" for name, value in wanted.items()]
    asked += [f"{name} {value}" for name, value in where.items() if value is not None]
    lines = [f"no job of task '{task.name}'" + (f" with {', '.join(asked)}" if asked else "") + " waits"]
    for job in there:
        arguments = ", ".join(f"{name}={value!r}" for name, value in job.arguments.items())
        due_s = (job.due_at_ms - job.enqueued_at_ms) / 1000
        lines.append(f"  there is {job.id} in {job.queue}, due {due_s:.0f} s after its enqueue: {arguments}")
    return "\n".join(lines if len(lines) > 1 else [*lines, "  there is none of it at all"])
