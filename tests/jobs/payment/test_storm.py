"""A thousand payments while workers and the server are killed and held."""

import asyncio
import os
import random
import signal

import pytest

from jobs.payment import payment_state, process_payment, reconcile_payments
from jobs.payment.sandbox import balance

PAYMENTS = 1000
WORKERS = 4
KILLS = 10
HOLDS = 2
LEASE_S = 1.0


class Crew:
    """Four workers; whoever is killed is replaced."""

    def __init__(self, workers, settings: dict) -> None:
        self._start = lambda: workers.start_worker(settings)
        self.hands = [self._start() for _ in range(WORKERS)]

    def kill(self, number: int) -> None:
        self.hands[number].kill()
        self.hands[number].join()
        self.hands[number] = self._start()

    async def hold(self, number: int, seconds: float) -> None:
        os.kill(self.hands[number].pid, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        os.kill(self.hands[number].pid, signal.SIGCONT)

    def end(self) -> None:
        for hand in self.hands:
            hand.kill()
            hand.join()


@pytest.mark.timeout(120)
async def test_no_payment_is_lost_doubled_or_misreported_in_a_storm(
    workers, sandbox, settings_for, runner_for, restartable_server
):
    """10 workers killed, 2 held beyond their lease, the server killed once, a fifth of the answers faulty."""
    mix = ("charge_drop", "drop", "charge_500", "conflict", "throttle", "slow", "truncated")
    gateway = sandbox("--latency", "0.05", "--share", "0.2", "--mix", *mix)
    gateway.switch(slow_s=1.2, retry_after_s=0)
    settings = settings_for(restartable_server.url, gateway.url, worker={"lease": LEASE_S, "max_jobs": 25})
    runner = await runner_for(settings)
    rng = random.Random(7)
    orders = [f"order-{number}" for number in range(PAYMENTS)]
    amounts = {order: rng.randint(1, 100_000) for order in orders}
    await runner.enqueue(reconcile_payments)
    calls = (process_payment.call(order, amounts[order], "EUR", "tok_visa") for order in orders)
    assert (await runner.enqueue_many(calls)).created == PAYMENTS
    crew = Crew(workers, settings)
    try:
        await upset(crew, restartable_server, gateway, rng)
        states = await settled(runner, orders)
    finally:
        crew.end()
    book = balance(gateway.ledger)
    assert book.charged_twice == []
    assert book.mismatches(states) == []
    assert {state["status"] for state in states.values()} == {"succeeded"}
    assert {order: charge.amount_minor for order, charge in book.charges.items()} == amounts
    assert all(state["is_trail_intact"] for state in states.values())


async def upset(crew, server, gateway, rng) -> None:
    """Kill and hold while work is under way, at moments that the gateway's ledger sets, not a clock."""
    blows = ["kill"] * KILLS + ["hold"] * HOLDS + ["server"]
    rng.shuffle(blows)
    holding = []
    for number, blow in enumerate(blows, 1):
        while len(balance(gateway.ledger).charges) < PAYMENTS * 0.8 * number / len(blows):
            await asyncio.sleep(0.02)
        victim = rng.randrange(WORKERS)
        if blow == "kill":
            crew.kill(victim)
        elif blow == "hold":
            holding.append(asyncio.create_task(crew.hold(victim, 2.5 * LEASE_S)))
        else:
            await asyncio.to_thread(server.kill9)
            await asyncio.to_thread(server.start)
    await asyncio.gather(*holding)


async def settled(runner, orders) -> dict:
    """Wait until every payment has come to its end, and give what we say of each."""
    waiting, states = set(orders), {}
    while waiting:
        for order in sorted(waiting):
            state = states[order] = await payment_state(runner, order)
            if state is not None and state["status"] not in ("in_progress", "pending"):
                waiting.discard(order)
        await asyncio.sleep(0.05)
    return states
