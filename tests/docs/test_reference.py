"""The reference is built from docstrings: each public name has one of its own that is worth reading."""

import importlib
import inspect
import re
from typing import Any

import pytest
from pages import ROOT

import runner as public

MAKEFILE = (ROOT / "Makefile").read_text()
SHORT = 40
"""A line of fewer characters says no more than the name does."""


def members(kind: type) -> dict[str, Any]:
    """Give methods and properties that a class of ours has in its reference, inherited ones too."""
    ours = [each for each in kind.__mro__ if each.__module__.split(".")[0] == "runner"]
    return {
        f"{each.__name__}.{name}": value
        for each in ours
        for name, value in vars(each).items()
        if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
    }


@pytest.mark.parametrize("name", public.__all__)
def test_a_public_name_is_explained(name):
    """Its own docstring, in a sentence or more; a class's public methods and properties each have one."""
    value = getattr(public, name)
    text = value.__doc__ if inspect.isclass(value) else inspect.getdoc(value)
    assert text, name
    assert len(text.split("\n\n")[0]) >= SHORT or "\n\n" in text, f"{name}: {text}"
    if inspect.isclass(value):
        assert [each for each, member in members(value).items() if not inspect.getdoc(member)] == []


def test_the_reference_names_modules_that_there_are():
    """`make docs` does not fail over a module that was renamed."""
    named = re.search(r"^REFERENCE := (.+)$", MAKEFILE, re.MULTILINE)
    assert named is not None
    modules = named[1].split()
    assert modules[0] == "runner"
    for name in modules:
        assert importlib.import_module(name).__doc__, name
