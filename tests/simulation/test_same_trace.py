"""A seed decides everything: what is seen once can be seen again."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.simulate import simulate

SEEDS = range(3, 7)
PROGRAM = "from tests.simulation.test_same_trace import digest; print(digest())"


def digest() -> str:
    lines = [line for seed in SEEDS for line in simulate(seed, keeps_trace=True).trace]
    assert len(lines) > 1000
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_a_seed_has_one_trace_in_every_process() -> None:
    """Neither the order of sets, nor what ran before, nor the machine's clock and name say anything in it."""
    before = digest()
    assert digest() == before
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": "1234"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == before
