"""Run the tests of the scripts on a real cluster: no script may touch keys of two slots.

Three nodes of the embedded server's binary, empty before each test; of tests that run in both layouts, those
in layout tagged. What a whole runner does on a cluster is in tests/servers, and part of the suite.
"""

import importlib.util
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.cluster import RedisCluster

ROOT = Path(__file__).resolve().parents[1]
READY_S = 20
TESTS = ["tests/wire/lua"]
ONE_SERVER = ("test_resuming_is_news_for_idle_workers",)
"""Tests that subscribe to the events of one server."""


def servers() -> Any:
    spec = importlib.util.spec_from_file_location("servers", ROOT / "tests/servers/conftest.py")
    if spec is None or spec.loader is None:
        raise ImportError("tests/servers/conftest.py is gone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Client(RedisCluster):
    """What tests know as a client of one server; where they ask for connections they get the queue's node."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(host="127.0.0.1", port=cluster.nodes[0].port)
        self.connection_pool = ConnectionPool(host="127.0.0.1", port=cluster.owner("{default}").port)

    async def keys(self, pattern: str = "*", **_: Any) -> Any:
        return await super().keys(pattern, target_nodes=RedisCluster.PRIMARIES)

    async def scan_iter(self, match: str | None = None, **_: Any) -> Any:
        for key in await self.keys(match or "*"):
            yield key


class OnCluster:
    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if "[tagged" in item.name and item.originalname not in ONE_SERVER]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept

    def pytest_runtest_setup(self) -> None:
        self._cluster.empty()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp") as folder:
        cluster = servers().Cluster(Path(folder))
        try:
            cluster.start()
            deadline = time.monotonic() + READY_S
            while not cluster.is_ready():
                if time.monotonic() > deadline:
                    raise TimeoutError("the cluster does not serve")
                time.sleep(0.05)

            with patch.object(Redis, "from_url", lambda *_, **__: Client(cluster)):
                return pytest.main([*(sys.argv[1:] or TESTS)], plugins=[OnCluster(cluster)])
        finally:
            cluster.kill9()


if __name__ == "__main__":
    raise SystemExit(main())
