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
    """Neither the order of sets, nor the machine's clock and name say anything in it.

    In fresh processes: a library that others have patched arq with here, as Sentry, draws words of its own.
    """
    assert digest() == digest()
    told = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": hashseed},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for hashseed in ("1", "1234")
    ]
    first, second = [process.communicate()[0] for process in told]
    assert first
    assert first == second
