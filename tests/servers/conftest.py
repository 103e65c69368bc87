"""More than one server: a master with a replica and three sentinels, a cluster, and TLS in front of one.

| fixture | gives |
| --- | --- |
| `nodes` | `nodes(2)`: servers at ports, of the test's own |
| `guarded` | a master, its replica and three sentinels of the test's own |
| `cluster` | three nodes for the whole session, emptied for each test |
| `own_cluster` | three nodes, one of them with a replica, of the test's own |
"""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from runner.testing.server import Server

DOWN_AFTER_MS = 500
SHARES = ((0, 5460), (5461, 10922), (10923, 16383))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node(Server):
    """A server at a port of 127.0.0.1."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir()
        self.port = free_port()
        super().__init__(folder, "--port", str(self.port), *options)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, *command: Any) -> Any:
        with redis_sync.Redis(unix_socket_path=str(self.socket)) as client:
            return client.execute_command(*command)


class Sentinel(Node):
    """A sentinel; it keeps what it knows in its file."""

    def __init__(self, folder: Path, master: Node) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        self._file.write_text(
            f"port {self.port}\nunixsocket {self.socket}\ndir {folder}\nlogfile {self.log}\n"
            f"sentinel monitor mymaster 127.0.0.1 {master.port} 2\n"
            f"sentinel down-after-milliseconds mymaster {DOWN_AFTER_MS}\n"
            "sentinel failover-timeout mymaster 3000\n"
        )

    def arguments(self) -> list[str]:
        return [str(self._file), "--sentinel"]


class Guarded:
    """A master, a replica, and three sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        self.master = Node(folder / "m", "--appendonly", "no")
        self.replica = Node(
            folder / "r", "--appendonly", "no", "--replicaof", "127.0.0.1", str(self.master.port)
        )
        self.sentinels = [Sentinel(folder / f"s{i}", self.master) for i in range(3)]
        self.servers = [self.master, self.replica, *self.sentinels]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(each.place for each in self.sentinels)}/mymaster"

    def is_ready(self) -> bool:
        """Whether the replica follows, and each sentinel knows it and the two others."""
        linked = self.replica.ask("INFO", "replication")["master_link_status"] == "up"
        known = [_pairs(each.ask("SENTINEL", "MASTER", "mymaster")) for each in self.sentinels]
        return linked and all(k["num-slaves"] == "1" and k["num-other-sentinels"] == "2" for k in known)

    def master_port(self) -> int:
        """Where the sentinels say the master is: when all of them agree, else 0."""
        said = {int(s.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")[1]) for s in self.sentinels}
        return said.pop() if len(said) == 1 else 0


class Cluster:
    """Three nodes that share the slots; with replicas, each has one."""

    def __init__(self, folder: Path, *, replicas: int = 0) -> None:
        options = ("--appendonly", "no", "--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        self.nodes: list[Node] = []
        for i in range(3 + replicas):
            bus = ("--cluster-port", str(free_port()), "--cluster-require-full-coverage", "no")
            self.nodes.append(Node(folder / str(i), *options, *bus, "--repl-diskless-sync-delay", "0"))

    @property
    def url(self) -> str:
        return f"redis://{','.join(node.place for node in self.nodes[:2])}"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        for node, (begin, end) in zip(self.nodes, SHARES, strict=False):
            node.ask("CLUSTER", "ADDSLOTSRANGE", begin, end)
        for i, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            bus = node.options[node.options.index("--cluster-port") + 1]
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)

    def is_ready(self) -> bool:
        """Whether all nodes know each other and serve."""
        infos = [_lines(node.ask("CLUSTER", "INFO")) for node in self.nodes]
        count = str(len(self.nodes))
        return all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == count for info in infos)

    def node_id(self, node: Node) -> str:
        return node.ask("CLUSTER", "MYID").decode()

    def owner(self, key: str) -> Node:
        """The node that serves a key, as the nodes that live agree on."""
        slot = redis_sync.cluster.key_slot(key.encode())  # pyright: ignore[reportAttributeAccessIssue]
        living = next(node for node in self.nodes if node.process is not None)
        for begin, end, master, *_ in living.ask("CLUSTER", "SLOTS"):
            if begin <= slot <= end:
                return next(node for node in self.nodes if node.port == master[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def empty(self) -> None:
        for node in self.nodes:
            node.ask("FLUSHALL")

    def kill9(self) -> None:
        for node in self.nodes:
            node.kill9()


def _lines(reply: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


def _pairs(reply: list[bytes]) -> dict[str, str]:
    texts = [part.decode() for part in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp")


@pytest.fixture
def nodes() -> Iterator[Any]:
    started: list[Node] = []
    with _folder() as folder:

        def start(count: int, *options: str) -> list[Node]:
            made = [
                Node(Path(folder) / str(len(started) + i), "--appendonly", "no", *options)
                for i in range(count)
            ]
            for node in made:
                started.append(node)
                node.start()
            return made

        try:
            yield start
        finally:
            for node in started:
                node.kill9()


@pytest.fixture
async def guarded(wait_until: Any) -> Any:
    with _folder() as folder:
        servers = Guarded(Path(folder))
        try:
            for server in servers.servers:
                server.start()
            await wait_until(servers.is_ready, "the sentinels know everybody")
            yield servers
        finally:
            for server in servers.servers:
                server.kill9()


@pytest.fixture(scope="session")
def session_cluster() -> Iterator[Cluster]:
    with _folder() as folder:
        servers = Cluster(Path(folder))
        try:
            servers.start()
            yield servers
        finally:
            servers.kill9()


@pytest.fixture
async def cluster(session_cluster: Cluster, wait_until: Any) -> Cluster:
    await wait_until(session_cluster.is_ready, "the cluster serves")
    session_cluster.empty()
    return session_cluster


@pytest.fixture
async def own_cluster(wait_until: Any) -> Any:
    with _folder() as folder:
        servers = Cluster(Path(folder), replicas=1)
        try:
            servers.start()
            await wait_until(servers.is_ready, "the cluster serves")
            yield servers
        finally:
            servers.kill9()
