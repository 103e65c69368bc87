"""Whether a long queue is slow because of the server's allocator: ``python -m benchmarks.allocator LIBRARY``.

The embedded server is built on the C library's ``malloc``; servers from packages mostly have jemalloc inside.
Here our worker drains a short and a long queue on the embedded one as it is, and with LIBRARY (as Debian's
``libjemalloc.so.2``) loaded before it, in turns.
"""

import contextlib
import shlex
import statistics
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from unittest import mock

from runner import local_server
from runner.local_place import server_binary

from .growth import backlog
from .peers import OURS, PEERS
from .players import Scene
from .plots import number
from .stage import open_stage

SHORT, LONG, ROUNDS, RATE, FILL_S = 10_000, 1_000_000, 3, 15_000.0, 90.0


@contextlib.contextmanager
def preloaded(library: str) -> Generator[None]:
    """Start servers with a library loaded before all others; as they are when it is empty."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "server"
        words = f"LD_PRELOAD={shlex.quote(library)} exec {shlex.quote(str(server_binary()))}"
        program.write_text(f'#!/bin/sh\n{words} "$@"\n')
        program.chmod(0o700)
        with mock.patch.object(local_server, "server_binary", return_value=program):
            yield


def main(library: str) -> None:
    """Measure and print a table."""
    names = {"": "as it is", library: Path(library).name}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for loaded in names:
            for jobs in (SHORT, LONG):
                with preloaded(loaded), open_stage() as (stage, url):
                    looks = backlog(Scene(PEERS[OURS], Path(), stage, url), jobs, RATE, FILL_S).looks
                seen = [(look["drain, jobs/s"], look["drain, server CPU"]) for look in looks]
                found.setdefault((loaded, jobs), []).extend(seen)
    print(f"| allocator | {SHORT:,} waiting | {LONG:,} waiting | ratio | server CPU |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for loaded, name in names.items():
        (short, cheap), (long, dear) = (
            [statistics.median(column) for column in zip(*found[loaded, jobs], strict=True)]
            for jobs in (SHORT, LONG)
        )
        cells = f"{number(short)}/s | {number(long)}/s | {long / short:.2f} | {cheap:.1f} → {dear:.1f} µs/job"
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main(sys.argv[1])
