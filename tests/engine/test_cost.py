"""What a job must not cost, in numbers that do not depend on the machine."""

import gc

from runner.tasks import task


@task
async def nothing(ctx) -> None: ...


async def test_a_job_leaves_nothing_to_the_garbage_collector(yard):
    """No ring of references: a worker that makes one a job spends a fifth of its time collecting them."""
    await yard.drain(nothing)
    # The difference, and the least of two: what a worker leaves when it ends depends on the moment.
    assert min([await left_by(yard, 250) - await left_by(yard, 50) for _ in range(2)]) < 100


async def left_by(yard, jobs: int) -> int:
    for _ in range(jobs):
        await yard.put(nothing)
    worker = yard.worker(nothing, burst=True)
    gc.collect()
    gc.freeze()  # so that nothing counts that was there before, whenever it ends
    gc.disable()
    try:
        await worker.main()
        return gc.collect()
    finally:
        gc.enable()
        await worker.close()
        assert worker.jobs_complete == jobs
