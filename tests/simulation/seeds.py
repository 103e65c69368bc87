"""Many seeds, and what to say of one that fails."""

from collections.abc import Iterator

from .simulate import Report, simulate

IN_SUITE = 500
"""Seeds of ``make test``, from 0 on; the files ``test_seeds_*`` share them."""
FILES = 4
ITEM = 25


def items(file: int) -> list[range]:
    """Give the seeds of a file, an item each."""
    size = IN_SUITE // FILES
    return [range(first, first + ITEM) for first in range(file * size, (file + 1) * size, ITEM)]


def failing(seeds: range) -> Iterator[Report]:
    return (report for report in map(simulate, seeds) if report.wrong)


def told(report: Report) -> str:
    """Say what is wrong with a seed, and how to see it happen again."""
    lines = [f"seed {report.seed}:", *(f"  {each}" for each in report.wrong[:5])]
    return "\n".join([*lines, f"  again, with its trace: make simulate SEEDS=1 FROM={report.seed} TRACE=1"])


def check(seeds: range) -> None:
    reports = list(failing(seeds))
    assert not reports, "\n" + "\n".join(map(told, reports))
