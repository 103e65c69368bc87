"""Rules of the house that no tool checks. Each looks at every file and names those that break it."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from runner.outcome import DEAD_REASONS

ROOT = Path(__file__).resolve().parents[1]
LUA = ("runner/wire/lua", "jobs/payment/lua")

FILE_LINES = 300
FUNCTION_LINES = 40
SCRIPT_LINES = 80
LIB_LINES = 40

HEADER_LINE = re.compile(r"^-- (KEYS|ARGV|USES|FLAGS|GIVES|FAILS|COST) +(\S.*)$")
KEY = re.compile(r"^[a-z_]+ +(zset|hash|str|list|set|stream) +\S")
ARGUMENT = re.compile(r"^[a-z_]+ +(int|str|pack|rest) +\S")
EMPTY_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?|base|common|misc)(_|$)")
MACHINE = [
    re.compile(r"(?<![\w.:/}$])/(?:home|Users|root|work|opt)/[\w.-]+"),
    re.compile(r"index[-_]url|files[.]pythonhosted|pypi[.]org/simple|find[-_]links", re.IGNORECASE),
]


def files(folder: str, suffix: str) -> list[Path]:
    """The files below a folder; every rule must have had something to look at."""
    found = sorted((ROOT / folder).rglob(f"*{suffix}"))
    assert found, f"no {suffix} files in {folder}/: this rule looks at nothing"
    return found


def sources() -> list[Path]:
    return files("runner", ".py") + sorted((ROOT / "jobs").rglob("*.py"))


def scripts() -> list[Path]:
    return [path for folder in LUA for path in files(folder, ".lua") if path.parent.name != "lib"]


def libs() -> list[Path]:
    return [path for folder in LUA for path in files(f"{folder}/lib", ".lua")]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def at(path: Path, line: int | None = None) -> str:
    return f"{path.relative_to(ROOT)}:{line}" if line else str(path.relative_to(ROOT))


def lines_of(path: Path) -> int:
    return len(path.read_text().splitlines())


def header_and_body(path: Path) -> tuple[list[str], str]:
    """The comment lines that a Lua file begins with, and the rest without its comments."""
    lines = path.read_text().splitlines()
    end = next((i for i, line in enumerate(lines) if not line.startswith("--")), len(lines))
    return lines[:end], "\n".join(line.partition("--")[0] for line in lines[end:])


def declared(path: Path, word: str) -> list[str]:
    """What a script's header says under KEYS, ARGV, ...: one text a line."""
    matches = (HEADER_LINE.match(line) for line in header_and_body(path)[0])
    return [match[2] for match in matches if match and match[1] == word]


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    """At most 300 lines a file."""
    long = {at(path): n for path in sources() if (n := lines_of(path)) > FILE_LINES}
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """At most 40 lines a function, its docstring included."""
    sizes = {
        f"{at(path, f.lineno)} {f.name}": (f.end_lineno or f.lineno) - f.lineno + 1
        for path in sources()
        for f in functions(path)
    }
    assert sizes
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_no_module_is_called_what_says_nothing() -> None:
    """A module is named after what it does: no utils, helpers, managers, base."""
    assert [at(path) for path in sources() if EMPTY_NAMES.search(path.stem)] == []


def test_the_runner_imports_itself_relatively() -> None:
    """Inside runner/ an import says how far away a neighbour lives: `from ..errors import X`."""
    offenders, relative = [], 0
    for path in files("runner", ".py"):
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Import(names=names):
                    offenders += [at(path, node.lineno) for n in names if n.name.split(".")[0] == "runner"]
                case ast.ImportFrom(level=0, module=str(module)):
                    offenders += [at(path, node.lineno)] if module.split(".")[0] == "runner" else []
                case ast.ImportFrom():
                    relative += 1
                case _:
                    pass
    assert offenders == []
    assert relative


def test_every_script_declares_itself() -> None:
    """A script's header gives its name, KEYS, ARGV, GIVES, FAILS and COST, in the loader's form."""
    wrong = []
    for path in scripts():
        header, _ = header_and_body(path)
        if not header or not re.match(rf"^-- {path.stem}: \S", header[0]):
            wrong.append(f"{at(path, 1)} begins `-- {path.stem}: what it does`")
        wrong += [
            f"{at(path)} has no {word}"
            for word in ("KEYS", "ARGV", "GIVES", "FAILS", "COST")
            if not declared(path, word)
        ]
        wrong += [f"{at(path)} KEYS {line}" for line in declared(path, "KEYS") if not KEY.match(line)]
        wrong += [f"{at(path)} ARGV {line}" for line in declared(path, "ARGV") if not ARGUMENT.match(line)]
    assert wrong == []


