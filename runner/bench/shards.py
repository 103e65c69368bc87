"""What it costs to claim over several shards: the same jobs in a queue of one and in a queue of sixteen."""

from collections.abc import Mapping

from ..app import Runner
from ..settings import RedisGroup, Settings
from ..settings.queues import QueueTable
from ..wire.keys import keys_of
from .drain import Drained, crew
from .options import Options
from .peers import NOOP, TASKS, Ours
from .report import Kind, Sample
from .stage import Stage

MANY = 16

FIGURES = {
    **{f"{name} rate": Kind("jobs/s") for name in ("one shard", "16 shards")},
    **{f"{name} worker CPU": Kind("µs/job") for name in ("one shard", "16 shards")},
    **{f"{name} server CPU": Kind("µs/job") for name in ("one shard", "16 shards")},
    "16 shards CPU / one": Kind("x", "<= 1.3, claims and all"),
}


def measure(stage: Stage, options: Options) -> Sample:
    """Drain both, one after the other."""
    one, many = _drain(stage, 1, options), _drain(stage, MANY, options)
    costs = {"16 shards CPU / one": _cpu_s(many) / _cpu_s(one)}
    return one.sample("one shard") | many.sample("16 shards") | costs


class _Sharded(Ours):
    """We, with a queue of several shards."""

    def __init__(self, shards: int) -> None:
        self.shards = shards

    def environment(self, stage: Stage, max_jobs: int) -> Mapping[str, str]:
        path = stage.folder / f"{self.shards}-shards.toml"
        path.write_text(f"[queues.default]\nshards = {self.shards}\n", encoding="utf-8")
        ours = {"RUNNER_SETTINGS": str(path), "RUNNER_REDIS__KEY_LAYOUT": "tagged"}
        return {**super().environment(stage, max_jobs), **ours}

    def runner(self, stage: Stage) -> Runner:
        redis, table = RedisGroup(url=stage.url, key_layout="tagged"), QueueTable(shards=self.shards)
        return Runner(Settings(redis=redis, tasks=TASKS, queues={"default": table}))

    def waiting(self, stage: Stage) -> int:
        shards = self.runner(stage).settings.shards.of("default")
        return sum(stage.redis.zcard(keys_of(at, "tagged").queue) for at in shards)


def _drain(stage: Stage, shards: int, options: Options) -> Drained:
    with crew(stage, _Sharded(shards), max_jobs=options.concurrency, processes=options.processes) as workers:
        workers.enqueue(NOOP, (), options.jobs)
        drained = workers.drain(count=options.jobs)
        workers.check_results(options.jobs)
        return drained


def _cpu_s(drained: Drained) -> float:
    return drained.server_cpu_s + (drained.worker_cpu_s or 0)
