"""Every crash point by every fault of the gateway, through real worker processes killed -9."""

import asyncio
import contextlib

import pytest

from jobs.payment import payment_state, process_payment
from jobs.payment.sandbox import balance

FAULTS = {
    "ok": {},
    "charge_drop": {},
    "drop": {},
    "charge_500": {},
    "conflict": {},
    "throttle": {},
    "slow": {},
    "forgets keys": {"key_ttl": 1.3},
    "ignores keys": {"honours_keys": False},
}
OPTIONS = {"forgets keys": ("--key-ttl", "0.6"), "ignores keys": ("--ignore-keys",)}
POINTS = ("before_send", "after_send", "answer_read", "before_complete", "after_complete")


@pytest.fixture(scope="module")
def gateways(tmp_path_factory, start_sandbox):
    """One sandbox for each fault, for all crash points."""
    with contextlib.ExitStack() as started:
        yield {
            fault: started.enter_context(
                start_sandbox(tmp_path_factory.mktemp("gateway"), *OPTIONS.get(fault, ()))
            )
            for fault in FAULTS
        }


@pytest.fixture
def empty_databases(server, database_numbers):
    def take() -> str:
        return f"unix://{server.socket}?db={next(database_numbers)}"

    return take


@pytest.mark.parametrize("point", POINTS)
async def test_a_payment_is_charged_once_whatever_dies_when(
    point, workers, gateways, settings_for, runner_for, empty_databases
):
    """One charge in the gateway's ledger, and our word equals it, for each fault at this crash point."""
    assert workers.CRASH_POINTS == POINTS

    async def play(fault: str) -> dict:
        gateway = gateways[fault]
        gateway.switch(queue=[fault] if " " not in fault else ["charge_drop"], slow_s=1.3)
        order = f"order-{point}"
        settings = settings_for(empty_databases(), gateway.url, **FAULTS[fault])
        runner = await runner_for(settings)
        job = await runner.enqueue(process_payment, order, 1999, "EUR", "tok_visa")
        first = workers.start_worker(settings, point)
        died = await workers.death_of(first)
        second = workers.start_worker(settings)
        try:
            result = await job.result(30)
        finally:
            second.kill()
            second.join()
        state = await payment_state(runner, order)
        book = balance(gateway.ledger)
        return {
            "died": died,
            "status": result["status"],
            "charged": book.charges[order].charged,
            "mismatches": [line for line in book.mismatches({order: state}) if line.startswith(order)],
            "intact": state["is_trail_intact"],
        }

    ended = dict(zip(FAULTS, await asyncio.gather(*map(play, FAULTS)), strict=True))
    wanted = {"died": -9, "status": "succeeded", "charged": 1, "mismatches": [], "intact": True}
    assert {fault: end for fault, end in ended.items() if end != wanted} == {}
