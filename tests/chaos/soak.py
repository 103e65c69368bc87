"""``make soak HOURS=n``: mixed load for hours; in the middle the receiver is away, then the server.

What must stay flat is sampled: memory, tasks and open files of the workers and of this client with its
proxies, memory and keys of the server. Ends with 1 when something grows, a promise is broken, or the backlog
of the outages is not worked off.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from runner.wire.keys import keys_of

from .gauge import files_of, readings, rss_of
from .load import Size
from .opening import opened
from .slope import HOUR_S, Trend, is_flat
from .soak_balance import Balance, balance_of
from .soak_report import page, text
from .stage import Stage

A_SECOND = Size(hooks=50, payments=5, works=50, chords=2, seconds=1)
OPTIONS = ("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-min-size", "16mb")
WORKERS = 2
EVERY_S = 2.0
AWAY_SHARE, AWAY_MOST_S = 1 / 12, 600.0
"""Receiver and server are away for this share of the time each, at most ten minutes."""
DRAIN_S = 300.0
LEAST_AFTER_S = 10.0
MIB = 1 << 20
KEYS_A_PAYMENT = 3
PLACE = 16
"""Bytes that a key takes beside what MEMORY USAGE says of it: its share of the table."""

SLACK: dict[str, float] = {
    "worker memory": 4 * MIB,
    "worker tasks": 20,
    "worker files": 10,
    "client memory": 8 * MIB,
    "client tasks": 20,
    "client files": 10,
    "server memory beside payments": 4 * MIB,
    "server keys beside payments": 1000,
}
"""Growth that says nothing in a run of minutes; in one of hours 1 % an hour is more than most of it."""


@dataclass
class Soak:
    """What a soak has seen.

    Attributes:
        rows: what is measured, by name: (seconds since the beginning, value).
        spells: outages, from and to.
        trends: what became of the rows that must be flat.
        drained_s: from the load's end until the queues were empty; None when they never were.
        balance: the ledgers against what was acknowledged.
    """

    begun_at: float = field(default_factory=time.monotonic)
    rows: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    spells: list[tuple[float, float]] = field(default_factory=list)
    trends: dict[str, Trend] = field(default_factory=dict)
    drained_s: float | None = None
    balance: Balance | None = None

    @property
    def broken(self) -> list[str]:
        """What did not hold, each as a sentence."""
        found = [f"{name} grows" for name, trend in self.trends.items() if not trend.flat]
        if self.drained_s is None:
            found.append(f"the queues were not empty {DRAIN_S:.0f} s after the load")
        return found + (self.balance.broken if self.balance is not None else [])

    def add(self, name: str, value: float, at_s: float | None = None) -> None:
        moment = (time.monotonic() if at_s is None else at_s) - self.begun_at
        self.rows.setdefault(name, []).append((moment, value))

    def calm(self, name: str) -> list[tuple[float, float]]:
        """Give a row without the outages, and without as long after each: then it works off what waited."""
        upset = [(begin, end + max(LEAST_AFTER_S, end - begin)) for begin, end in self.spells]
        return [each for each in self.rows[name] if not any(begin <= each[0] <= end for begin, end in upset)]

    @contextlib.asynccontextmanager
    async def spell(self) -> AsyncIterator[None]:
        """Note an outage."""
        begin = time.monotonic() - self.begun_at
        yield
        self.spells.append((begin, time.monotonic() - self.begun_at))

    async def wait_for(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self.begun_at + at_s - time.monotonic()))


async def soak(hours: float, seed: int, folder: Path) -> Soak:
    """Run it, and judge it."""
    seconds = hours * HOUR_S
    async with opened(
        folder, A_SECOND.times(seconds), Random(seed), options=OPTIONS, workers=WORKERS, soak=True
    ) as stage:
        seen = Soak()
        sampling = asyncio.create_task(_sample(stage, seen))
        loading = asyncio.create_task(stage.load.run())
        away_s = min(AWAY_MOST_S, seconds * AWAY_SHARE)
        await seen.wait_for(seconds * 0.4)
        async with seen.spell():
            stage.to_receiver.refuse()
            await asyncio.sleep(away_s)
            await stage.to_receiver.accept()
        await seen.wait_for(seconds * 0.55)
        async with seen.spell():
            await stage.restart(dead_s=away_s)
        await loading
        seen.drained_s = await _drained_s(stage)
        sampling.cancel()
        seen.balance = await balance_of(stage)
    for each in readings(folder / "gauge"):
        for name, value in (("memory", each.rss), ("tasks", each.tasks), ("files", each.files)):
            seen.add(f"worker {name}", value, each.at_s)
        seen.add("worker loop lag, ms", each.lag_ms, each.at_s)
    seen.trends = {name: is_flat(seen.calm(name), slack=slack) for name, slack in SLACK.items()}
    return seen


async def _drained_s(stage: Stage) -> float | None:
    begun = time.monotonic()
    while time.monotonic() - begun < DRAIN_S:
        if not _backlog(stage):
            return time.monotonic() - begun
        await asyncio.sleep(0.2)
    return None


async def _sample(stage: Stage, seen: Soak) -> None:
    while True:
        seen.add("client memory", rss_of(os.getpid()))
        seen.add("client files", files_of(os.getpid()))
        seen.add("client tasks", len(asyncio.all_tasks()))
        server = stage.server
        if server is not None and server.process is not None:
            with contextlib.suppress(Exception):  # it may go away between two questions
                await asyncio.to_thread(_ask, stage, seen)
        await asyncio.sleep(EVERY_S)


def _ask(stage: Stage, seen: Soak) -> None:
    """Ask the server, straight. The records of payments are kept for weeks: what they take is told apart."""
    assert stage.server is not None
    order = stage.load.acked["payments"]
    used, keys = stage.server.ask("INFO", "memory")["used_memory"], stage.server.ask("DBSIZE")
    record = _record_size(stage)
    seen.add("server memory", used)
    seen.add("server memory beside payments", used - order * record)
    seen.add("server keys", keys)
    seen.add("server keys beside payments", keys - order * KEYS_A_PAYMENT)
    seen.add("backlog", _backlog(stage))


def _record_size(stage: Stage) -> float:
    """Give the bytes that the server keeps of a payment: of some, as it measures them, with their places."""
    assert stage.server is not None
    sizes: list[int] = []
    for key in stage.server.ask("SCAN", 0, "MATCH", "runner:{payments}:*:*", "COUNT", 500)[1]:
        sizes.append(stage.server.ask("MEMORY", "USAGE", key) + PLACE)
    return KEYS_A_PAYMENT * sum(sizes) / len(sizes) if sizes else 0.0


def _backlog(stage: Stage) -> int:
    assert stage.server is not None
    return sum(stage.server.ask("ZCARD", keys_of(name).queue) for name in ("critical", "default", "bulk"))


def main() -> int:
    """Run it and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="fractions are allowed: 0.02 is 72 s")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=Path(".runner"), help="folder of the HTML report")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir="/tmp"))
    seen = asyncio.run(soak(given.hours, given.seed, folder))
    said = text(given.hours, seen)
    given.report.mkdir(parents=True, exist_ok=True)
    (given.report / "soak.txt").write_text(said)
    (given.report / "soak.html").write_text(page(given.hours, seen))
    sys.stdout.write(f"{said}report: {given.report / 'soak.html'}\n")
    if seen.broken:
        sys.stdout.write(f"ledgers and logs are kept in {folder}\n")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return int(bool(seen.broken))


if __name__ == "__main__":
    sys.exit(main())
