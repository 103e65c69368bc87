"""What a worker does first when its server is back, in virtual time: no machine is too slow for it."""

from types import SimpleNamespace
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from runner.engine.serve import OTHERS_RENEW_S, Serving
from runner.engine.wake import Wake
from tests.simulation.world import World

SLOTS = 6


class Rounds:
    """Rounds whose first one meets an outage; an outcome waits meanwhile."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.unwritten = 1
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


async def nothing(*_: Any) -> None:
    pass


def test_after_an_outage_outcomes_are_written_at_once_and_claims_wait_for_others() -> None:
    """Nobody renews the record of an effect that has ended: another worker would take it over (seed 4929)."""
    world = World(0)
    rounds: Any = Rounds(world)
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
        tasks={}, held=[], ready=[], in_flight=0, ask=lambda: None, begin=nothing, is_one_alone=lambda: False
    )
    upkeep: Any = SimpleNamespace(lease_s=0.0, renew=nothing)
    serving = Serving(
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
    serving.back.set()
    try:
        world.process("w", serving.run)
        assert world.run(lambda: len(rounds.ran) >= 3, deadline_s=30)
    finally:
        world.end()
    (away_at, _), (written_at, slots), (claimed_at, claims) = rounds.ran[:3]
    assert slots < 1
    assert written_at < away_at + 0.5
    assert claims > 0
    assert claimed_at >= written_at + OTHERS_RENEW_S
