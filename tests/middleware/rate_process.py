"""A worker process for the tests of rates: ``rate_process.py URL RECEIVER_SOCKET``."""

import asyncio
import socket
import sys

from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool

from runner import Context, RateLimit, task
from runner.engine.function import function_of
from runner.engine.options import EngineOptions
from runner.engine.worker import Worker
from runner.wire import deserialize, serialize

RECEIVER = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)


@task(rate_limit=RateLimit("receiver", "200/s", burst=20), max_tries=1, max_snoozes=0)
async def send(ctx: Context, number: int) -> None:
    RECEIVER.send(str(number).encode())


async def main(url: str) -> None:
    worker = Worker(
        [function_of(send)],
        redis_pool=ArqRedis(ConnectionPool.from_url(url)),
        max_jobs=50,
        handle_signals=False,
        engine=EngineOptions(speaks_json=True, safety_poll_s=0.2),
        job_serializer=serialize,
        job_deserializer=deserialize,
    )
    await worker.main()


if __name__ == "__main__":
    RECEIVER.connect(sys.argv[2])
    asyncio.run(main(sys.argv[1]))
