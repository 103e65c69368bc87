"""How long a process gives others to renew, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from runner.wire.outage import OTHERS_RENEW_S, Outage
from tests.simulation.world import World

LEASE_S = 6.0


def lived(story: Callable[[Outage], Awaitable[None]]) -> None:
    world = World(0)

    async def main() -> None:
        await story(Outage(LEASE_S))

    loop = world.process("p", main)
    try:
        assert world.run(loop.main.done, deadline_s=100)
        loop.main.result()
    finally:
        world.end()


@pytest.mark.parametrize(
    ("length_s", "left_s"), [(LEASE_S / 3 - 0.1, 0.0), (LEASE_S / 3 + 0.1, OTHERS_RENEW_S)]
)
def test_others_are_given_time_when_a_lease_may_have_run_out(length_s: float, left_s: float) -> None:
    """A short one costs nobody a lease, and this process no time."""

    async def story(outage: Outage) -> None:
        outage.begin()
        await asyncio.sleep(length_s)
        assert outage.is_on
        outage.end()
        assert not outage.is_on
        assert outage.left_s() == pytest.approx(left_s)
        await asyncio.sleep(left_s)
        assert outage.left_s() == 0

    lived(story)


def test_an_outage_that_leaves_others_no_time_goes_on() -> None:
    """The server is back for a moment, and away again: nobody has renewed."""

    async def story(outage: Outage) -> None:
        outage.begin()
        await asyncio.sleep(LEASE_S)
        outage.end()
        await asyncio.sleep(OTHERS_RENEW_S / 2)
        outage.begin()
        await asyncio.sleep(0.1)
        outage.end()
        assert outage.left_s() == pytest.approx(OTHERS_RENEW_S)

    lived(story)


def test_an_outage_that_several_notice_is_one() -> None:
    """Its beginning counts from the first, and its end is told once."""

    async def story(outage: Outage) -> None:
        outage.begin()
        await asyncio.sleep(LEASE_S)
        outage.begin()
        outage.end()
        await asyncio.sleep(OTHERS_RENEW_S / 2)
        outage.end()
        assert outage.left_s() == pytest.approx(OTHERS_RENEW_S / 2)

    lived(story)
