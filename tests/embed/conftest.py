"""The examples of docs/examples, in processes of their own on sockets of their own.

| fixture | gives |
| --- | --- |
| `example` | `example("fastapi_app")`: the module, imported as a user's, on the test's database |
| `serve` | `await serve(program, …)`: a served app (`Served`); killed at the end if it still runs |
"""

import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs/examples"

SLOWLY = """
import asyncio

class Slowly:
    async def __call__(self, attempt, call_next):
        await asyncio.sleep(0.03)
        return await call_next(attempt)
"""


@dataclass(slots=True)
class Served:
    """An app in a process of its own."""

    process: "subprocess.Popen[bytes]"
    socket: str

    def client(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=self.socket)
        return httpx.AsyncClient(transport=transport, base_url="http://app", timeout=20)


@pytest.fixture
def environment(redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Of a process that runs examples: every job takes 30 ms, so that some always wait and run."""
    (tmp_path / "slowly.py").write_text(SLOWLY)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    paths = os.pathsep.join(map(str, (ROOT, EXAMPLES, tmp_path)))
    given = {"RUNNER_REDIS__URL": redis_url, "RUNNER_WORKER__MAX_JOBS": "10", "RUNNER_TASKS": "[]"}
    return {**kept, **given, "PYTHONPATH": paths, "RUNNER_MIDDLEWARE": '["slowly.Slowly"]'}


@pytest.fixture
def serve(environment: dict[str, str], tmp_path: Path, wait_until: Any) -> Iterator[Callable[..., Any]]:
    running: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="runner-app-", dir="/tmp") as folder:

        async def start(*program: str) -> Served:
            socket = f"{folder}/{len(running)}"
            command = [sys.executable, *(part.replace("SOCKET", socket) for part in program)]
            with (tmp_path / "app.log").open("ab") as log:
                process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
            running.append(process)
            served = Served(process, socket)

            async def is_ready() -> bool:
                assert process.poll() is None, (tmp_path / "app.log").read_text()
                if not Path(socket).exists():
                    return False
                async with served.client() as http:
                    return (await http.get("/internal/readyz")).status_code == 200

            await wait_until(is_ready, f"{program} is ready")
            return served

        yield start
        for process in running:
            process.kill()
            process.wait()


@pytest.fixture
def example(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], ModuleType]:
    monkeypatch.setenv("RUNNER_REDIS__URL", redis_url)
    monkeypatch.setenv("RUNNER_TASKS", "[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def read(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, name, raising=False)
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, name)  # the next test reads it on its own database
        return module

    return read
