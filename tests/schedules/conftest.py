import importlib.util
import sys
from pathlib import Path

import pytest

from runner import task

_SPEC = importlib.util.spec_from_file_location("simulation", Path(__file__).parent / "simulation.py")
simulation = importlib.util.module_from_spec(_SPEC)
sys.modules["simulation"] = simulation
_SPEC.loader.exec_module(simulation)


@pytest.fixture
def simulated(redis):
    """A server whose clock the test moves."""
    return simulation.Simulated(redis)


@pytest.fixture
def note():
    """A task that schedules name."""

    @task
    async def note(ctx, text: str = "") -> None: ...

    return note
