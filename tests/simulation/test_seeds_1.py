"""A quarter of the suite's seeds; see ``seeds`` and ``witness``."""

import pytest

from tests.simulation.seeds import check, items


@pytest.mark.parametrize("seeds", items(1), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_nothing_is_lost_or_doubled_whatever_fails_when(seeds: range) -> None:
    """Kills, pauses, lost and repeated calls, outages and clock jumps: see the table of ``witness``."""
    check(seeds)
