"""The tables of docs/testing.md are those of the code; tests/docs runs its code."""

import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

from runner.testing import FAULTS, Kit

GUIDE = (Path(__file__).parents[2] / "docs/testing.md").read_text()


def test_the_tables_are_those_of_the_code():
    """Each fault with its meaning, each method of the kit."""
    assert "\n".join(f"| `{kind}` | {meaning} |" for kind, meaning in FAULTS.items()) in GUIDE
    methods = {name for name, _ in inspect.getmembers(Kit, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(re.findall(r"^\| `(?:await )?kit\.(\w+)\(", GUIDE, re.MULTILINE))


def test_pytest_finds_the_plugin_by_itself():
    """By an entry point whose name pytest does not use itself: `runner` would be passed over in silence."""
    [ours] = [each for each in entry_points(group="pytest11") if each.value == "runner.pytest_plugin"]
    assert ours.name == "arq-runner"
