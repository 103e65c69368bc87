"""Worker processes to be killed: run by `forks` as `fleet.py URL NAME LEASE_S MAX_JOBS LEDGER`.

The ledger is the tests' own word on what was executed: one line an event, appended in one write, so that it
survives any kill: `start|end <job> <attempt> <fence> <worker> <monotonic s>`.
"""

import asyncio
import os
import sys
import time
from typing import Any

from arq.connections import RedisSettings

from runner import backoff, task
from runner.engine.function import function_of
from runner.engine.worker import EngineOptions, Worker
from runner.wire import deserialize, serialize


class Ledger:
    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, event: str, ctx: Any) -> None:
        line = f"{event} {ctx.job_id} {ctx.attempt} {ctx.fence} {ctx['name']} {time.monotonic():.6f}\n"
        os.write(self.file, line.encode())


@task(max_tries=50, retry=backoff.constant(0.05))
async def work(ctx: Any, seconds: float) -> str:
    ctx["ledger"].write("start", ctx)
    await asyncio.sleep(seconds)
    ctx["ledger"].write("end", ctx)
    return ctx.job_id


@task
async def kills_its_worker(ctx: Any) -> None:
    ctx["ledger"].write("start", ctx)
    await asyncio.sleep(0.02)
    os._exit(1)


def main(url: str, name: str, lease_s: str, max_jobs: str, ledger: str, grace_s: str = "0") -> None:
    worker = Worker(
        [function_of(work), function_of(kills_its_worker)],
        redis_settings=RedisSettings.from_dsn(url),
        max_jobs=int(max_jobs),
        keep_result_forever=True,
        job_completion_wait=int(grace_s),
        engine=EngineOptions(name=name, lease_s=float(lease_s), speaks_json=True, server_timeout_s=1.0),
        job_serializer=serialize,
        job_deserializer=deserialize,
        ctx={"ledger": Ledger(ledger), "name": name},
    )
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
