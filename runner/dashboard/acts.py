"""Every change that the dashboard makes; each is what a door does, and is refused to who only reads."""

from collections.abc import Awaitable, Callable, Mapping

from ..clock import SYSTEM_CLOCK
from ..dead_letters import DeadLetters
from ..queues import Queues
from .asked import Asked, Done, Page
from .edits import edit_job
from .failures import RATES, given_of, wanted_of

Act = Callable[[Asked], Awaitable[Done | Page]]
"""A page instead of Done: it was not done, and that says why."""


def _queues(asked: Asked) -> Queues:
    door = asked.doors.queues
    door.by = asked.by
    return door


def _dead(asked: Asked) -> DeadLetters:
    door = asked.doors.dead
    door.by = asked.by
    return door


# -- queues and jobs --------------------------------------------------------------------------------------


async def pause_queue(asked: Asked) -> Done:
    await _queues(asked).pause(asked.needed("name"))
    return Done("queues", "paused")


async def resume_queue(asked: Asked) -> Done:
    await _queues(asked).resume(asked.needed("name"))
    return Done("queues", "resumed")


def _job(asked: Asked, said: str) -> Done:
    return Done("job", said, {"id": asked.needed("id"), "queue": asked.needed("queue")})


async def cancel_job(asked: Asked) -> Done:
    is_done = await asked.doors.client.cancel(asked.needed("queue"), asked.needed("id"))
    return _job(asked, "cancelled" if is_done else "nothing")


async def retry_job(asked: Asked) -> Done:
    await _queues(asked).retry(asked.needed("id"), queue=asked.needed("queue"))
    return _job(asked, "retried")


# -- dead letters -----------------------------------------------------------------------------------------


async def replay_letter(asked: Asked) -> Done:
    await _dead(asked).replay(asked.needed("id"), queue=asked.needed("queue"))
    return _job(asked, "replayed")


async def discard_letter(asked: Asked) -> Done:
    await _dead(asked).discard(asked.needed("id"), queue=asked.needed("queue"))
    return Done("dead", "discarded")


async def replay_many(asked: Asked) -> Done:
    """Begin a replay of all that the filter wants, or a count; its page shows how far it is."""
    rate, expected = asked.text("rate"), asked.text("expected")
    if rate not in RATES:
        msg = f"rate is one of {', '.join(filter(None, RATES))} a second, or empty for no limit"
        raise ValueError(msg)
    wanted, queue = wanted_of(asked)
    if queue is not None:
        asked.doors.inspector.shards(queue)
    run = asked.desk.runs.begin(
        _dead(asked),
        wanted,
        queue=queue,
        rate=RATES[rate],
        counts_only=asked.text("only") == "count",
        expected=int(expected) if expected.isdigit() and len(expected) < 12 else 0,
        now_ms=SYSTEM_CLOCK.now_ms(),
        given=given_of(asked),
    )
    return Done("run", given={"id": run.id})


async def stop_run(asked: Asked) -> Done:
    run_id = asked.needed("id")
    is_stopped = asked.desk.runs.stop(run_id)
    return Done("run", "stopped" if is_stopped else "nothing", {"id": run_id})


# -- schedules, gates, workflows --------------------------------------------------------------------------


async def pause_schedule(asked: Asked) -> Done:
    await asked.doors.schedules.pause(asked.needed("name"))
    return Done("schedules", "paused")


async def resume_schedule(asked: Asked) -> Done:
    await asked.doors.schedules.resume(asked.needed("name"))
    return Done("schedules", "resumed")


async def run_schedule(asked: Asked) -> Done:
    await asked.doors.schedules.run_now(asked.needed("name"))
    return Done("schedules", "made")


def _gate(asked: Asked, said: str) -> Done:
    """Go back to where it was asked for: the page of the destination, or that of all limits."""
    if asked.text("from") == "destination":
        return Done("destination", said, {"key": asked.needed("key")})
    return Done("limits", said)


async def pause_gate(asked: Asked) -> Done:
    why = f"paused by {asked.by}"
    await asked.doors.limits.pause(asked.needed("key"), asked.text("for", "5m"), why=why)
    return _gate(asked, "paused")


async def resume_gate(asked: Asked) -> Done:
    await asked.doors.limits.resume(asked.needed("key"))
    return _gate(asked, "resumed")


async def reset_gate(asked: Asked) -> Done:
    await asked.doors.limits.reset(asked.needed("key"))
    return _gate(asked, "reset")


async def cancel_workflow(asked: Asked) -> Done:
    name = asked.needed("id")
    is_done = await asked.doors.workflow(name).cancel()
    return Done("workflow", "cancelled" if is_done else "nothing", {"id": name})


async def retry_workflow(asked: Asked) -> Done:
    name = asked.needed("id")
    is_done = await asked.doors.workflow(name).retry()
    return Done("workflow", "again" if is_done else "nothing", {"id": name})


ACTS: Mapping[str, Act] = {
    "queue/pause": pause_queue,
    "queue/resume": resume_queue,
    "job/cancel": cancel_job,
    "job/retry": retry_job,
    "job/edit": edit_job,
    "dead/replay": replay_letter,
    "dead/discard": discard_letter,
    "dead/replay-many": replay_many,
    "run/stop": stop_run,
    "schedule/pause": pause_schedule,
    "schedule/resume": resume_schedule,
    "schedule/run": run_schedule,
    "gate/pause": pause_gate,
    "gate/resume": resume_gate,
    "gate/reset": reset_gate,
    "workflow/cancel": cancel_workflow,
    "workflow/retry": retry_workflow,
}
"""By path; POST only."""
