"""The README's example runs as two processes, as its reader starts it, and its map leads somewhere."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks_of

README = PAGES[0].read_text()
[EXAMPLE] = [block for block in blocks_of(PAGES[0]) if block.module == "shop"]


@pytest.fixture
def project(tmp_path, redis_url) -> tuple[Path, dict[str, str]]:
    """A folder with the README's shop.py, and the environment of its two terminals."""
    (tmp_path / "shop.py").write_text(EXAMPLE.text)
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
    assert len([line for line in EXAMPLE.text.splitlines() if line.strip()]) <= 25


def test_every_path_of_the_readme_is_there():
    """The map, the links and the test files of arq's table lead somewhere."""
    paths = re.findall(r"`([\w./]+/[\w./]*)`", README) + re.findall(r"\]\((?!https?:)([^)#]+)", README)
    places = [ROOT, ROOT / "tests", ROOT / "runner"]
    named = {path for path in paths if not path.startswith(".")}
    assert len(named) > 25
    assert sorted(path for path in named if not any((each / path).exists() for each in places)) == []
