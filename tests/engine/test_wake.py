"""What ends an idle worker's sleep: no test here could pass by polling, for nothing polls within an hour."""

import asyncio
from typing import Any

from runner import task
from runner.wire.keys import keys_of

NO_POLL = {"lease_s": 3 * 3600, "safety_poll_s": 3600}


@task
async def quick(ctx: Any) -> int:
    return 1


async def idle(worker: Any) -> bool:
    """Whether it listens and sleeps, with nothing in sight that would wake it."""
    return bool(
        worker._tracking and worker._tracking.is_on and not any(q.may_have_due for q in worker._queues)
    )


async def has_result(yard: Any, job: str) -> bool:
    return await yard.result(job) is not None


def without_a_heart(worker: Any) -> Any:
    """The beat does not look for jobs; make it so rare that it cannot help by accident either."""
    worker._serving.next_beat = asyncio.get_running_loop().time() + 3600
    return worker


async def test_a_plain_arq_clients_job_starts_without_a_poll(yard: Any, wait_until: Any) -> None:
    """The push of the changed queue is all it takes."""
    async with yard.serving(quick, options=NO_POLL) as worker:
        await wait_until(lambda: idle(without_a_heart(worker)), "the worker idles")
        for _ in range(20):
            job = (await yard.pool().enqueue_job("quick")).job_id
            await wait_until(lambda job=job: has_result(yard, job), "the job has run")
            await wait_until(lambda: idle(worker), "the worker idles again")


async def test_a_deferred_job_starts_on_the_timer(yard: Any, wait_until: Any) -> None:
    """The claim's answer says when the next job falls due; nobody looks in between."""
    async with yard.serving(quick, options=NO_POLL) as worker:
        await wait_until(lambda: idle(without_a_heart(worker)), "the worker idles")
        later, soon = await yard.put(quick, delay_ms=120), await yard.put(quick, delay_ms=40)
        await wait_until(lambda: has_result(yard, later), "the deferred job")
        assert await yard.state(soon) == "succeeded"


async def test_every_queue_of_a_worker_wakes_it(yard: Any, wait_until: Any) -> None:
    """`arq:queue` begins the other queues' keys: overlapping prefixes must not switch the pushes off."""
    options = {**NO_POLL, "queues": {"critical": 6, "default": 3, "bulk": 1}}
    async with yard.serving(quick, options=options) as worker:
        await wait_until(lambda: idle(without_a_heart(worker)), "the worker idles")
        for queue in options["queues"]:
            job = await yard.put(quick, queue=queue)
            await wait_until(lambda job=job: has_result(yard, job), f"the job of {queue}")


async def test_without_pushes_the_worker_looks_often(yard: Any, wait_until: Any) -> None:
    """A server that refuses CLIENT TRACKING costs latency, not jobs."""
    async with yard.serving(quick, options=NO_POLL) as worker:
        await wait_until(lambda: idle(worker), "the worker idles")
        await worker._tracking.close()
        worker._tracking.is_on = False
        job = await yard.put(quick)
        worker._wake.set()
        await wait_until(lambda: has_result(yard, job), "found by looking")


async def test_a_freed_slot_is_used_at_once(yard: Any, wait_until: Any) -> None:
    """arq's next job waits for the next poll; here outcome and claim travel together."""
    jobs = [await yard.put(quick) for _ in range(30)]
    async with yard.serving(quick, options=NO_POLL, max_jobs=1):
        await wait_until(lambda: has_result(yard, jobs[-1]), "thirty jobs through one slot")
    assert await yard.redis.zcard(keys_of("default").queue) == 0


async def test_a_job_on_a_tagged_layout_wakes_too(yard: Any, wait_until: Any) -> None:
    """The keys' names do not matter: the prefixes come from the same table."""
    keys = keys_of("default", "tagged")
    async with yard.serving(
        quick, options={**NO_POLL, "layout": "tagged", "queues": {"default": 1}}
    ) as worker:
        await wait_until(lambda: idle(without_a_heart(worker)), "the worker idles")
        yard.keys = keys
        from runner.wire.codec import Meta, encode_job
        from runner.wire.scripts import Entry

        await yard.scripts.enqueue(keys, [Entry("tagged", 0, 0, encode_job("quick", (), {}, 1, Meta()))])
        await wait_until(lambda: has_result(yard, "tagged"), "the job has run")
