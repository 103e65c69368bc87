"""What the payment tests share.

| fixture | gives |
| --- | --- |
| `workers` | the module that forks and kills worker processes |
| `start_sandbox` | `start_sandbox(folder, *options)`: a sandbox gateway, forked; the caller stops it |
| `sandbox` | `sandbox(*options)`: a sandbox gateway of this test's own |
| `settings_for` | `settings_for(url, sandbox, **payments)`: settings, quick ones, as a dict |
| `runner_for` | `runner_for(settings)`: a connected Runner |
"""

import importlib
import sys
import time
from pathlib import Path

import pytest

from jobs.payment.sandbox import Sandbox
from runner.app import Runner
from runner.settings import Settings

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def workers():
    # By this name the forked processes find it too: they get the path of the one that asks for them.
    sys.path.insert(0, str(HERE))
    return importlib.import_module("workers")


@pytest.fixture(scope="session")
def start_sandbox(forks):
    class Forked(Sandbox):
        def stop(self) -> None:
            forks.end(self.process)

    def start(folder: Path, *options: str) -> Sandbox:
        ledger, said = folder / "ledger.jsonl", folder / "said"
        process = forks.start("jobs.payment.sandbox", "--ledger", str(ledger), *options, log=said)
        deadline = time.monotonic() + 30
        while not (said.exists() and said.read_text().endswith("\n")):
            assert process.is_alive(), said.read_text()
            assert time.monotonic() < deadline, "the sandbox does not start"
            time.sleep(0.002)
        return Forked(said.read_text().strip(), ledger, process)

    return start


@pytest.fixture
def sandbox(tmp_path, start_sandbox):
    started = []

    def start(*options: str, name: str = "gateway") -> Sandbox:
        folder = tmp_path / f"{name}{len(started)}"
        folder.mkdir()
        started.append(start_sandbox(folder, *options))
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def settings_for():
    def make(url: str, gateway: str, *, worker: dict | None = None, **payments) -> dict:
        quick = {
            "url": gateway,
            "retry": [0.05, 0.1] + [0.2] * 60,  # no test ends by their number
            "proof": 0.5,
            "timeout": 1.0,
            "durable": "server",
        }
        return {
            "redis": {"url": url},
            "tasks": ["jobs.payment", "jobs.webhook"],
            "worker": {"lease": 1, "grace": 0, "uvloop": False} | (worker or {}),
            "webhooks": {"allow": ["127.0.0.0/8"]},
            "payments": quick | payments,
            "logs": {"level": "WARNING"},
        }

    return make


@pytest.fixture
async def runner_for():
    entered = []

    async def enter(settings: dict) -> Runner:
        runner = Runner(Settings.model_validate(settings))
        entered.append(runner)
        return await runner.__aenter__()

    yield enter
    for runner in entered:
        await runner.__aexit__(None, None, None)
