"""arq-runner: ``arq runner.WorkerSettings``, hiredis, uvloop (extra ``fast``), 100 slots.

Results are kept 1 h. Webhooks are ``send_webhook``: guard, deadline, signature, breaker and all.
"""

import base64
import json
import os
import time
from collections.abc import Sequence
from typing import Any

from wire import SLOTS, URL, WAIT_S, play, ran

from jobs.webhook import send_webhook
from runner import Context, Job, Runner, Settings, task

SECRET = "whsec_" + base64.b64encode(b"a secret of the bench's, 32 byte").decode()


@task(name="noop")
async def noop(_ctx: Context) -> int:
    ran()
    return 1


@task(name="stamp")
async def stamp(_ctx: Context) -> int:
    return time.monotonic_ns()


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": send_webhook}


class Client:
    async def open(self) -> None:
        tasks = ("with_runner", "jobs.webhook")
        self.runner = Runner(Settings.model_validate({"redis": {"url": URL}, "tasks": tasks}))
        await self.runner.__aenter__()

    async def one(self, task: str, args: Sequence[Any], delay: float) -> Job[Any]:
        called = TASKS[task].using(delay=delay) if delay else TASKS[task]
        return await self.runner.enqueue(called, *args)

    async def many(self, task: str, args: Sequence[Any], count: int, delay: float) -> None:
        called = TASKS[task].using(delay=delay) if delay else TASKS[task]
        await self.runner.enqueue_many(called.call(*args) for _ in range(count))

    async def call(self, task: str) -> Any:
        return await (await self.one(task, [], 0)).result(WAIT_S)


if __name__ == "__main__":
    os.environ |= {
        "RUNNER_REDIS__URL": URL,
        "RUNNER_TASKS": json.dumps(["with_runner", "jobs.webhook"]),
        "RUNNER_WORKER__MAX_JOBS": str(SLOTS),
        "RUNNER_LOGS__LEVEL": "WARNING",
        "RUNNER_WEBHOOKS__ALLOW": "127.0.0.0/8",
        "RUNNER_WEBHOOKS__SECRETS__BENCH": SECRET,
        "RUNNER_WEBHOOKS__DEFAULT_SECRET": "bench",
    }
    play(Client, ["arq", "runner.WorkerSettings"])
