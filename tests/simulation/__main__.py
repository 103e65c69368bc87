"""``make simulate``: many seeds on all cores, or one with its trace."""

import argparse
import multiprocessing
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import FrameType

from .seeds import ITEM, told
from .simulate import Report, simulate

TOLD = 20
"""Failures that are told in full."""
NEWS_S = 30.0
"""How often a run that nobody watches on a terminal says how far it is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=50_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    return trace(seeds) if given.trace else many(seeds, given.processes)


def trace(seeds: range) -> int:
    """Show all that happens."""
    failed = 0
    for seed in seeds:
        report = simulate(seed, keeps_trace=True)
        print(f"seed {seed}", *report.trace, sep="\n")
        print(told(report) if report.wrong else f"seed {seed}: all is well")
        failed += bool(report.wrong)
    return int(failed > 0)


def some(seeds: range) -> list[Report]:
    return [_one(seed) for seed in seeds]


def _one(seed: int) -> Report:
    try:
        return simulate(seed)
    except Exception as error:
        return Report(seed, [f"the simulation broke off: {error!r}"], 0, 0, 0.0, {}, [], [])


class Tally:
    """What has been seen so far, and how far that is."""

    def __init__(self, seeds: range) -> None:
        self.seeds = seeds
        self.done = self.failed = 0
        self.sums, self.faults = Counter[str](), Counter[str]()
        self._began = self._told_at = time.monotonic()

    def add(self, report: Report) -> None:
        self.done += 1
        self.sums.update(turns=report.turns, sent=report.sent, virtual=round(report.virtual_s))
        self.faults.update(report.faults)
        if report.wrong:
            self.failed += 1
            if self.failed <= TOLD:
                print(f"\n{told(report)}", flush=True)

    def tell_progress(self) -> None:
        """A line that is written over on a terminal, and one now and then elsewhere."""
        now = time.monotonic()
        if not sys.stdout.isatty() and now - self._told_at < NEWS_S:
            return
        self._told_at, rate = now, self.done / (now - self._began)
        left_s = (len(self.seeds) - self.done) / rate
        line = f"{self.done} of {len(self.seeds)}, {self.failed} failed, {rate:.0f}/s, {left_s:.0f} s left"
        begin, end = ("\r", "  ") if sys.stdout.isatty() else ("", "\n")
        print(begin + line, end=end, flush=True)

    def sum_up(self, processes: int) -> None:
        seconds, done = time.monotonic() - self._began, self.done
        cpu_s = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        print(
            f"\n{self.sums['sent']:,} commands, {self.sums['turns']:,} turns of event loops, "
            f"{self.sums['virtual']:,} s of virtual time"
        )
        print("faults: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.faults.items())))
        last = self.seeds.start + done - 1
        print(f"seeds {self.seeds.start} to {last}: {self.failed} of {done:,} failed, in {seconds:.0f} s")
        print(f"{processes} processes, {1000 * cpu_s / max(1, done):.0f} ms of CPU a seed")
        if done and not self.failed:
            print(f"bound: fewer than 3/{done} = {3 / done:.1e} of all seeds fail, at 95 %")


def many(seeds: range, processes: int) -> int:
    """Run them in their order; who breaks off is told where to go on.

    Returns:
        0 when all is well, 1 when a seed failed, 130 when it was told to stop (Ctrl-C, SIGTERM).
    """
    tally, code = Tally(seeds), 0
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with ProcessPoolExecutor(processes, initializer=_let_the_parent_decide) as pool:
        try:
            for report in _reports(pool, seeds):
                tally.add(report)
                if tally.done % ITEM == 0:
                    tally.tell_progress()
        except KeyboardInterrupt:
            code = 130
        except BrokenProcessPool:
            print("\na process was killed: is there enough memory?", flush=True)
            code = 1
        pool.shutdown(cancel_futures=True)
    tally.sum_up(processes)
    if left := len(seeds) - tally.done:
        print(f"go on with: make simulate SEEDS={left} FROM={seeds.start + tally.done}")
    return code or int(tally.failed > 0)


def _reports(pool: ProcessPoolExecutor, seeds: range) -> Iterator[Report]:
    chunks = [seeds[at : at + ITEM] for at in range(0, len(seeds), ITEM)]
    for reports in pool.map(some, chunks):
        yield from reports


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Once; whoever presses Ctrl-C again means it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _let_the_parent_decide() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
