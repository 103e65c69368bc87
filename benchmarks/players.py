"""The processes of a peer: a client that is asked, workers that are watched."""

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.bench.stage import Stage

from .peers import Peer

START_S = 30.0
LOOK_S = 0.002
LONGEST_S = 90.0
LOG_TAIL_LINES = 3


class Failed(Exception):
    """A peer did not do what it was asked, in time; the run goes on without that figure."""


@dataclass
class Scene:
    """One peer on one server.

    Attributes:
        peer: whose adapter plays.
        work: folder of the packages.
        stage: the server.
        url: how all reach it.
    """

    peer: Peer
    work: Path
    stage: Stage
    url: str
    count: Path = field(init=False)

    def __post_init__(self) -> None:
        self.count = self.stage.folder / "ran"
        self.clear()

    def clear(self) -> None:
        """Begin anew: an empty server, and no job has run."""
        self.stage.clear()
        self.count.write_bytes(b"")

    def ran(self) -> int:
        """Count the jobs that have run."""
        return self.count.stat().st_size

    def environment(self, more: dict[str, str]) -> dict[str, str]:
        """Give all variables of a process."""
        given = {"BENCH_URL": self.url, "BENCH_COUNT": str(self.count)}
        return {**os.environ, **self.peer.environment(self.work), **given, **more}


@dataclass(frozen=True, slots=True)
class Player:
    """A process and all that it started."""

    child: "subprocess.Popen[bytes]"
    log: Path

    def cpu_s(self) -> float:
        """Give the processor time of all of them, those that have ended included."""
        return sum(sum(map(int, stat[11:15])) for stat in self._stats()) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """See that it lives.

        Raises:
            Failed: it has ended; says the end of its log.
        """
        if self.child.poll() is not None:
            msg = f"a process ended by itself ({self.child.returncode}): {self.tail()}"
            raise Failed(msg)

    def tail(self) -> str:
        """Give the end of its log."""
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])

    def kill(self) -> None:
        """End it and all it started at once: what comes next begins on an emptied server."""
        for stat in self._stats():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(stat[-1]), signal.SIGKILL)
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _stats(self) -> Generator[list[str]]:
        """Give the fields behind the name of each process of the session, and its id as the last one."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(stat[3]) == self.child.pid:
                        yield [*stat, entry.name]


@contextlib.contextmanager
def started(command: list[str], scene: Scene, name: str, **more: str) -> Generator[Player]:
    """Run a program in a session of its own until the block ends."""
    path = scene.stage.folder / f"{name}.log"
    with path.open("wb") as log:
        child = subprocess.Popen(
            command,
            cwd=scene.stage.folder,
            env=scene.environment(more),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if name == "client" or name == "receiver" else log,
            stderr=log,
            start_new_session=True,
        )
    player = Player(child, path)
    try:
        yield player
    finally:
        player.kill()


def heard(player: Player, patience_s: float) -> str:
    """Wait for a line.

    Raises:
        Failed: it ended, or said nothing in time.
    """
    out = player.child.stdout
    if out is None or not select.select([out], [], [], patience_s)[0]:
        msg = f"no answer within {patience_s:.0f} s: {player.tail()}"
        raise Failed(msg)
    if not (line := out.readline()):
        player.child.wait()
        player.check()
    return line.decode()


@dataclass(frozen=True, slots=True)
class Client:
    """A client that has said it is ready."""

    player: Player

    def ask(self, *, patience_s: float = 60.0, **question: Any) -> dict[str, Any]:
        """Ask, and give the answer; one of ``{"none": why}`` means that the library does not have it."""
        if self.player.child.stdin is None:
            raise Failed("the client cannot be asked")
        self.player.child.stdin.write(json.dumps(question).encode() + b"\n")
        self.player.child.stdin.flush()
        return json.loads(heard(self.player, question.get("seconds", 0) + patience_s))


@contextlib.contextmanager
def client(scene: Scene) -> Generator[Client]:
    """Start the peer's client."""
    with started(scene.peer.command(scene.work, "client"), scene, "client") as player:
        if not json.loads(heard(player, START_S)).get("ready"):
            raise Failed("the client did not get ready")
        yield Client(player)


@contextlib.contextmanager
def workers(scene: Scene, processes: int, *, hooks: bool = False) -> Generator[list[Player]]:
    """Start so many of the peer's workers."""
    slots = scene.peer.hook_slots if hooks else scene.peer.slots
    more = {"BENCH_SLOTS": str(slots)} | ({"BENCH_HOOKS": "1"} if hooks else {})
    with contextlib.ExitStack() as stack:
        command = scene.peer.command(scene.work, "worker")
        yield [stack.enter_context(started(command, scene, f"worker-{n}", **more)) for n in range(processes)]


def watch(
    ran: Callable[[], int], players: list[Player], jobs: int, patience_s: float, look_s: float
) -> float:
    """Look until so many jobs have run; gives when that was seen.

    Raises:
        Failed: a worker ended, no job ran for so long, or all of it takes too long.
    """
    last, began = -1, time.perf_counter()
    moved = began
    while (seen := ran()) < jobs:
        now = time.perf_counter()
        if now - began > LONGEST_S:
            msg = f"{seen} of {jobs} jobs have run in {LONGEST_S:.0f} s"
            raise Failed(msg)
        if seen != last:
            last, moved = seen, now
        elif now - moved > patience_s:
            msg = f"{seen} of {jobs} jobs have run, and no more for {patience_s:.0f} s: {players[0].tail()}"
            raise Failed(msg)
        for player in players:
            player.check()
        time.sleep(look_s)
    return time.perf_counter()
