"""A client that knows only arq enqueues to our workers, and waits for results, with our JSON serializer."""

import asyncio
import sys

from arq import create_pool
from arq.connections import RedisSettings

from runner.wire import deserialize, serialize


async def main(url: str, order: str) -> None:
    redis = RedisSettings.from_dsn(url)
    pool = await create_pool(redis, job_serializer=serialize, job_deserializer=deserialize)
    try:
        job = await pool.enqueue_job("confirm", order, _job_id=f"confirm-{order}")
        print(await job.result(timeout=10) if job else f"{order} was enqueued before")
    finally:
        await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))  # python plain_arq_client.py redis://localhost o-17
