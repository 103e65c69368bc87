"""``make simulate``: many seeds on all cores, or one with its trace."""

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator

from .seeds import ITEM, told
from .simulate import Report, simulate

TOLD = 20
"""Failures that are told in full."""


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
    return [simulate(seed) for seed in seeds]


def many(seeds: range, processes: int) -> int:
    chunks = [seeds[at : at + ITEM] for at in range(0, len(seeds), ITEM)]
    began, done, failed, sums, faults = time.monotonic(), 0, 0, Counter[str](), Counter[str]()
    with multiprocessing.Pool(processes) as pool:
        for report in _flat(pool.imap_unordered(some, chunks)):
            done += 1
            sums.update(turns=report.turns, sent=report.sent, virtual=round(report.virtual_s))
            faults.update(report.faults)
            if report.wrong:
                failed += 1
                if failed <= TOLD:
                    print(f"\n{told(report)}", flush=True)
            if done % ITEM == 0 or done == len(seeds):
                rate = done / (time.monotonic() - began)
                print(f"\r{done} of {len(seeds)} seeds, {failed} failed, {rate:.0f}/s ", end="", flush=True)
    print(
        f"\n{sums['sent']:,} commands, {sums['turns']:,} turns of event loops, "
        f"{sums['virtual']:,} s of virtual time"
    )
    print("faults: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(faults.items())))
    bound = f"fewer than 3 in {done:,} seeds fail, at 95 %" if not failed else f"{failed} seeds failed"
    print(f"{bound}; {time.monotonic() - began:.0f} s with {processes} processes")
    return int(failed > 0)


def _flat(lists: Iterator[list[Report]]) -> Iterator[Report]:
    for reports in lists:
        yield from reports


if __name__ == "__main__":
    sys.exit(main())
