"""Workers that are started and warm, held while jobs are enqueued, and let go: then the queue is watched."""

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from ..errors import RunnerError
from ..wire.keys import keys_of
from .peers import NOOP, Peer
from .process import Process, python
from .report import Sample
from .stage import Stage

LOOK_S = 0.004
PATIENCE_S = 60.0
"""How long the number of waiting jobs may stay the same before the bench gives up."""


@dataclass(frozen=True, slots=True)
class Drained:
    """What it took.

    Attributes:
        jobs: how many ended.
        seconds: from letting go until they had.
        worker_cpu_s: of all workers; None where the system does not tell.
        server_cpu_s: of the server.
        most_running: jobs held at once, as seen by looking every few milliseconds; 0 for other libraries.
    """

    jobs: int
    seconds: float
    worker_cpu_s: float | None
    server_cpu_s: float
    most_running: int

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds

    def sample(self, name: str) -> Sample:
        """Give rate and costs as figures of that name."""
        found = {
            f"{name} jobs": float(self.jobs),
            f"{name} rate": self.rate,
            f"{name} server CPU": self.server_cpu_s / self.jobs * 1e6,
        }
        if self.worker_cpu_s is not None:
            found[f"{name} worker CPU"] = self.worker_cpu_s / self.jobs * 1e6
        return found


@dataclass
class Crew:
    """The workers of one measure, held."""

    stage: Stage
    peer: Peer
    workers: Sequence[Process]
    warmed: int = field(default=0)

    def enqueue(self, task: str, args: tuple[object, ...], count: int) -> None:
        """Enqueue while the workers are held."""
        self.peer.enqueue(self.stage, task, args, count)
        if (waiting := self.peer.waiting(self.stage)) != count:
            msg = f"{self.peer.name}: enqueued {count} jobs, and {waiting} wait"
            raise RunnerError(msg)
        self.stage.rest()

    def drain(self, *, count: int, leave: int = 0) -> Drained:
        """Let the workers go until only ``leave`` of ``count`` jobs are left, and hold them again."""
        cpu, server = self._cpu_s(), self.stage.cpu_s()
        began = time.perf_counter()
        for worker in self.workers:
            worker.let_go()
        most = watch(self.stage, self.peer, self.workers, until=lambda waiting: waiting <= leave)
        seconds, left = time.perf_counter() - began, self.peer.waiting(self.stage)
        for worker in self.workers:
            worker.hold()
        cpu_after, server_after = self._cpu_s(), self.stage.cpu_s()
        used = None if cpu is None or cpu_after is None else cpu_after - cpu
        return Drained(count - left, seconds, used, server_after - server, most)

    def rss_bytes(self) -> int:
        """Give the memory of the largest worker; 0 where the system does not tell."""
        return max(worker.rss_bytes() or 0 for worker in self.workers)

    def check_results(self, count: int) -> None:
        """See that each job left a result.

        Raises:
            RunnerError: the speed was bought with lost work.
        """
        found = self.stage.results() - self.warmed
        if found != count:
            msg = f"{self.peer.name}: {count} jobs were run, and {found} results are kept"
            raise RunnerError(msg)

    def _cpu_s(self) -> float | None:
        times = [worker.cpu_s() for worker in self.workers]
        return None if None in times else sum(t for t in times if t is not None)


@contextlib.contextmanager
def crew(stage: Stage, peer: Peer, *, max_jobs: int, processes: int = 1) -> Generator[Crew]:
    """Start workers on an empty server, one after the other; each runs one job, to be warm, and is held."""
    stage.clear()
    with contextlib.ExitStack() as stack:
        workers: list[Process] = []
        for number in range(processes):
            worker = stack.enter_context(
                python(
                    peer.command(),
                    folder=stage.folder,
                    name=f"{peer.name}-{number}",
                    environment=peer.environment(stage, max_jobs),
                )
            )
            peer.enqueue(stage, NOOP, (), 1)
            watch(stage, peer, [worker], until=lambda waiting: waiting == 0)
            worker.hold()
            workers.append(worker)
        yield Crew(stage, peer, workers, warmed=processes)


def watch(stage: Stage, peer: Peer, workers: Sequence[Process], *, until: Callable[[int], bool]) -> int:
    """Look until so many jobs wait; gives the most that were seen running at once.

    Raises:
        RunnerError: a worker ended, or nothing moved for long.
    """
    running, last, moved_at, most = keys_of("default").running, -1, time.monotonic(), 0
    while not until(waiting := peer.waiting(stage)):
        most = max(most, stage.redis.hlen(running))
        if waiting != last:
            last, moved_at = waiting, time.monotonic()
        elif time.monotonic() - moved_at > PATIENCE_S:
            msg = f"{peer.name}: {waiting} jobs wait, and nothing has moved for {PATIENCE_S:.0f} s"
            raise RunnerError(msg)
        for worker in workers:
            worker.check()
        time.sleep(LOOK_S)
    return most
