"""What must be so when nothing bad happens any more and all has come to rest."""

import json
from typing import TYPE_CHECKING, Any

from runner.effects import digest_of_key
from runner.wire.keys import keys_of, keys_of_workflow

from . import shop
from .plan import Wanted

if TYPE_CHECKING:
    from .simulate import Simulation

KEYS = keys_of("default")
FLOW = keys_of_workflow("flow")
KEPT = (
    *(
        "arq:result:",
        "runner:dead:",
        "runner:default:dead",
        "runner:default:rules",
        "runner:once:",
        "runner:lock:",
    ),
    *("runner:wf:", "runner:workflows-", "runner:worker", "arq:queue:health-check"),
)
"""Results, dead letters, what effects and locks remember, rules, workflows that ended; nothing else."""


def unfinished(simulation: "Simulation") -> str:
    """Say what still is there."""
    values = simulation.server.keyspace.values
    keys = sorted(key.decode() for key in values if not key.decode().startswith(KEPT))
    queue = values.get(KEYS.queue.encode())
    waiting = sorted(queue.scores) if queue else []
    return f"jobs {waiting}, calls {sorted(simulation.ledger.open)}, keys {keys}"


def look(simulation: "Simulation") -> None:
    """Look at everything that is left; the ledger gets what is wrong with it."""
    _jobs(simulation)
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


def _wrong_with(wanted: Wanted, simulation: "Simulation") -> str:
    """Give what is wrong with a job that was acknowledged; nothing when it came to its one end."""
    values, key = simulation.server.keyspace.values, wanted.key.encode()
    data = values.get(KEYS.result(wanted.key).encode())
    letter = values.get(KEYS.dead_letter(wanted.key).encode())
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
    prefix = KEYS.dead_letter("").encode()
    return {key.removeprefix(prefix) for key in simulation.server.keyspace.values if key.startswith(prefix)}


def _values(wanted: Any, simulation: "Simulation") -> list[str]:
    """Give what a job may return: its id; one that shares its effect, the id of the job that made it."""
    if wanted.task.name != "paying":
        return [wanted.key]
    return [job.key for job in simulation.plan.jobs if (job.task.name, job.args) == ("paying", wanted.args)]


def _effects(simulation: "Simulation") -> None:
    """Of all calls that made one effect, one may have ended its job: the others were lost midway."""
    ledger, witness = simulation.ledger, simulation.witness
    for order, calls in ledger.effects.items():
        counted = [call for call in calls if (call.job, call.fence) in witness.winners]
        if len(counted) > 1:
            ledger.blame(f"the effect {order} counted {len(counted)} times: {counted}")
        digest = digest_of_key("paying", order).encode()
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
    left = {key.decode() for key in keyspace.values if not key.decode().startswith(KEPT)}
    if KEYS.ward.encode() in keyspace.expires:
        left.discard(KEYS.ward)
    if left:
        simulation.ledger.blame(f"keys are left: {sorted(left)}")
