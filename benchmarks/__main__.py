"""``python -m benchmarks``: measure, tell, and write the report."""

import argparse
import signal
import sys
from pathlib import Path
from typing import Any

from .book import Book, about_here
from .peers import peers_named
from .plan import PLANS
from .report import lines, write
from .run import Run

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".runner" / "bench"
BOOK = "benchmarks.json"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--peers", default="", help="names, like 'celery,rq'; all without it")
    parser.add_argument("--scale", choices=PLANS, default="full")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is told")
    parser.add_argument("--out", type=Path, help="folder of the report; docs/proof for a full run of all")
    parser.add_argument(
        "--again", type=Path, metavar="FILE", help="write the report of a kept run, measure nothing"
    )
    given = parser.parse_args()
    if given.again:
        write(Book.load(given.again), given.out or given.again.parent)
        return
    try:
        peers = peers_named(given.peers)
    except ValueError as error:
        parser.error(str(error))
    is_whole = given.scale == "full" and not given.peers
    out = given.out or (ROOT / "docs" / "proof" if is_whole else WORK / "report")
    signal.signal(signal.SIGTERM, _end)
    book = Book(about=about_here(given.scale, given.rounds))
    Run(peers, PLANS[given.scale], WORK, book).go(given.rounds, lambda: book.save(WORK / BOOK))
    write(book, out)
    print("\n".join(lines(book)))
    print(f"\nwritten: {out / 'benchmarks.md'}", file=sys.stderr)


def _end(number: int, _: Any) -> None:
    """End in order: servers and workers must not outlive the run."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
