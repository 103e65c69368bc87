"""The part of arq_suite.py that runs inside pytest, before arq's conftest is imported."""

import importlib
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import arq
import arq.worker
import pytest

PROGRESS = Path(os.environ["ARQ_SUITE_PROGRESS"])
STOCK = "arq.worker:Worker"

# Tests that pin a behaviour of arq which we do not keep: the test's id, and why. Each must fail: one that
# passes is no longer a difference and has to leave the table.
DIFFERENT: dict[str, str] = {}


class LocalServer(nullcontext["LocalServer"]):
    """Stands in for testcontainers' container; the server itself is started and ended by arq_suite.py."""

    port = int(os.environ["ARQ_SUITE_PORT"])

    def __init__(self, _image: str) -> None:
        super().__init__(self)

    def get_container_host_ip(self) -> str:
        return "127.0.0.1"

    def get_exposed_port(self, port: int) -> int:
        return port


def stand_in_for_testcontainers() -> None:
    module = ModuleType("testcontainers.redis")
    module.RedisContainer = LocalServer
    sys.modules |= {"testcontainers": ModuleType("testcontainers"), "testcontainers.redis": module}


def bind_worker() -> type:
    module, _, name = os.environ["ARQ_SUITE_WORKER"].partition(":")
    worker = getattr(importlib.import_module(module), name)
    arq.worker.Worker = arq.Worker = worker
    return worker


stand_in_for_testcontainers()
WORKER = bind_worker()


def pytest_report_header() -> str:
    return f"arq {arq.VERSION} with {WORKER.__module__}.{WORKER.__qualname__}"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down a failure as it happens: a run that hangs has no summary."""
    if report.failed:
        with PROGRESS.open("a") as progress:
            progress.write(f"failed at {report.when}: {report.nodeid}\n")


def pytest_runtest_logstart(nodeid: str) -> None:
    """Write down what begins: the last line names the test that hung."""
    with PROGRESS.open("a") as progress:
        progress.write(f"began {nodeid}\n")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ["ARQ_SUITE_WORKER"] == STOCK:
        return
    for item in items:
        if item.nodeid in DIFFERENT:
            item.add_marker(pytest.mark.xfail(reason=DIFFERENT[item.nodeid], strict=True))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a run that would prove nothing: of another class, or with a table that names no test."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tests.") and vars(module).get("Worker", WORKER) is not WORKER:
            message = f"{name} does not use {WORKER}"
            raise pytest.UsageError(message)
    unknown = DIFFERENT.keys() - {item.nodeid for item in session.items}
    if unknown and os.environ["ARQ_SUITE_WHOLE"]:
        message = f"not among arq's tests any more, take it out of DIFFERENT: {', '.join(sorted(unknown))}"
        raise pytest.UsageError(message)
