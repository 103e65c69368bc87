"""Dramatiq: hiredis, one process of 8 threads a worker (its default), results kept 10 min (default)."""

import time
from collections.abc import Sequence
from typing import Any

import dramatiq
import httpx
from dramatiq.brokers.redis import RedisBroker
from dramatiq.message import Message
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from wire import URL, WAIT_S, play, ran, signed

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)
http = httpx.Client(timeout=30)


@dramatiq.actor(store_results=True)
def noop() -> int:
    ran()
    return 1


@dramatiq.actor(store_results=True)
def stamp() -> int:
    return time.monotonic_ns()


@dramatiq.actor(store_results=True)
def hook(url: str, body: str) -> int:
    data = body.encode()
    return http.post(url, content=data, headers=signed(data)).status_code


TASKS: dict[str, Any] = {"noop": noop, "stamp": stamp, "hook": hook}


class Client:
    many = None

    def open(self) -> None:
        pass

    def one(self, task: str, args: Sequence[Any], delay: float) -> Message[Any]:
        return TASKS[task].send_with_options(args=tuple(args), delay=int(delay * 1000) or None)

    def call(self, task: str) -> Any:
        return self.one(task, [], 0).get_result(block=True, timeout=WAIT_S * 1000)


if __name__ == "__main__":
    play(Client, ["dramatiq", "with_dramatiq", "--processes", "1", "--threads", "8"])
