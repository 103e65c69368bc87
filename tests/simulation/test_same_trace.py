"""A seed decides everything: what is seen once can be seen again."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.simulate import simulate

SEEDS = range(3, 7)
PROGRAM = "from tests.simulation.test_same_trace import digest; print(digest())"
WITH_SENTRY = f"import sentry_sdk; sentry_sdk.init(dsn='https://key@localhost/1'); {PROGRAM}"


def digest() -> str:
    lines = [line for seed in SEEDS for line in simulate(seed, keeps_trace=True).trace]
    assert len(lines) > 1000
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_a_seed_has_one_trace_in_every_process() -> None:
    """The order of sets, the machine's clock, what ran here before, and others' draws say nothing in it.

    Sentry patches redis and arq, and draws an identity for each span: those are not the seed's words.
    """
    told = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashseed},
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for program, hashseed in ((PROGRAM, "1"), (WITH_SENTRY, "1234"))
    ]
    here = digest()
    assert digest() == here
    assert [process.communicate()[0].strip() for process in told] == [here, here]
