"""One seed: three workers and an application on one server, faults, calm, and a look at what is left."""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from signal import SIGTERM
from typing import Any

from runner import chord
from runner.client import Client
from runner.client.job import Job
from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.errors import RunnerError, ServerError
from runner.registry import Registry
from runner.settings import Settings
from runner.wire import deserialize, serialize
from runner.wire.keys import keys_of
from runner.workflow.door import Workflows

from . import oracle, shop
from .faults import happen
from .network import Network
from .plan import CALM_AT_S, Plan, Wanted, plan_of
from .scripting import Lua
from .seeded import seeded
from .server import Server
from .shop import LEASE_S, Ledger
from .witness import Witness
from .world import Loop, World, buried

KEYS = keys_of("default")
DEADLINE_S = 300.0
"""Long after the last fault: what has not ended by then hangs."""
STOP_S = 60.0
FUNCTIONS = [function_of(each) for each in shop.TASKS]
RULES = {"default": {"limit:gate": str(shop.GATE)}}
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
        self.witness = Witness(KEYS, self.ledger, lambda: self.server.keyspace.now_ms)
        self.witness.gated = {job.key.encode() for job in self.plan.jobs if job.task.name == "gated"}
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
            with seeded(world):
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
        world.process("app", self._app)
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
        values = self.server.keyspace.values
        return not (KEYS.queue.encode() in values or KEYS.nodes_ended.encode() in values or self.ledger.open)

    def _is_up(self, number: int) -> bool:
        loop, worker = self.workers[number]
        return worker is not None and not loop.is_dead and not loop.main.done()

    def lose(self, process: str) -> str:
        """Give what is to happen to the next commands of a process."""
        waiting = self.pending.get(process.partition(".")[0])
        return waiting.pop() if waiting else ""

    # -- the application

    async def _app(self) -> None:
        client = Client(self.network.pool(), address="simulated")
        settings = Settings()
        flows = Workflows(client, settings, Registry(shop.TASKS))
        try:
            await asyncio.gather(*(self._order(client, job) for job in self.plan.jobs), self._flow(flows))
        finally:
            self.client_is_done = True
            await client.close()

    async def _order(self, client: Client, wanted: Wanted) -> None:
        await asyncio.sleep(wanted.at_s)
        while True:
            try:
                job = await client.enqueue(wanted.task, *wanted.args)
            except RunnerError:
                await asyncio.sleep(1)
                continue
            self.acknowledged.add(wanted.key)
            self.world.note("app has", wanted.key, wanted.task.name, wanted.args)
            break
        if wanted.cancel_at_s:
            await asyncio.sleep(max(0, wanted.cancel_at_s - self.world.now_s))
            self.cancelled.add(wanted.key)
            with contextlib.suppress(RunnerError):
                await job.cancel()
        if wanted.is_awaited:
            await self._wait(job, wanted.key)

    async def _wait(self, job: Job[Any], key: str) -> None:
        try:
            self.results[key] = await job.result()
        except RunnerError as error:
            self.results[key] = error

    async def _flow(self, flows: Workflows) -> None:
        if not self.plan.parts:
            return
        await asyncio.sleep(self.plan.flow_at_s)
        calls = [shop.part.call(number, 0.3 * number) for number in range(self.plan.parts)]
        while True:
            try:
                flow = await flows.start(chord(calls, shop.merge.call()), id="flow")
                break
            except RunnerError:
                await asyncio.sleep(1)
        self.flow_acknowledged = True
        try:
            self.results["flow"] = await flow.result()
        except RunnerError as error:
            self.results["flow"] = error

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
        engine = EngineOptions(
            name=name,
            make_pool=self.network.pool,
            lease_s=LEASE_S,
            speaks_json=True,
            blocked_after_s=0,
            server_timeout_s=2.0,
            rules=RULES,
            queues={"default": 1},
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
