"""Run the suite as the user of deploy/runner.acl: what it may do has to be enough for all we do.

Each test's server knows that user, and every link of ours to it logs in as it; the tests themselves look at
the server as somebody who may do everything. Whatever the user was denied is told at the end, also where
nothing failed for it.
"""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

ROOT = Path(__file__).resolve().parents[1]
OTHERS = (
    "test_link.py", "test_tracking.py", "test_endings.py::", "wrong_credentials", "test_a_wrong_password",
    "test_a_server_that_tells_nothing", "test_long_and_foreign_keys", "test_an_arq_project_is_told",
    "tests/fleet/test_supervisor.py",
)  # fmt: skip
"""Tests that send commands or keys of their own over a link of ours, or log in as somebody else."""
OURS = "/tmp/runner-tests-"  # noqa: S108 - where tests have their servers; others do not know the user
ANYBODY = "user default on nopass ~* &* +@all"

denied: Counter[str] = Counter()


def pytest_configure() -> None:
    from runner.testing.server import Server
    from runner.wire import cluster, link, tracking

    _, ours = (ROOT / "deploy/runner.acl").read_text(encoding="utf-8").splitlines()
    start, kill, plain = Server.start, Server.kill9, link.unlimited

    def start_with_user(server: Any) -> None:
        users = server.folder / "users.acl"
        users.write_text(f"{ANYBODY}\n{ours}\n", encoding="utf-8")
        has_users = {"--aclfile", "--user"} & {*server.options}
        if not has_users and "--sentinel" not in server.arguments():
            server.options = (*server.options, "--aclfile", str(users))
        start(server)

    def kill_and_tell(server: Any) -> None:
        with redis_sync.Redis(unix_socket_path=str(server.socket)) as client:
            try:
                log = client.acl_log(1000)
            except redis_sync.RedisError:
                log = []
        denied.update(f"{each['reason']} {each['object']}" for each in log if each["username"] == "runner")
        kill(server)

    def as_user(pool: Any) -> Any:
        connection = plain(pool)
        if str(getattr(connection, "path", "")).startswith(OURS) and connection.credential_provider is None:
            connection.username, connection.password = "runner", "CHANGE-ME"
        return connection

    Server.start, Server.kill9 = start_with_user, kill_and_tell
    for module in (link, cluster, tracking):
        if hasattr(module, "unlimited"):
            module.unlimited = as_user


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = [item for item in items if any(part in item.nodeid for part in OTHERS)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


def pytest_unconfigure() -> None:
    if denied:
        told = ", ".join(f"{what} ({count})" for what, count in sorted(denied.items()))
        print(f"\nthe user was denied: {told}", file=sys.stderr)


def main() -> int:
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ["PYTHONPATH"] = f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    return int(pytest.main(["-p", "acl_suite", "-n", "3", "--dist", "loadfile", *sys.argv[1:]]))


if __name__ == "__main__":
    raise SystemExit(main())
