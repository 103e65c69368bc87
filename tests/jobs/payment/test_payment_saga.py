"""reserve, charge, ship: money and stock agree, whatever fails and whoever is killed."""

import asyncio
import importlib

from jobs.payment import payment_state, reconcile_payments, require_payment, undo_payment
from jobs.payment.sandbox import balance
from runner import saga, step

KINDS = ("", "declined", "soldout", "stuck")
ORDERS = [f"o-{number}-{KINDS[number % 4]}" for number in range(24)]
KILLS = 3


def order_saga(stock, order):
    card = "tok_decline_stolen_card" if order.endswith("declined") else "tok_visa"
    return saga(
        step(stock.reserve.call(order), undo=stock.release),
        step(require_payment.call(order, 1999, "EUR", card), undo=undo_payment),
        step(stock.ship.call(order)),
    )


async def test_money_and_stock_agree_in_every_end_state(
    workers, sandbox, settings_for, runner_for, redis_url, redis, monkeypatch
):
    """Three workers killed, a quarter of the answers faulty: all of an order happens, or nothing."""
    for place, value in (("runner.wire.workflows.LEASE_MS", 1_000), ("runner.engine.nodes.LOOK_S", 0.5)):
        monkeypatch.setattr(place, value)  # as stock.py has it in the workers
    stock = importlib.import_module("stock")
    gateway = sandbox("--share", "0.25", "--mix", "charge_drop", "drop", "charge_500", "truncated")
    settings = settings_for(redis_url, gateway.url)
    settings["tasks"] += ["stock"]
    runner = await runner_for(settings)
    await runner.enqueue(reconcile_payments)
    hands = [workers.start_worker(settings) for _ in range(2)]
    try:
        flows = {order: await runner.start(order_saga(stock, order), id=order) for order in ORDERS}
        for kill in range(1, KILLS + 1):
            while len(balance(gateway.ledger).charges) < kill * len(ORDERS) // 8:
                await asyncio.sleep(0.01)
            hands[0].kill()
            hands[0].join()
            hands = [hands[1], workers.start_worker(settings)]
        ends = {order: await end_of(flow) for order, flow in flows.items()}
    finally:
        for hand in hands:
            hand.kill()
            hand.join()
    book, pieces = balance(gateway.ledger), await redis.hgetall(stock.STOCK)
    for order, end in ends.items():
        money, piece = book.charges.get(order), pieces.get(order.encode())
        kept = 0 if money is None else money.captured_minor - money.refunded_minor
        assert (end, kept, piece) in (("succeeded", 1999, b"shipped"), ("undone", 0, b"released")), order
        assert (end == "succeeded") == order.endswith("-"), order
    assert book.charged_twice == []
    states = {order: await payment_state(runner, order) for order in ORDERS}
    assert book.mismatches({order: state for order, state in states.items() if state is not None}) == []


async def end_of(flow) -> str:
    while (state := (await flow.info()).state) == "running":
        await asyncio.sleep(0.02)
    return state
