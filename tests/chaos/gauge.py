"""What a worker process takes: a line a second with memory, open files, asyncio tasks and the loop's lag."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 1.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Reading:
    """One line: `at_s` is of the monotonic clock, `lag_ms` what a sleep of a second overslept."""

    worker: int
    at_s: float
    rss: int
    files: int
    tasks: int
    lag_ms: float


def measure(path: Path) -> None:
    """Let the next event loop of this process write a reading each second."""
    run = asyncio.run

    def run_measured(main, **options):  # the one place that wraps a loop: the product has no seam for it
        async def both():
            writing = asyncio.create_task(_write(path))
            try:
                return await main
            finally:
                writing.cancel()

        return run(both(), **options)

    asyncio.run = run_measured


async def _write(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        before = time.monotonic()
        await asyncio.sleep(EVERY_S)
        now = time.monotonic()
        lag_ms = (now - before - EVERY_S) * 1000
        tasks = len(asyncio.all_tasks())
        line = f"{os.getpid()} {now:.2f} {rss_of(os.getpid())} {files_of(os.getpid())} {tasks} {lag_ms:.1f}\n"
        os.write(file, line.encode())


def rss_of(pid: int) -> int:
    """Give the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def files_of(pid: int) -> int:
    """Give how many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def readings(path: Path) -> list[Reading]:
    """Read all lines."""
    if not path.exists():
        return []
    found: list[Reading] = []
    for line in path.read_text().splitlines():
        pid, at_s, rss, files, tasks, lag_ms = line.split()
        found.append(Reading(int(pid), float(at_s), int(rss), int(files), int(tasks), float(lag_ms)))
    return found
