"""The server that a bench runs on: its own, with an append-only file, in a folder that goes afterwards."""

import contextlib
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis

from .. import local_server

RESULTS = "arq:*result:*"


@dataclass(frozen=True, slots=True)
class Stage:
    """A server, and a folder for what the bench writes.

    Attributes:
        folder: of this bench alone.
        url: the server's.
        redis: a blocking connection to it, for whoever watches.
    """

    folder: Path
    url: str
    redis: Any

    def clear(self) -> None:
        """Empty the server, so that each measure begins alike."""
        self.redis.flushall()

    def rest(self) -> None:
        """Wait until the server does not rewrite its file: a child then copies all it holds."""
        while self._rewrites():
            time.sleep(0.05)

    def _rewrites(self) -> bool:
        told = self.redis.info("persistence")
        return bool(told["aof_rewrite_in_progress"] or told["aof_rewrite_scheduled"])

    def cpu_s(self) -> float:
        """Give the processor time that the server has used."""
        used = self.redis.info("cpu")
        return used["used_cpu_user"] + used["used_cpu_sys"]

    def memory(self) -> int:
        """Give the bytes that the server holds."""
        return self.redis.info("memory")["used_memory"]

    def commands(self, *, seconds: float) -> int:
        """Count the commands that reach the server meanwhile; what scripts do inside it does not count."""
        ends_at, count = time.monotonic() + seconds, 0
        with self.redis.monitor() as listening:
            while listening.connection.can_read(max(0.0, ends_at - time.monotonic())):
                count += listening.next_command()["client_type"] != "lua"
        return count

    def results(self) -> int:
        """Count the results that are kept; ours have arq's names, or these and a tag."""
        return sum(1 for _ in self.redis.scan_iter(RESULTS, count=1000))


@contextlib.contextmanager
def stage(*, fsync: local_server.AppendFsync = "everysec") -> Generator[Stage]:
    """Start a server and stop it at the end.

    Args:
        fsync: when it writes its file to the disk.

    Raises:
        MissingExtra: the server's program is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="runner-bench-") as name:
        folder = Path(name)
        with (
            local_server.attach(folder / "server", appendfsync=fsync) as server,
            Redis.from_url(server.url) as redis,
        ):
            yield Stage(folder, server.url, redis)
