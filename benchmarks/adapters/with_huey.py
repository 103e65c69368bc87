"""Huey: ``huey_consumer``, hiredis, 4 threads, results that are pushed (``notify_result``).

Webhooks run in greenlets, which its guide has for waiting on networks.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

if os.environ.get("BENCH_HOOKS"):
    from gevent import monkey

    monkey.patch_all()

import httpx
from huey import RedisHuey
from huey.api import Result
from wire import SLOTS, URL, WAIT_S, play, ran, signed

huey = RedisHuey("bench", url=URL, notify_result=True)
http = httpx.Client(timeout=30, limits=httpx.Limits(max_connections=SLOTS, max_keepalive_connections=SLOTS))


@huey.task()
def noop() -> int:
    ran()
    return 1


@huey.task()
def stamp() -> int:
    return time.monotonic_ns()


@huey.task()
def hook(url: str, body: str) -> int:
    data = body.encode()
    return http.post(url, content=data, headers=signed(data)).status_code


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": hook}


class Client:
    many = None

    def open(self) -> None:
        pass

    def one(self, task: str, args: Sequence[Any], delay: float) -> Result:
        return TASKS[task].schedule(tuple(args), delay=delay) if delay else TASKS[task](*args)

    def call(self, task: str) -> Any:
        return self.one(task, [], 0).get(blocking=True, timeout=WAIT_S)


if __name__ == "__main__":
    kind = (
        ["-k", "greenlet", "-w", str(SLOTS)] if os.environ.get("BENCH_HOOKS") else ["-k", "thread", "-w", "4"]
    )
    import with_huey  # a task is known by its module, which for a worker is not __main__

    play(with_huey.Client, ["huey_consumer", "with_huey.huey", "-q", *kind])
