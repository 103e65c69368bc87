"""``make chaos`` and ``make chaos-short``: ``python -m tests.chaos [--short] [--only NAME…] [--list]``.

Ends with 1 when a promise was broken. What is no promise (the last moments of a dead master whose replica is
promoted) is counted and printed.
"""

import argparse
import asyncio
import contextlib
import sys
import time
from pathlib import Path

from .catalogue import SCENARIOS
from .figures import Counts
from .report import Played, page, text
from .scenario import Outcome, Scenario, perform

LIMIT_S = 600.0


def main() -> int:
    """Play what is asked for; 1 when a promise was broken, 2 when a scenario does not exist."""
    given = _given()
    if given.list:
        for each in SCENARIOS:
            print(f"{each.name:20} {'short ' if each.short else '      '} {each.tells}")
        return 0
    wanted = [each for each in SCENARIOS if _is_wanted(each, given)]
    if unknown := set(given.only) - {each.name for each in SCENARIOS}:
        print(f"no such scenario: {', '.join(sorted(unknown))}; --list names them", file=sys.stderr)
        return 2
    counts, played = Counts(given.counts), []
    begun = time.monotonic()
    for scenario in wanted:
        if why := scenario.needs():
            print(f"NOT RUN  {scenario.name}: {why}", flush=True)
            played.append(Played(scenario, None, why))
            continue
        print(f"{scenario.name}: {scenario.tells} ...", flush=True)
        played.append(Played(scenario, _play(scenario, given.seed, short=given.short), ""))
        counts.add(scenario.name, played[-1].outcome)
        print(text([played[-1]]), flush=True)
    print(text(played, counts, seconds=time.monotonic() - begun))
    if given.report is not None:
        given.report.mkdir(parents=True, exist_ok=True)
        run = "short" if given.short else "full"
        (given.report / "chaos.html").write_text(page(played, counts, run, given.seed))
        (given.report / "chaos.txt").write_text(text(played, counts) + "\n")
        print(f"report: {given.report / 'chaos.html'}; counts: {given.counts}")
    return int(any(each.is_broken for each in played))


def _play(scenario: Scenario, seed: int, *, short: bool) -> Outcome:
    """Play it on an event loop of its own: the proxies want the fast one."""
    factory = None
    with contextlib.suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as loop:
        return loop.run(_limited(scenario, seed, short))


async def _limited(scenario: Scenario, seed: int, short: bool) -> Outcome:
    """A scenario that does not come to its end has broken a promise too."""
    try:
        async with asyncio.timeout(LIMIT_S + scenario.size.seconds):
            return await perform(scenario, seed, short=short)
    except TimeoutError as error:
        return Outcome(broken=[f"it did not come to its end: {error or 'time is over'}"])


def _is_wanted(scenario: Scenario, given: argparse.Namespace) -> bool:
    if given.only:
        return scenario.name in given.only
    return scenario.short is not None or not given.short


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the scenarios of at most 3 minutes in all")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="only these scenarios")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--seed", type=int, default=1, help="draws moments, victims and faults")
    parser.add_argument("--counts", type=Path, default=Path(".runner/chaos.json"), help="sums over all runs")
    parser.add_argument("--report", type=Path, default=Path(".runner"), help="folder of the HTML report")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
