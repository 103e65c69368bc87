"""What a worker does first when its server is back, in virtual time: no machine is too slow for it."""

from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from runner.dead_letters import Retention
from runner.engine.drain import drain
from runner.engine.serve import Serving
from runner.engine.upkeep import Upkeep
from runner.engine.wake import Wake
from runner.job import Attempt
from runner.middleware.holds import Holds
from runner.middleware.idempotency import Effect
from runner.wire.bell import Bell
from runner.wire.keys import keys_of
from runner.wire.link import Link
from runner.wire.outage import OTHERS_RENEW_S, Outage
from runner.wire.scripts import Scripts
from tests.simulation.network import Network
from tests.simulation.scripting import Lua
from tests.simulation.seeded import seeded
from tests.simulation.server import Server
from tests.simulation.world import World

SLOTS = 6
LEASE_S = 6.0
AWAY_AT_S = LEASE_S / 3 - 0.1
BACK_AT_S = AWAY_AT_S + LEASE_S - 0.3
"""Away before anything is renewed, and not as long as who asks is patient."""


class Rounds:
    """Rounds whose first one meets an outage; an outcome waits meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.unwritten = 1
        self.claiming = self.fresh = 0
        self.queues = ()
        self.ran: list[tuple[float, int]] = []

    def note_time(self, now: float) -> None:
        pass

    def note_changed(self, keys: list[bytes]) -> None:
        pass

    def next_due_at(self) -> None:
        return None

    def has_work(self, *, in_flight: int, slots: int) -> bool:
        return slots > 0 or self.unwritten > 0

    async def run(self, *, in_flight: int, slots: int, **_: Any) -> None:
        self.ran.append((self.world.now_s, slots))
        if len(self.ran) == 1:
            raise RedisConnectionError("away")
        self.unwritten = 0


def nobody(*_: Any) -> None:
    pass


async def nothing(*_: Any) -> None:
    pass


def serving(rounds: Any, reach: Any) -> Serving:
    """Give a worker's loop with nothing real around it."""
    limits: Any = SimpleNamespace(
        allow_pick_jobs=True,
        burst=False,
        max_burst_jobs=-1,
        max_jobs=SLOTS,
        queue_read_limit=100,
        cron_jobs=(),
        heart_beat=nothing,
    )
    running: Any = SimpleNamespace(
        attempts={},
        tasks={},
        held=[],
        ready=[],
        in_flight=0,
        ask=nobody,
        begin=nothing,
        is_one_alone=lambda: False,
    )
    upkeep: Any = SimpleNamespace(reach=reach)
    made = Serving(
        limits=limits,
        running=running,
        rounds=rounds,
        wake=Wake(),
        upkeep=upkeep,
        look_for_aborts=nothing,
        jobs_started=lambda: 0,
        is_pushed=lambda: True,
        execute=nothing,
        queues=(),
    )
    made.outage = Outage(0)
    made.back.set()
    return made


def test_after_an_outage_outcomes_are_written_at_once_and_claims_wait_for_others() -> None:
    """Nobody renews the record of an effect that has ended: another worker would take it over (seed 4929)."""
    world = World(0)
    rounds: Any = Rounds(world)
    try:
        world.process("w", serving(rounds, nothing).run)
        assert world.run(lambda: len(rounds.ran) >= 3, deadline_s=30)
    finally:
        world.end()
    (away_at, _), (written_at, slots), (claimed_at, claims) = rounds.ran[:3]
    assert slots < 1
    assert written_at < away_at + 0.5
    assert claims > 0
    assert claimed_at >= written_at + OTHERS_RENEW_S


