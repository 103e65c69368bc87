"""One seed: three workers and an application on one server, faults, calm, and a look at what is left."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from signal import SIGTERM
from typing import Any
from unittest.mock import patch

from runner.engine import serve
from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.errors import ServerError
from runner.schedules.beside import Ticking
from runner.schedules.kept import Kept
from runner.wire import deserialize, serialize

from . import oracle, shop
from .app import run_app
from .faults import happen
from .network import Network
from .plan import CALM_AT_S, Plan, plan_of
from .scripting import Lua
from .seeded import seeded
from .server import Server
from .shop import LEASE_S, Ledger
from .ticks import Ticks
from .witness import Witness
from .world import Loop, World, buried

DEADLINE_S = 300.0
"""Long after the last fault: what has not ended by then hangs."""
STOP_S = 60.0
FUNCTIONS = [function_of(each) for each in shop.TASKS]
RULE = {"limit:gate": str(shop.GATE)}
_LUA: list[Lua] = []


@dataclass
class Report:
    """What became of a seed.

    Attributes:
        seed: which.
        wrong: what must not be; empty when all is well.
        turns, sent: of event loops; commands.
        virtual_s: time that passed in it.
        faults: that happened, by kind.
        trace: all that happened, if it was kept.
        commands: with the server's time (ms), likewise.
    """

    seed: int
    wrong: list[str]
    turns: int
    sent: int
    virtual_s: float
    faults: dict[str, int]
    trace: list[str]
    commands: list[tuple[int, list[bytes]]]


class Simulation:
    """The state of one seed."""

    def __init__(self, seed: int, *, keeps_trace: bool) -> None:
        self.plan: Plan = plan_of(seed)
        self.world = World(seed, keeps_trace=keeps_trace)
        if not _LUA:
            _LUA.append(Lua())
        self.server = Server(self.world.now_us, seed, _LUA[0])
        self.network = Network(self.world, self.server)
        self.ledger = Ledger(self.world, self.network.reachable_since)
        self.witness = Witness(self.network, self.ledger, lambda: self.server.keyspace.now_ms)
        self.witness.gated = {
            job.key.encode(): job.queue for job in self.plan.jobs if job.task.name == "gated"
        }
        self.keys = self.plan.ground.keys
        self.ticks = Ticks(
            self.plan.ground.schedules, self.keys, self.ledger, lambda: self.server.keyspace.values
        )
        self.witness.ticks = self.ticks
        self.server.after = self.witness.after
        self.workers: dict[int, tuple[Loop, Worker | None]] = {}
        self.pending: dict[str, list[str]] = {}
        self.acknowledged: set[str] = set()
        self.cancelled: set[str] = set()
        self.flow_acknowledged = False
        self.results: dict[str, Any] = {}
        self.killed: set[str] = set()
        self.told_to_restart: set[str] = set()
        self.client_is_done = self.is_stopping = False
        self._names = 0
        self.network.lose = self.lose

    def run(self) -> Report:
        world = self.world
        shop.LEDGER.append(self.ledger)
        logging.disable(logging.CRITICAL)
        try:
            with seeded(world), patch.object(serve, "SMALLEST_HALF", self.plan.ground.half):
                self._run()
        finally:
            logging.disable(logging.NOTSET)
            shop.LEDGER.pop()
            world.end()
        wrong = self.ledger.wrong + [f"nobody awaited: {each}" for each in world.trouble]
        counts = self.network.counts
        return Report(
            world.seed,
            wrong,
            world.turns,
            self.network.sent,
            world.now_s,
            counts,
            world.trace,
            world.commands,
        )

    def _run(self) -> None:
        world = self.world
        for number in range(self.plan.workers):
            world.after(world.rng.random(), lambda number=number: self.start(number))
        world.process("app", lambda: run_app(self))
        for fault in self.plan.faults:
            world.at(fault.at_s, lambda fault=fault: happen(self, fault))
        world.at(CALM_AT_S, self.pending.clear)
        if not world.run(self._is_quiet, deadline_s=DEADLINE_S):
            down = [number for number in self.workers if not self._is_up(number)]
            app = "has all it waits for" if self.client_is_done else "waits"
            self.ledger.blame(
                f"not at rest: the app {app}, workers {down} are down, {oracle.unfinished(self)}"
            )
            return
        self.is_stopping = True
        for loop, worker in self.workers.values():
            if worker is not None:
                world.enter(loop)
                worker.handle_sig_wait_for_completion(SIGTERM)
        stop_at = world.now_s + STOP_S
        if not world.run(
            lambda: all(loop.main.done() for loop, _ in self.workers.values()), deadline_s=stop_at
        ):
            self.ledger.blame("a worker that was told to stop has not")
        oracle.look(self)

    def _is_quiet(self) -> bool:
        if not self.client_is_done or self.world.now_s < CALM_AT_S or not all(map(self._is_up, self.workers)):
            return False
        if self.ledger.open or not all(book.is_over for book in self.ticks.books.values()):
            return False
        busy = (key for keys in self.keys.values() for key in (keys.queue, keys.nodes_ended))
        return not any(key.encode() in self.server.keyspace.values for key in busy)

    def _is_up(self, number: int) -> bool:
        loop, worker = self.workers[number]
        return worker is not None and not loop.is_dead and not loop.main.done()

    def lose(self, process: str) -> str:
        """Give what is to happen to the next commands of a process."""
        waiting = self.pending.get(process.partition(".")[0])
        return waiting.pop() if waiting else ""

    # -- workers

    def start(self, number: int) -> None:
        self._names += 1
        name = f"w{number}.{self._names}"
        self.world.note(name, "starts")
        loop = self.world.process(name, lambda: self._work(number, name))
        self.workers[number] = (loop, None)
        loop.main.add_done_callback(lambda main: self._ended(number, name, main))

    def _ended(self, number: int, name: str, main: Any) -> None:
        """Start another one, as a supervisor does; only a server that cannot be reached may end a worker."""
        error = main.exception()
        if error is not None and not isinstance(error, ServerError):
            self.ledger.blame(f"{name} ended with {error!r}")
        if self.is_stopping:
            return
        if error is not None or name in self.told_to_restart:
            self.world.after(0.5, lambda: self.start(number))
        else:
            self.ledger.blame(f"{name} ended, and nobody told it to")

    async def _work(self, number: int, name: str) -> None:
        loop: Any = asyncio.get_running_loop()
        ground = self.plan.ground
        kept = [Kept(schedule, self.keys[schedule.queue]) for schedule in ground.declared]
        engine = EngineOptions(
            name=name,
            make_pool=self.network.pool,
            lease_s=LEASE_S,
            speaks_json=True,
            blocked_after_s=0,
            server_timeout_s=2.0,
            rules=dict.fromkeys(ground.queues, RULE),
            queues=ground.queues,
            strict=ground.strict,
            layout=ground.layout,
            beside=(Ticking(kept, list(self.keys.values())),) if ground.schedules else (),
        )
        worker = Worker(
            FUNCTIONS,
            handle_signals=False,
            engine=engine,
            max_jobs=6,
            keep_result=30 * 86_400,
            job_serializer=serialize,
            job_deserializer=deserialize,
            allow_abort_jobs=True,
            job_completion_wait=3,
        )
        self.workers[number] = (loop, worker)
        with contextlib.suppress(asyncio.CancelledError):
            await worker.async_run()
        await worker.close()


def simulate(seed: int, *, keeps_trace: bool = False) -> Report:
    """Run one seed."""
    with buried():
        return Simulation(seed, keeps_trace=keeps_trace).run()
