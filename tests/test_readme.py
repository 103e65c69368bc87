"""The README does what it says: its example runs, and what it names is there."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.settings.model import KEYS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture
def project(tmp_path, redis_url) -> tuple[Path, dict[str, str]]:
    """A folder with the README's shop.py, and the environment of its two terminals."""
    (tmp_path / "shop.py").write_text(blocks("python")[0])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    return tmp_path, {**kept, "PYTHONPATH": str(ROOT), "RUNNER_REDIS__URL": redis_url, "RUNNER_TASKS": "shop"}


@pytest.fixture
def worker(project) -> Iterator["subprocess.Popen[bytes]"]:
    folder, environment = project
    command = [sys.executable, "-m", "arq", "runner.WorkerSettings"]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    yield process
    process.terminate()
    process.wait(timeout=30)


async def test_the_example_prints_what_the_readme_says(project, worker):
    """Word for word out of the README, with the worker that it tells to start."""
    folder, environment = project
    told = re.search(r"^python shop\.py +# (.+)$", README, re.MULTILINE)
    assert told is not None
    assert "RUNNER_TASKS=shop arq runner.WorkerSettings" in README
    script = [sys.executable, "shop.py"]
    done = await asyncio.to_thread(
        subprocess.run, script, cwd=folder, env=environment, capture_output=True, text=True, timeout=40
    )
    assert (done.stdout.strip(), done.returncode) == (told[1], 0), done.stderr
    assert worker.poll() is None


def test_the_example_is_short():
    """A reader takes it in at one look."""
    assert len([line for line in blocks("python")[0].splitlines() if line.strip()]) <= 25


def test_every_path_of_the_readme_is_there():
    """The map, the links and the test files of arq's table lead somewhere."""
    paths = re.findall(r"`([\w./]+/[\w./]*)`", README) + re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    places = [ROOT, ROOT / "tests", ROOT / "runner"]
    named = {path for path in paths if not path.startswith(".")}
    assert len(named) > 25
    assert sorted(path for path in named if not any((each / path).exists() for each in places)) == []


def test_the_settings_it_names_exist():
    """Nobody looks for a setting that is called otherwise."""
    named = set(re.findall(r"`((?:redis|worker|webhooks|limits|logs)\.[a-z_]+)", README)) | {"tasks"}
    assert len(named) > 6
    assert named <= set(KEYS)


def test_the_make_targets_it_names_exist():
    """`make demo` and the rest are typed as they stand."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"make ([a-z-]+)", README)) - {"alone"}
    assert {"demo", "test"} <= named
    assert named <= targets | {"and"}
