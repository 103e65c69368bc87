"""What the tests of our own jobs share.

| fixture | gives |
| --- | --- |
| `receivers` | the module of hostile receivers, from tests/http |
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load() -> ModuleType:
    path = Path(__file__).parents[1] / "http" / "receivers.py"
    spec = importlib.util.spec_from_file_location("hostile_receivers_for_jobs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_RECEIVERS = _load()


@pytest.fixture
def receivers() -> ModuleType:
    return _RECEIVERS
