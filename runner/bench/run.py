"""The benches by name, and how one is run: repeated, each repetition on its own, told as medians."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import NamedTuple

from ..local_server import AppendFsync
from . import (
    backlog,
    dashboard,
    effects,
    enqueue,
    innocents,
    isolation,
    latency,
    limits,
    noop,
    payments,
    schedules,
    shards,
    sleep,
    webhooks,
    workflows,
)
from .options import Options
from .report import Kind, Report, Sample, figures_of
from .stage import Stage, stage


class Bench(NamedTuple):
    """One bench, and the size at which its promises are made."""

    measure: Callable[[Stage, Options], Sample]
    figures: Mapping[str, Kind]
    jobs: int
    concurrency: int


BENCHES = {
    "noop": Bench(noop.measure, noop.FIGURES, 20_000, 100),
    "latency": Bench(latency.measure, latency.FIGURES, 300, 100),
    "sleep": Bench(sleep.measure, sleep.FIGURES, 5_000, 500),
    "webhooks": Bench(webhooks.measure, webhooks.FIGURES, 20_000, 200),
    "payments": Bench(payments.measure, payments.FIGURES, 1_000, 1_000),
    "effects": Bench(effects.measure, effects.FIGURES, 24_000, 100),
    "isolation": Bench(isolation.measure, isolation.FIGURES, 2_000, 1),
    "innocents": Bench(innocents.measure, innocents.FIGURES, 500, 100),
    "enqueue": Bench(enqueue.measure, enqueue.FIGURES, 20_000, 32),
    "limits": Bench(limits.measure, limits.FIGURES, 20_000, 100),
    "shards": Bench(shards.measure, shards.FIGURES, 20_000, 100),
    "backlog": Bench(backlog.measure, backlog.FIGURES, 1_000_000, 100),
    "workflows": Bench(workflows.measure, workflows.FIGURES, 100_000, 1),
    "dashboard": Bench(dashboard.measure, dashboard.FIGURES, 1_000_000, 1),
    "schedules": Bench(schedules.measure, schedules.FIGURES, 100_000, 1),
}


def run_bench(
    name: str,
    options: Options,
    *,
    repeat: int = 3,
    fsync: AppendFsync = "everysec",
    on_repetition: Callable[[int, Sample], None] = lambda _number, _sample: None,
) -> Report:
    """Run a bench.

    Args:
        name: of BENCHES.
        options: how much of it.
        repeat: how often; who is compared with whom takes turns, so a slow moment hits both.
        fsync: when the server writes its file to the disk.
        on_repetition: called after each.

    Raises:
        RunnerError: a count was wrong or a worker died: no speed is told of that.
        MissingExtra: the embedded server is not installed.
    """
    bench, samples = BENCHES[name], list[Sample]()
    with stage(fsync=fsync) as where:
        for number in range(1, repeat + 1):
            samples.append(bench.measure(where, options))
            on_repetition(number, samples[-1])
    told = {
        **asdict(options),
        "versus": ", ".join(options.versus) or "nobody",
        "repeat": repeat,
        "fsync": fsync,
    }
    return Report(name, told, figures_of(bench.figures, samples))
