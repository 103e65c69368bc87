"""The server under the load: alone at a port, on a small disk, under a clock of its own, guarded, or many."""

import asyncio
import contextlib
import functools
import os
import shutil
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from runner.testing.server import Server
from tests.servers.conftest import Cluster, Guarded, Node, Sentinel

__all__ = ["Clocked", "Cluster", "Guarded", "Node", "Sentinel", "SmallDisk", "ready"]

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
)
PACKAGED = "vendor/libfaketime/src/libfaketime.so.1"
"""Where the PyPI package `libfaketime` has it."""
DISK = "48m"


def aof_of(server: Server) -> Path:
    """Give the file that the server appends to."""
    return max((server.folder / "appendonlydir").glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


@functools.cache
def faketime() -> Path | None:
    """Find a library that does what it shall; None when none is installed."""
    package = find_spec("libfaketime")
    packaged = [Path(each) / PACKAGED for each in (package and package.submodule_search_locations) or ()]
    found = [each for each in (*map(Path, LIBRARIES), *packaged) if each.exists()]
    return next((each for each in found if _moves_time(each)), None)


def _moves_time(library: Path) -> bool:
    """Whether a process started under it has another time: one for another machine is not loaded at all."""
    names = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": "+36000s"}
    asked = subprocess.run(["date", "+%s"], env=names, capture_output=True, text=True, check=False)
    return asked.stdout.strip().isdigit() and int(asked.stdout) - _machine_s() > 30_000


class Clocked(Node):
    """A server whose clock `jump` moves; its monotonic clock goes on as before."""

    def command(self) -> list[str]:
        """Run it under libfaketime."""
        self.clock = self.folder / "clock"
        self.clock.write_text("+0")
        names = {
            "LD_PRELOAD": faketime(),
            "FAKETIME_TIMESTAMP_FILE": self.clock,
            "FAKETIME_CACHE_DURATION": 1,
            "FAKETIME_DONT_FAKE_MONOTONIC": 1,
        }
        return ["env", *(f"{name}={value}" for name, value in names.items()), *super().command()]

    async def jump(self, seconds: int) -> None:
        """Let its clock be so far from the machine's."""
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{seconds:+d}")
        fresh.rename(self.clock)
        while abs(self.ask("TIME")[0] - _machine_s() - seconds) > 2:
            await asyncio.sleep(0.02)


def _machine_s() -> int:
    return time.time_ns() // 10**9


class SmallDisk:
    """A disk of 48 MB in memory, to be filled. Needs root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)

    def fill(self) -> None:
        """Leave nothing free."""
        size = shutil.disk_usage(self.folder).free
        with (self.folder / "filler").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while size > 0:
                size -= file.write(b"x" * 65_536)

    def free(self) -> None:
        """Make room again."""
        (self.folder / "filler").unlink()

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def may_mount() -> bool:
    """Whether this process may make disks."""
    return os.geteuid() == 0 and shutil.which("mount") is not None


async def ready(condition, timeout_s: float = 30.0) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)
