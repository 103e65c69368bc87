"""The merchant is told of every end, once, under an id that is derived."""

import json

import pytest

from jobs.payment import process_payment, refund_payment, resolve_unknown
from jobs.payment.store import PREFIX


@pytest.fixture
async def shop(sandbox, settings_for, runner_for, redis_url, receivers):
    """A runner with a worker, and the merchant's receiver."""
    async with receivers.Receiver(receivers.answers()) as merchant:
        runner = await runner_for(settings_for(redis_url, sandbox().url, webhook_url=merchant.url))
        async with runner.worker():
            yield runner, merchant


async def run(runner, task, *args):
    return await (await runner.enqueue(task, *args)).result(30)


async def test_each_end_is_told_once(shop, wait_until, redis):
    """A success, a decline, a refund; a second job of an order tells nothing new."""
    runner, merchant = shop
    for _ in range(2):
        await run(runner, process_payment, "o-1", 1999, "EUR", "tok_visa")
    await run(runner, process_payment, "o-2", 1999, "EUR", "tok_decline_stolen_card")
    await run(runner, refund_payment, "o-1", 500, "EUR", "r-1")
    await wait_until(lambda: len(merchant.requests) == 3, "three messages")
    told = {json.loads(each.body)["type"]: json.loads(each.body) for each in merchant.requests}
    assert set(told) == {"payment.charge.succeeded", "payment.charge.declined", "payment.refund.succeeded"}
    assert told["payment.charge.succeeded"]["order_id"] == "o-1"
    assert told["payment.charge.declined"]["decline"]["class"] == "hard"
    assert {each.headers["webhook-event"] for each in merchant.requests} == set(told)
    assert len({each.headers["webhook-id"] for each in merchant.requests}) == 3
    assert await redis.hlen(f"{PREFIX}outbox") == 0


async def test_a_message_left_behind_by_a_dead_worker_is_handed_on_by_the_sweep(shop, wait_until, redis):
    """It was written together with the end it tells of; the same id makes a second telling the same one."""
    runner, merchant = shop
    await run(runner, process_payment, "o-1", 1999, "EUR", "tok_visa")
    await wait_until(lambda: merchant.requests, "the message")
    request = merchant.requests[0]
    await redis.hset(f"{PREFIX}outbox", request.headers["webhook-id"], request.body)
    await redis.hset(f"{PREFIX}outbox", "msg_left", request.body)
    assert (await run(runner, resolve_unknown))["told"] == 2
    await wait_until(lambda: len(merchant.requests) == 2, "the message that was left")
    assert [each.headers["webhook-id"] for each in merchant.requests] == [
        request.headers["webhook-id"],
        "msg_left",
    ]
    assert await redis.hlen(f"{PREFIX}outbox") == 0
