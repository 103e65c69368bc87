"""What each word of ``plan.FAULTS`` does to a simulation.

| word | what happens |
| --- | --- |
| kill | a worker is gone in the middle of whatever it does; another one starts in its place |
| pause | it does nothing for up to 2.4 leases, as after SIGSTOP, and goes on as if nothing had been |
| restart | it is told to stop: after its jobs, or at once |
| reset | the connections of a process break |
| request, reply | the next commands of a process are lost, before they are executed or after it |
| twice | they are executed twice, with other commands in between; the second reply is given |
| away | nobody gets through to the server, for up to 6 s |
| slow | each way takes up to a second more; answers come too late for who waits two |
| flush | SCRIPT FLUSH |
| clock forward, clock back | the server's clock jumps: up to 20 s on or 15 s back, rarely 1,000 or 60 s |
"""

from signal import SIGTERM
from typing import TYPE_CHECKING

from .plan import Fault
from .shop import LEASE_S
from .world import Loop

if TYPE_CHECKING:
    from .simulate import Simulation


def happen(simulation: "Simulation", fault: Fault) -> None:
    simulation.world.note("FAULT", fault.kind, f"w{fault.who}", f"{fault.size:.2f}")
    DOES[fault.kind](simulation, fault)
    if DOES[fault.kind] is not lose:  # those count when there is something to lose
        simulation.network.count(fault.kind)


def victim(simulation: "Simulation", fault: Fault) -> Loop | None:
    loop, _ = simulation.workers.get(fault.who, (None, None))
    return None if loop is None or loop.is_dead or loop.main.done() else loop


def kill(simulation: "Simulation", fault: Fault) -> None:
    if (loop := victim(simulation, fault)) is None:
        return
    world, opened = simulation.world, simulation.ledger.open
    world.kill(loop)
    simulation.killed.add(loop.name)
    for key in [key for key, call in opened.items() if call.process == loop.name]:
        del opened[key]
    world.after(0.01, lambda: simulation.network.hang_up(loop))  # what it sent last is still on its way
    world.after(0.2 + fault.size * 4, lambda: simulation.start(fault.who))


def pause(simulation: "Simulation", fault: Fault) -> None:
    if (loop := victim(simulation, fault)) is not None:
        simulation.world.pause(loop, LEASE_S * (0.2 + 2.2 * fault.size))


def restart(simulation: "Simulation", fault: Fault) -> None:
    loop, worker = simulation.workers.get(fault.who, (None, None))
    if loop is None or worker is None or loop.is_dead or loop.main.done():
        return
    simulation.told_to_restart.add(loop.name)
    simulation.world.enter(loop)
    stop = worker.handle_sig_wait_for_completion if fault.size < 0.7 else worker.handle_sig
    stop(SIGTERM)


def reset(simulation: "Simulation", fault: Fault) -> None:
    simulation.network.reset(f"w{fault.who}" if fault.size < 0.8 else "app")


def lose(simulation: "Simulation", fault: Fault) -> None:
    whose = f"w{fault.who}" if fault.size < 0.85 else "app"
    simulation.pending.setdefault(whose, []).append(fault.kind)


def be_away(simulation: "Simulation", fault: Fault) -> None:
    simulation.network.go_down()
    simulation.world.after(0.2 + 6 * fault.size, simulation.network.come_back)


def be_slow(simulation: "Simulation", fault: Fault) -> None:
    simulation.network.slow_s = 0.1 + fault.size
    simulation.world.after(3, simulation.network.speed_up)


def flush(simulation: "Simulation", _: Fault) -> None:
    simulation.server.flush_scripts()


def jump_forward(simulation: "Simulation", fault: Fault) -> None:
    seconds = 1000 if fault.size > 0.8 else 20 * fault.size
    simulation.server.ahead_us += round(seconds * 1_000_000)
    simulation.ticks.leapt = True
    simulation.witness.taken.leapt_at_s = simulation.world.now_s


def jump_back(simulation: "Simulation", fault: Fault) -> None:
    simulation.ticks.leapt = True
    simulation.server.keyspace.tick()
    simulation.witness.let_expire(simulation.server.keyspace.now_ms)
    seconds = 60 if fault.size > 0.8 else 15 * fault.size
    simulation.server.ahead_us -= round(seconds * 1_000_000)


DOES = {
    "kill": kill,
    "pause": pause,
    "restart": restart,
    "reset": reset,
    "request": lose,
    "reply": lose,
    "twice": lose,
    "away": be_away,
    "slow": be_slow,
    "flush": flush,
    "clock forward": jump_forward,
    "clock back": jump_back,
}
