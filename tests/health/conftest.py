"""A Runner on the test's own database, with a worker in this process that is counted from the start."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner import Runner, Settings


@pytest.fixture
def samples() -> Callable[[str], dict[str, float]]:
    def read(text: str) -> dict[str, float]:
        """Prometheus' text as ``name{label="value"}`` -> value, read by its own parser."""
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    return read


@pytest.fixture
def make_runner(redis_url: str) -> Callable[..., Runner]:
    def make(*tasks: Any, **settings: Any) -> Runner:
        given = {"redis": {"url": redis_url}, "tasks": (), "worker": {"queues": {"default": 1}, "grace": 0}}
        return Runner(Settings.model_validate({**given, **settings}), tasks=tasks)

    return make


@pytest.fixture
def measured(make_runner: Callable[..., Runner]) -> Callable[..., Any]:
    @contextlib.asynccontextmanager
    async def enter(*tasks: Any, **settings: Any) -> AsyncIterator[Runner]:
        runner = make_runner(*tasks, **settings)
        async with runner:
            runner.health.meter.start()
            async with runner.worker():
                yield runner

    return enter
