"""What must be so when nothing bad happens any more and all has come to rest."""

import json
from typing import TYPE_CHECKING, Any

from runner.effects import digest_of_key
from runner.wire.effects import prefix_of
from runner.wire.keys import keys_of_workflow

from . import shop
from .plan import Wanted

if TYPE_CHECKING:
    from .simulate import Simulation


def kept(simulation: "Simulation") -> tuple[str, ...]:
    """Give how the keys begin that stay.

    Results, dead letters, what effects, locks and schedules remember, rules, workflows that ended: no other.
    """
    layout = simulation.plan.ground.layout
    effects, flow = prefix_of(layout), keys_of_workflow("flow", layout)
    own = [
        beginning
        for keys in simulation.keys.values()
        for beginning in (
            *(keys.result(""), keys.dead_letter(""), keys.dead, keys.rules),
            *(keys.schedule(""), keys.schedules, keys.schedule_changes),
        )
    ]
    ours = (f"{effects}once:", f"{effects}lock:", flow.arq, "runner:workflows-", "runner:worker")
    return (*own, *ours, "arq:queue:health-check")


def unfinished(simulation: "Simulation") -> str:
    """Say what still is there."""
    values = simulation.server.keyspace.values
    stay = kept(simulation)
    keys = sorted(key.decode() for key in values if not key.decode().startswith(stay))
    queues = [values.get(keys.queue.encode()) for keys in simulation.keys.values()]
    waiting = [sorted(queue.scores) for queue in queues if queue]
    books = [book for book in simulation.ticks.books.values() if not book.is_over]
    return f"jobs {waiting}, calls {sorted(simulation.ledger.open)}, keys {keys}, schedules {books}"


def look(simulation: "Simulation") -> None:
    """Look at everything that is left; the ledger gets what is wrong with it."""
    _jobs(simulation)
    _ticks(simulation)
    _effects(simulation)
    _flow(simulation)
    _keys(simulation)


def _jobs(simulation: "Simulation") -> None:
    for wanted in simulation.plan.jobs:
        if wanted.key not in simulation.acknowledged:
            simulation.ledger.blame(f"{wanted.key} was never taken in")
        elif wrong := _wrong_with(wanted, simulation):
            simulation.ledger.blame(f"{wanted.key} ({wanted.task.name}) {wrong}")
    if simulation.plan.keeps_leases and simulation.witness.vanished:
        simulation.ledger.blame(f"lost without a reason: {dict(simulation.witness.vanished)}")
    if left := simulation.witness.leases.keys() - _poisoned(simulation):
        simulation.ledger.blame(f"leases that nobody gave up: {sorted(left)}")


def _ticks(simulation: "Simulation") -> None:
    """Each job that was made of a tick came to its one end, and each schedule to its own."""
    values = simulation.server.keyspace.values
    simulation.ticks.look()
    for book in simulation.ticks.books.values():
        for job in book.made:
            data = values.get(book.keys.result(job).encode(), b"{}")
            if json.loads(data).get("r") != job and job.encode() not in _poisoned(simulation):
                simulation.ledger.blame(f"{job} of a schedule gave {data!r}")


def _wrong_with(wanted: Wanted, simulation: "Simulation") -> str:
    """Give what is wrong with a job that was acknowledged; nothing when it came to its one end."""
    values, key = simulation.server.keyspace.values, wanted.key.encode()
    keys = simulation.keys[wanted.queue]
    data = values.get(keys.result(wanted.key).encode())
    letter = values.get(keys.dead_letter(wanted.key).encode())
    if letter is not None and letter[b"reason"] == b"poison":
        lost = simulation.witness.vanished[key] + (key in simulation.witness.leases)
        return "" if lost > 2 else f"is poison, and was lost {lost} times only"
    if data is None:
        return "was acknowledged, and left no result"
    result: dict[str, Any] = json.loads(data)
    how = "dead" if letter else "done" if result["s"] else result.get("o", "failed")
    if how == "cancelled" and wanted.key in simulation.cancelled:
        return ""
    if how != ("dead" if wanted.task.name in shop.FAILS else "done"):
        return f"is {how}: {letter or result}"
    if how == "done" and result["r"] not in _values(wanted, simulation):
        return f"gave {result['r']!r}"
    if how == "done" and wanted.is_awaited and simulation.results[wanted.key] != result["r"]:
        return f"gave {result['r']!r}, and who waited for it was told {simulation.results[wanted.key]!r}"
    return ""


def _poisoned(simulation: "Simulation") -> set[bytes]:
    prefixes = {keys.dead_letter("").encode() for keys in simulation.keys.values()}
    values = simulation.server.keyspace.values
    return {key.removeprefix(each) for each in prefixes for key in values if key.startswith(each)}


def _values(wanted: Any, simulation: "Simulation") -> list[str]:
    """Give what a job may return: its id; one that shares its effect, the id of the job that made it."""
    if wanted.task.name != "paying":
        return [wanted.key]
    return [job.key for job in simulation.plan.jobs if (job.task.name, job.args) == ("paying", wanted.args)]


def _effects(simulation: "Simulation") -> None:
    """Of all calls that made one effect, one may have ended its job: the others were lost midway.

    One more for each time that a record was taken over from a call that lived, and went on: see ``witness``.
    """
    ledger, witness = simulation.ledger, simulation.witness
    for order, calls in ledger.effects.items():
        counted = [call for call in calls if (call.job, call.fence) in witness.winners]
        digest = digest_of_key("paying", order).encode()
        if len(counted) > 1 + witness.shared[digest]:
            ledger.blame(f"the effect {order} counted {len(counted)} times: {counted}")
        was_flushed = any(fault.kind == "flush" for fault in simulation.plan.faults)
        if was_flushed and any(call.process in simulation.killed for call in counted):
            continue  # refused alone, and killed before it could be sent again: endings.py says so
        if counted and digest not in witness.done:
            ledger.blame(f"the effect {order} happened, and its record does not say so")


def _flow(simulation: "Simulation") -> None:
    ledger, witness = simulation.ledger, simulation.witness
    if not simulation.flow_acknowledged:
        return
    parts = simulation.plan.parts
    if simulation.results.get("flow") != sum(range(parts)) and not _poisoned(simulation):
        ledger.blame(f"the chord gave {simulation.results.get('flow')!r}")
    called = [job for job, _ in witness.winners if job.startswith("flow:") and job in ledger.merged]
    if len(called) > 1:
        ledger.blame(f"the chord called back more than once: {called}")
    for job, numbers in ledger.merged.items():
        if numbers != list(range(parts)):
            ledger.blame(f"the chord called {job} with {numbers}")


def _keys(simulation: "Simulation") -> None:
    keyspace = simulation.server.keyspace
    stay = kept(simulation)
    left = {key.decode() for key in keyspace.values if not key.decode().startswith(stay)}
    left -= {keys.ward for keys in simulation.keys.values() if keys.ward.encode() in keyspace.expires}
    if left:
        simulation.ledger.blame(f"keys are left: {sorted(left)}")