def test_a_worker_that_holds_nothing_finds_out_when_the_server_is_back() -> None:
    """It has nothing to renew, and would take its last failure for the end of the outage (seed 56)."""
    world = World(0)
    rounds: Any = Rounds(world)

    async def execute(*_: Any) -> list[Any]:
        if world.now_s < BACK_AT_S:
            raise RedisConnectionError("away")
        return []

    idle: Any = SimpleNamespace(attempts={})
    upkeep = Upkeep(
        execute=execute,
        scripts=Scripts(execute),
        keys={"arq:queue": keys_of("default")},
        running=idle,
        lease_s=LEASE_S,
        safety_poll_s=1.0,
        counts=lambda: (0, 0, 0),
        on_tick=lambda: None,
        retention=Retention(),
        rules={},
        tell_more=nothing,
    )
    try:
        world.process("w", serving(rounds, upkeep.reach).run)
        assert world.run(lambda: len(rounds.ran) >= 3, deadline_s=60)
    finally:
        world.end()
    assert all(slots < 1 for at, slots in rounds.ran[1:] if at < BACK_AT_S + OTHERS_RENEW_S)


async def leave(world: World, written: list[float]) -> None:
    """Stop with a job whose end cannot be written yet."""
    running: Any = SimpleNamespace(
        attempts={"job": object()},
        closing={},
        in_flight=0,
        begin=nothing,
        cancel=lambda *_: None,
        release_unstarted=lambda: None,
    )

    async def run(**_: Any) -> None:
        if world.now_s < BACK_AT_S:
            raise RedisConnectionError("away")
        written.append(world.now_s)
        running.attempts.clear()

    rounds: Any = SimpleNamespace(has_lost_claim=lambda: False, unwritten=1, run=run)
    await drain(running, rounds, Wake())


async def go_on(world: World, written: list[float]) -> None:
    """Serve with a job whose end cannot be written yet; nobody else tells that the server is back."""

    async def reach() -> None:
        if world.now_s < BACK_AT_S:
            raise RedisConnectionError("away")
        written.append(world.now_s)

    made = serving(Rounds(world), reach)
    made.running.attempts = {"job": object()}
    made.back = Wake()
    await made.run()


@pytest.mark.parametrize("worker", [leave, go_on])
@pytest.mark.parametrize("seed", range(10))
def test_what_has_ended_is_written_before_others_claim_it(worker: Any, seed: int) -> None:
    """Nobody renews a job that has ended: others run it again a second after (seeds 2573, 3555)."""
    world, written = World(seed), list[float]()
    with seeded(world):
        world.process("w", lambda: worker(world, written))
        world.run(lambda: bool(written), deadline_s=60)
        world.end()
    assert written
    assert written[0] < BACK_AT_S + OTHERS_RENEW_S


class Process:
    """One that asks for an effect."""

    def __init__(self, network: Network, job_id: str) -> None:
        link = Link(network.pool())
        self.holds = Holds(link.execute, Bell(), lease_s=LEASE_S)
        attempt = Attempt(
            job_id=job_id, queue="q", number=1, token=f"t-{job_id}", fence=1, due_at_ms=0, payload=b""
        )
        self.effect = Effect(self.holds, attempt, "digest", "", 60_000)

    def start(self, world: World) -> None:
        world.process("asker", self.ask)

    async def make(self) -> None:
        assert (await self.effect.begin(wait_s=0))[0] == b"new"
        self.holds.add(self.effect)

    async def ask(self) -> None:
        await self.effect.begin(wait_s=BACK_AT_S + LEASE_S)


def outage(seed: int) -> tuple[Process, Process]:
    """Let one process make an effect and another wait for it, and the server be away meanwhile."""
    world = World(seed)
    network = Network(world, Server(world.now_us, seed, Lua()))
    maker, asker = Process(network, "maker"), Process(network, "asker")
    world.process("maker", maker.make)
    world.after(0.5, lambda: asker.start(world))
    world.at(AWAY_AT_S, network.go_down)
    world.at(BACK_AT_S, network.come_back)
    with seeded(world):
        world.run(lambda: world.now_s > BACK_AT_S + LEASE_S, deadline_s=100)
        world.end()
    return maker, asker


def test_after_an_outage_nobody_asks_before_all_who_live_have_renewed() -> None:
    """The lease has run out; whoever is back first would recover what is still being made (seed 13184)."""
    for seed in range(10):
        maker, asker = outage(seed)
        assert asker.effect.answer[0] == b"busy"
        assert not maker.effect.is_lost
