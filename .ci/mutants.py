"""Seeds known bugs, one at a time, into a copy of the tree, and sees that the suite catches each of them.

    .ci/mutants.py [NAME ...] [--report FILE]

The list is tests/mutants/*.toml: a bug is a text of one or more files, what it becomes, and the tests that
must fail of it, every one. First every old text must be there, and all those tests must pass on the tree as
it is. A slip of the pen does not count as caught: scripts must still compile, and an error about a name that
is not there is no failure.

Exit status: 0 when every bug was caught, 1 when one survived or an entry no longer applies (then nothing is
run), 2 when the tests fail without any bug.
"""

import argparse
import os
import platform
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests/mutants"
CONTROL = "tests/mutants/test_list.py::test_every_script_is_one_that_the_server_takes"
PYTEST = ["-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "mutants_plugin", "-rf"]
SLIP = re.compile(r"- (\w+\.)*(ResponseError|NameError|ImportError|SyntaxError|AttributeError)\b")
TEST_S, RUN_S = 30, 120
"""How long a test and a whole run may take: a bug that makes them hang is caught as well."""
COPIES = 1 + (os.cpu_count() or 1)
"""At once: one more than cores, as some bugs let a test wait for all its time, which costs no core."""


@dataclass(frozen=True, slots=True)
class Edit:
    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    name: str
    bug: str
    edits: tuple[Edit, ...]
    caught_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    word: str
    seconds: float
    failed: int = 0
    told: str = ""


def read_list() -> list[Mutant]:
    return [
        Mutant(each["name"], each["bug"], tuple(Edit(**e) for e in each["edit"]), tuple(each["caught_by"]))
        for path in sorted(LIST.glob("*.toml"))
        for each in tomllib.loads(path.read_text())["mutant"]
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these of tests/mutants")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the table as Markdown")
    options = parser.parse_args()
    mutants = [each for each in read_list() if not options.names or each.name in options.names]
    if unknown := set(options.names) - {each.name for each in mutants}:
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}; the names are in {LIST.name}/*.toml")
    if stale := [line for each in mutants for line in why_not_applied(each)]:
        print("these entries no longer apply; mend or drop them:", *stale, sep="\n")
        return 1
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arq-runner-mutants-") as folder:
        copies = [copy_tree(Path(folder) / str(number)) for number in range(COPIES)]
        if not passes_unharmed(copies, mutants):
            return 2
        verdicts = judge_all(copies, mutants)
    caught = sum(each.word == "caught" for each in verdicts)
    seconds = time.monotonic() - began
    took = f"in {seconds:.0f} s, {sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]):.0f} s of CPU"
    print(f"\n{caught} of {len(verdicts)} seeded bugs caught, {took}")
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report(verdicts, took))
    return 0 if caught == len(verdicts) else 1


def copy_tree(target: Path) -> Path:
    """Copy what git knows or would take: no caches, no environment."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def why_not_applied(mutant: Mutant) -> list[str]:
    """Say which old texts of an entry do not stand in the tree, exactly once, each in turn."""
    texts, wrong = read(ROOT, mutant), []
    for edit in mutant.edits:
        if (times := texts[edit.file].count(edit.old)) != 1:
            wrong.append(f"{mutant.name}: this stands {times} times in {edit.file}:\n{edit.old}")
        texts[edit.file] = texts[edit.file].replace(edit.old, edit.new)
    return wrong


def read(tree: Path, mutant: Mutant) -> dict[str, str]:
    """Give the files of an entry; one that is gone has no text."""
    files = {edit.file: tree / edit.file for edit in mutant.edits}
    return {name: path.read_text() if path.is_file() else "" for name, path in files.items()}


def passes_unharmed(copies: list[Path], mutants: list[Mutant]) -> bool:
    """See that all tests pass without any bug, shared out over the copies: else a failure says nothing."""
    tests = sorted({test for each in mutants for test in each.caught_by})
    parts = [[CONTROL, *tests[n :: len(copies)]] for n in range(len(copies))]
    began = time.monotonic()
    with ThreadPoolExecutor(len(copies)) as threads:
        runs = list(threads.map(lambda pair: run_tests(*pair, limit_s=600), zip(copies, parts, strict=True)))
    if all(code == 0 for code, _ in runs):
        print(f"{len(tests)} tests pass without a bug, in {time.monotonic() - began:.0f} s\n")
        return True
    print("the tests do not pass without a bug:", *(told for code, told in runs if code), sep="\n")
    return False


def judge_all(copies: list[Path], mutants: list[Mutant]) -> list[Verdict]:
    """Give each bug to a copy that is free; tell of each as soon as it is known."""
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)
    lock, width = threading.Lock(), max(len(each.name) for each in mutants)

    def judge_one(mutant: Mutant) -> Verdict:
        copy = free.get()
        try:
            verdict = judge(copy, mutant)
        finally:
            free.put(copy)
        with lock:
            line = f"{verdict.word:<9} {mutant.name:<{width}} {verdict.seconds:5.1f} s  {mutant.bug}"
            print(line, *filter(None, [verdict.told]), sep="\n", flush=True)
        return verdict

    with ThreadPoolExecutor(len(copies)) as threads:
        return list(threads.map(judge_one, mutants))


def judge(copy: Path, mutant: Mutant) -> Verdict:
    """Seed one bug, run its tests, and take it out again."""
    originals = read(copy, mutant)
    texts = dict(originals)
    for edit in mutant.edits:
        texts[edit.file] = texts[edit.file].replace(edit.old, edit.new)
    control = [CONTROL] if any(name.endswith(".lua") for name in texts) else []
    began = time.monotonic()
    try:
        write(copy, texts)
        code, told = run_tests(copy, [*control, *mutant.caught_by], limit_s=RUN_S)
    finally:
        write(copy, originals)
    seconds = time.monotonic() - began
    failed = [line for line in re.findall(r"^FAILED (.*)", told, re.MULTILINE) if not SLIP.search(line)]
    if code != 1 or any(line.startswith(CONTROL) for line in failed):
        word = "SURVIVED" if code == 0 else "broken"
        return Verdict(mutant, word, seconds, told="" if code == 0 else told)
    passed = [test for test in mutant.caught_by if not any(line.startswith(test) for line in failed)]
    if passed:
        return Verdict(mutant, "SURVIVED", seconds, told="  these pass: " + ", ".join(passed))
    return Verdict(mutant, "caught", seconds, len(failed))


def write(copy: Path, texts: dict[str, str]) -> None:
    """Write files, and forget what was compiled of them: Python tells versions apart by whole seconds."""
    for name, text in texts.items():
        path = copy / name
        path.write_text(text)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*"):
            compiled.unlink()


def run_tests(copy: Path, tests: list[str], *, limit_s: float) -> tuple[int, str]:
    paths = os.pathsep.join([str(copy), str(copy / ".ci")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, *PYTEST, f"--timeout={TEST_S}", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 3, f"not done after {limit_s} s"
    return done.returncode, done.stdout + done.stderr


def report(verdicts: list[Verdict], took: str) -> str:
    caught = sum(each.word == "caught" for each in verdicts)
    lines = [
        "# Seeded bugs",
        "",
        "Written by `make mutants`: each of these bugs was put into a copy of the tree, alone, and each of",
        "the tests beside it failed. Why each bug is there stands in [tests/mutants](../../tests/mutants).",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores: "
        f"**{caught} of {len(verdicts)} caught**, {took}.",
        "",
        "| bug | is | caught by | s |",
        "| --- | --- | --- | ---: |",
    ]
    lines += [
        f"| {each.mutant.bug} | {each.word} | {shown(each.mutant.caught_by)} | {each.seconds:.1f} |"
        for each in verdicts
    ]
    return "\n".join(lines) + "\n"


def shown(tests: tuple[str, ...]) -> str:
    """Name tests for people: each linked to its file, and by its name alone."""
    return "<br>".join(
        f"[{test.partition('::')[2] or Path(test).name}](../../{test.partition('::')[0]})" for test in tests
    )


if __name__ == "__main__":
    sys.exit(main())
