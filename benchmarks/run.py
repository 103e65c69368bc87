"""Goes through the plan: round after round, peer after peer; what one of them cannot do ends nobody's run."""

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from . import floor, growth, measures
from .book import Book
from .growth import Long
from .install import NotInstalled, install
from .measures import Sample
from .peers import Peer
from .plan import Plan
from .players import Failed, Scene
from .stage import open_stage

TRIED_JOBS = 2_000
TRIED_HOOKS = 400
LEAST_JOBS = 300
MORE_BY_A_SECOND = 1.5
"""What a second process is thought to bring, until it was seen."""
TRIES = 2
BROKEN = (Failed, OSError, ValueError, KeyError, RedisError, subprocess.SubprocessError)
"""What a peer's step may fail with: its words, its files, its answers."""

Step = tuple[str, Callable[[Scene], Sample]]


class Run:
    """One run, and the book it is written into."""

    def __init__(self, peers: Sequence[Peer], plan: Plan, work: Path, book: Book) -> None:
        self._peers = list(peers)
        self._plan = plan
        self._work = work
        self._book = book
        self._tried: dict[str, Sample] = {}
        self._failed: Counter[tuple[str, str]] = Counter()
        self._began = time.monotonic()

    def go(self, rounds: int, keep: Callable[[], Any]) -> None:
        """Install, try out, measure round after round, and then the long queues; ``keep`` is called often."""
        self._each("installing", self._install)
        self._each("trying", self._try_out)
        for number in range(1, rounds + 1):
            self._floor()
            self._each(f"round {number} of {rounds}:", self._round, keep)
        self._each("long queues:", self._growth, keep)
        self._book.about["minutes"] = round((time.monotonic() - self._began) / 60, 1)
        keep()

    def _each(self, what: str, step: Callable[[Peer], None], keep: Callable[[], Any] = lambda: None) -> None:
        for peer in list(self._peers):
            self._tell(f"{what} {peer.name}")
            step(peer)
            keep()

    def _install(self, peer: Peer) -> None:
        try:
            self._book.versions[peer.name] = install(peer, self._work)
        except NotInstalled as why:
            self._leave_out(peer, f"could not be installed: {why}")

    def _try_out(self, peer: Peer) -> None:
        """See that a peer runs at all, and about how fast: all are to be measured for about as long."""
        try:
            with self._scene(peer) as scene:
                tried = measures.drain(scene, TRIED_JOBS, 1, 0.0)
                self._tried[peer.name] = tried | measures.hooks(scene, TRIED_HOOKS, 1, 0.0)
        except BROKEN as error:
            self._leave_out(peer, f"did not run here: {error}")

    def _floor(self) -> None:
        self._tell("the same without a queue")
        with open_stage() as (stage, url):
            self._book.about["server"] = f"valkey {stage.redis.info('server')['valkey_version']}"
            self._book.note_floor(floor.commands(stage))
            self._book.note_floor(floor.requests(Scene(self._peers[0], self._work, stage, url)))

    def _round(self, peer: Peer) -> None:
        with self._scene(peer) as scene:
            for name, step in self._steps(peer):
                if self._failed[peer.name, name] < TRIES:
                    with self._guarded(peer, name):
                        self._book.note(peer.name, step(scene))

    def _steps(self, peer: Peer) -> Iterator[Step]:
        plan = self._plan
        yield "enqueue", lambda scene: measures.enqueue(scene, plan.enqueue_s)
        yield "latency", lambda scene: measures.latency(scene, plan.idle_jobs, plan.idle_s)
        for processes in (1, 2):
            yield f"drain, {processes}", self._drain(peer, processes)
            yield f"webhooks, {processes}", self._hooks(peer, processes)

    def _drain(self, peer: Peer, processes: int) -> Callable[[Scene], Sample]:
        jobs = self._jobs(peer, "drain", processes)
        return lambda scene: measures.drain(scene, jobs, processes, self._plan.warm_s)

    def _hooks(self, peer: Peer, processes: int) -> Callable[[Scene], Sample]:
        jobs = self._jobs(peer, "webhooks", processes)
        return lambda scene: measures.hooks(scene, jobs, processes, self._plan.warm_s)

    def _rate(self, peer: Peer, name: str) -> float:
        """Give the most that one process was seen to do."""
        figure = f"{name}, 1 process, jobs/s"
        return max(self._book.best(peer.name, figure), self._tried[peer.name][figure])

    def _jobs(self, peer: Peer, name: str, processes: int) -> int:
        rate = self._rate(peer, name)
        if processes > 1:
            rate = self._book.best(peer.name, f"{name}, 2 processes, jobs/s") or rate * MORE_BY_A_SECOND
        return max(LEAST_JOBS, int(rate * (self._plan.warm_s + self._plan.drain_s)))

    def _growth(self, peer: Peer) -> None:
        for jobs in self._plan.backlogs:
            if self._is_in_reach(peer, jobs):
                with self._guarded(peer, f"{jobs:,} waiting jobs"), self._scene(peer) as scene:
                    self._book.note_backlog(peer.name, self._long(growth.backlog, peer, scene, jobs), jobs)
        with self._guarded(peer, "jobs for later"), self._scene(peer) as scene:
            self._book.note_parked(peer.name, self._long(growth.parked, peer, scene, self._plan.parked))

    def _is_in_reach(self, peer: Peer, jobs: int) -> bool:
        ways = (self._book.best(peer.name, f"{name}, jobs/s") for name in measures.WAYS.values())
        if (can := max(ways) * self._plan.fill_s) >= jobs * self._plan.worth:
            return True
        told = f"about {can:,.0f} would be enqueued in {self._plan.fill_s:.0f} s"
        self._book.note_trouble(peer.name, f"{jobs:,} waiting jobs: {told}")
        return False

    def _long(self, measure: Callable[..., Long], peer: Peer, scene: Scene, jobs: int) -> Long:
        return measure(scene, jobs, self._rate(peer, "drain"), self._plan.fill_s)

    @contextlib.contextmanager
    def _scene(self, peer: Peer) -> Generator[Scene]:
        with open_stage() as (stage, url):
            yield Scene(peer, self._work, stage, url)

    @contextlib.contextmanager
    def _guarded(self, peer: Peer, name: str) -> Generator[None]:
        try:
            yield
        except BROKEN as error:
            self._failed[peer.name, name] += 1
            self._book.note_trouble(peer.name, f"{name}: {error}")
            self._tell(f"{peer.name}, {name}: {error}")

    def _leave_out(self, peer: Peer, why: str) -> None:
        self._book.missing[peer.name] = why
        self._peers.remove(peer)
        self._tell(f"WITHOUT {peer.name}: it {why}")

    def _tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", file=sys.stderr, flush=True)
