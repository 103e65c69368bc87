"""RQ: hiredis, ``SimpleWorker``, with its scheduler on; results kept 500 s (default).

Its notes on speed have that worker for jobs of milliseconds; the default one forks for each job. One job at a
time in a process: it has no other way.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
from redis import Redis
from rq import Queue
from rq.job import Job
from wire import URL, WAIT_S, play, ran, signed

http = httpx.Client(timeout=30)


def noop() -> int:
    ran()
    return 1


def stamp() -> int:
    return time.monotonic_ns()


def hook(url: str, body: str) -> int:
    data = body.encode()
    return http.post(url, content=data, headers=signed(data)).status_code


class Client:
    def open(self) -> None:
        self.queue = Queue(connection=Redis.from_url(URL))

    def one(self, task: str, args: Sequence[Any], delay: float) -> Job:
        if delay:
            return self.queue.enqueue_in(timedelta(seconds=delay), f"with_rq.{task}", *args)
        return self.queue.enqueue(f"with_rq.{task}", *args)

    def many(self, task: str, args: Sequence[Any], count: int, delay: float) -> None:
        if delay:
            for _ in range(count):
                self.one(task, args, delay)
        else:
            calls = [Queue.prepare_data(f"with_rq.{task}", args=tuple(args)) for _ in range(count)]
            self.queue.enqueue_many(calls)

    def call(self, task: str) -> Any:
        found = self.one(task, [], 0).latest_result(timeout=WAIT_S)
        if found is None:
            raise TimeoutError("no result within 10 s")
        return found.return_value


if __name__ == "__main__":
    play(
        Client,
        ["rq", "worker", "-q", "-u", URL, "-P", ".", "-w", "rq.worker.SimpleWorker", "--with-scheduler"],
    )
