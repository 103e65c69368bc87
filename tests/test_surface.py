"""The public surface: its names, what importing it costs, and what a type checker makes of it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import runner

ROOT = Path(__file__).resolve().parents[1]
TYPING = ROOT / "tests/typing"


def test_every_public_name_is_there() -> None:
    """Each name of ``__all__`` can be imported from ``runner``, and is what its module calls so."""
    for name in runner.__all__:
        value = getattr(runner, name)
        assert isinstance(value, ModuleType) or value.__name__ == name


def test_the_three_lists_of_public_names_agree() -> None:
    """What type checkers see, what is imported on demand, and ``__all__`` are the same names."""
    tree = ast.parse((ROOT / "runner/__init__.py").read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(seen) == sorted(runner.__all__) == list(runner.__all__)
    assert sorted([*runner._PLACE_OF, "backoff"]) == sorted(runner.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """``hasattr``, ``from runner import …`` and type checkers rely on it."""
    with pytest.raises(AttributeError, match="module 'runner' has no attribute 'Nothing'"):
        assert runner.Nothing
    assert not hasattr(runner, "__wrapped__")


def test_importing_runner_is_cheap() -> None:
    """``import runner`` brings in nothing that takes time, and declaring tasks nothing of the server's."""
    program = """
import sys
import runner
print({"redis", "arq", "httpx", "aiohttp", "msgspec", "pydantic"} & sys.modules.keys())
from runner import Context, backoff, task
print({"redis", "arq", "httpx", "aiohttp"} & sys.modules.keys())
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\nset()\n"


def findings(folder: Path) -> dict[str, set[tuple[int, str]]]:
    """Check tests/typing in strict mode; gives (line, rule) of each finding by file."""
    settings = {"include": [str(TYPING)], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "basedpyright", "-p", str(folder), "--outputjson"]
    out = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, check=False
    )
    found: dict[str, set[tuple[int, str]]] = {path.name: set() for path in TYPING.glob("*.py")}
    for each in json.loads(out.stdout)["generalDiagnostics"]:
        line = each["range"]["start"]["line"] + 1
        found[Path(each["file"]).name].add((line, each.get("rule", each["message"])))
    return found


def test_the_surface_is_typed(tmp_path: Path) -> None:
    """api.py has no finding, and mistakes.py exactly those that its lines announce."""
    announced = {
        (number, rule)
        for number, line in enumerate((TYPING / "mistakes.py").read_text().splitlines(), 1)
        if (mistake := re.search(r"# error: (.+)$", line))
        for rule in mistake[1].split(", ")
    }
    assert len(announced) > 20
    assert findings(tmp_path) == {"api.py": set(), "mistakes.py": announced}


def test_a_source_is_parsed_although_garbage_parses_too():
    """The suite parses sources and must not fail by what its own garbage does meanwhile (gh-106905)."""

    class Parses:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            ast.parse("a.b(c)[d] + e")

    source = "x = [" + "(a + b) * c," * 2_000 + "]"
    for _ in range(20):
        garbage = [Parses() for _ in range(100)]
        del garbage
        ast.parse(source)
