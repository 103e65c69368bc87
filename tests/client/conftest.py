"""A runner of the test's own.

| fixture | gives |
| --- | --- |
| `make_runner` | `make_runner(task, …, url=…, **worker settings)`: a Runner that knows these tasks |
| `burst` | `await burst(runner)`: a worker in this loop until the queues are empty |
"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from runner import Runner, Settings
from runner.engine.worker import Worker
from runner.settings.model import RedisGroup, WorkerGroup
from runner.tasks import Task
from runner.worker_parameters import worker_parameters


@pytest.fixture
def make_runner(redis_url: str) -> Callable[..., Runner]:
    def make(
        *tasks: Task[..., Any], url: str = redis_url, redis: dict[str, Any] | None = None, **worker: Any
    ) -> Runner:
        settings = Settings(
            redis=RedisGroup(url=url, **(redis or {})), tasks=(), worker=WorkerGroup(grace=0.5, **worker)
        )
        return Runner(settings, tasks=tasks)

    return make


@pytest.fixture
def burst() -> Callable[[Runner], Awaitable[Worker]]:
    async def run(runner: Runner) -> Worker:
        parameters = worker_parameters(runner, runner.server_url())
        worker = Worker(**parameters, burst=True, handle_signals=False)
        try:
            await worker.main()
        finally:
            await worker.close()
        return worker

    return run