def test_no_script_counts_its_keys() -> None:
    """Bodies use the names that the header declares; KEYS and ARGV are the loader's."""
    bodies = {path: header_and_body(path)[1] for path in scripts() + libs()}
    assert [at(path) for path, body in bodies.items() if re.search(r"\b(KEYS|ARGV)\b", body)] == []


def test_a_script_declares_no_more_than_it_uses() -> None:
    """Every key and argument that a header names stands in the body; a header that says more misleads."""
    unused = [
        f"{at(path)} {word} {line.split()[0]}"
        for path in scripts()
        for word in ("KEYS", "ARGV")
        for line in declared(path, word)
        if not re.search(rf"\b{line.split()[0]}(_n)?\b", header_and_body(path)[1])
    ]
    assert unused == []


def test_every_shared_function_is_there_and_is_used() -> None:
    """USES names files of lib/, each file of lib/ defines the function of its name, and none lies idle."""
    used = {name for path in scripts() for line in declared(path, "USES") for name in line.split()}
    assert used == {path.stem for path in libs()}
    undefined = [
        at(path)
        for path in libs()
        if not re.search(rf"^local function {path.stem}\(", path.read_text(), re.MULTILINE)
    ]
    assert undefined == []


def test_a_script_is_short() -> None:
    """At most 80 lines a script and 40 a shared function: the server does nothing else while it runs."""
    long = {at(path): n for path in scripts() if (n := lines_of(path)) > SCRIPT_LINES}
    long |= {at(path): n for path in libs() if (n := lines_of(path)) > LIB_LINES}
    assert long == {}


def test_no_file_names_a_machine() -> None:
    """No path of somebody's machine and no host of a package registry is in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    texts = {name: (ROOT / name).read_bytes() for name in listed if name and (ROOT / name).is_file()}
    assert "pyproject.toml" in texts
    found = [
        f"{name}:{number} {match[0]}"
        for name, text in texts.items()
        if b"\0" not in text
        for number, line in enumerate(text.decode().splitlines(), 1)
        for pattern in MACHINE
        if (match := pattern.search(line))
    ]
    assert found == []


def test_every_word_for_a_death_is_in_the_table() -> None:
    """`Dead("word")` takes its word from DEAD_REASONS, and each row of the table says why in words."""
    dead = [
        (at(path, node.lineno), node.args[0].value)
        for path in sources()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Dead"
        if node.args and isinstance(node.args[0], ast.Constant)
    ]
    assert [(where, word) for where, word in dead if word not in DEAD_REASONS] == []
    for word, meaning in DEAD_REASONS.items():
        assert re.fullmatch(r"[a-z_]+", word)
        assert len(meaning) > 15


def test_no_word_for_a_death_lies_idle() -> None:
    """Each row of DEAD_REASONS is a death that some module or script really gives."""
    said = "".join(path.read_text() for path in scripts() + libs())
    for path in sources():
        if path.name != "outcome.py":
            strings = (node.value for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant))
            said += "".join(f" {text!r}" for text in strings if isinstance(text, str))
    assert [word for word in DEAD_REASONS if f"'{word}'" not in said] == []


def test_every_test_is_a_rule() -> None:
    """A test carries the rule that it proves as its docstring, and none is skipped or expected to fail."""
    tests = [
        (path, f) for path in files("tests", ".py") for f in functions(path) if f.name.startswith("test_")
    ]
    assert len(tests) > 50
    assert [f"{at(path, f.lineno)} {f.name}" for path, f in tests if not ast.get_docstring(f)] == []
    marks = re.compile(r"\b(?:mark\.(?:skip|skipif|xfail)|pytest\.(?:skip|xfail|importorskip))\b")
    assert [at(path) for path in files("tests", ".py") if marks.search(path.read_text())] == []


def test_tests_are_no_package() -> None:
    """Test files are found by their path (import-mode importlib): no __init__.py among them."""
    assert [at(path) for path in files("tests", ".py") if path.name == "__init__.py"] == []
