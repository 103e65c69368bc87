"""Celery: hiredis, prefork with one child a worker, prefetch 128, no gossip, results kept 1 day.

Its guide: prefetch more for short tasks. Webhooks run in its gevent pool of 30, which the guide has for
waiting on networks.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import httpx
from celery import Celery
from celery.result import AsyncResult
from wire import SLOTS, URL, WAIT_S, play, ran, signed

app = Celery("with_celery", broker=URL, backend=URL)
app.conf.update(
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    worker_prefetch_multiplier=1 if os.environ.get("BENCH_HOOKS") else 128,
    broker_connection_retry_on_startup=True,
    worker_send_task_events=False,
)
http = httpx.Client(timeout=30, limits=httpx.Limits(max_connections=SLOTS, max_keepalive_connections=SLOTS))


@app.task(name="noop")
def noop() -> int:
    ran()
    return 1


@app.task(name="stamp")
def stamp() -> int:
    return time.monotonic_ns()


@app.task(name="hook")
def hook(url: str, body: str) -> int:
    data = body.encode()
    return http.post(url, content=data, headers=signed(data)).status_code


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": hook}


class Client:
    many = None

    def open(self) -> None:
        pass

    def one(self, task: str, args: Sequence[Any], delay: float) -> AsyncResult[Any]:
        return TASKS[task].apply_async(args, countdown=delay or None)

    def call(self, task: str) -> Any:
        return self.one(task, [], 0).get(timeout=WAIT_S)


if __name__ == "__main__":
    pool = (
        ["-P", "gevent", "-c", str(SLOTS)] if os.environ.get("BENCH_HOOKS") else ["-P", "prefork", "-c", "1"]
    )
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
    play(Client, ["celery", "-A", "with_celery", "worker", "-n", f"w{os.getpid()}@%h", *pool, *quiet])
