"""docs/testing.md runs as it stands, and its tables are those of the code."""

import inspect
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest

from runner.testing import FAULTS, Kit

GUIDE = (Path(__file__).parents[2] / "docs/testing.md").read_text()
SHOP, TESTS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
NAMES = re.findall(r"^async def (test_\w+)", TESTS, re.MULTILINE)


@pytest.fixture
def guide(monkeypatch):
    """The two files of the guide as modules."""
    for name, source in (("shop", SHOP), ("test_shop", TESTS)):
        monkeypatch.setitem(sys.modules, name, module := ModuleType(name))
        exec(compile(source, f"{name}.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize("name", NAMES)
async def test_each_test_of_the_guide_passes(name, guide, runner_kit):
    """Word for word, with the fixture of the plugin."""
    assert len(NAMES) == 4
    await getattr(guide, name)(runner_kit)


def test_the_tables_are_those_of_the_code():
    """Each fault with its meaning, each method of the kit."""
    assert "\n".join(f"| `{kind}` | {meaning} |" for kind, meaning in FAULTS.items()) in GUIDE
    methods = {name for name, _ in inspect.getmembers(Kit, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(re.findall(r"^\| `(?:await )?kit\.(\w+)\(", GUIDE, re.MULTILINE))


def test_pytest_finds_the_plugin_by_itself():
    """By an entry point whose name pytest does not use itself: `runner` would be passed over in silence."""
    [ours] = [each for each in entry_points(group="pytest11") if each.value == "runner.pytest_plugin"]
    assert ours.name == "arq-runner"
