"""More than one server: a master with a replica and three sentinels, a cluster, and TLS in front of one.

| fixture | gives |
| --- | --- |
| `nodes` | `nodes(2)`: servers at ports, of the test's own |
| `guarded` | a master, its replica and three sentinels of the test's own |
| `cluster` | settings of a cluster: three nodes for the whole session, emptied for each test |
| `gateway`, `payments` | a payment gateway that keeps a ledger, and settings that name it |
| `limited_user` | settings of the user of deploy/runner.acl on a server of the test's own |
| `tls` | settings of the session's server behind TLS that asks for certificates |
| `secret_sentinel` | settings of a master and its sentinel, with two passwords, behind TLS |
| `own_cluster` | three nodes, one of them with a replica, of the test's own |
"""

import asyncio
import contextlib
import random
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync
import trustme

from jobs.payment.sandbox import Sandbox
from runner.testing.server import Server
from runner.wire.slots import slot_of

DOWN_AFTER_MS = 500
ACL = Path(__file__).parents[2] / "deploy/runner.acl"
SHARES = ((0, 5460), (5461, 10922), (10923, 16383))


def free_port() -> int:
    """Give a port that nobody listens on, below those that outgoing connections are given meanwhile."""
    while True:
        port = random.randrange(11_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Node(Server):
    """A server at a port of 127.0.0.1."""

    is_paused = False

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir()
        self.port = free_port()
        super().__init__(folder, "--port", str(self.port), *options)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def pause(self) -> None:
        self.is_paused = True
        super().pause()

    def ask(self, *command: Any) -> Any:
        with redis_sync.Redis(unix_socket_path=str(self.socket)) as client:
            return client.execute_command(*command)


class Sentinel(Node):
    """A sentinel; it keeps what it knows in its file.

    Args:
        master: host and port, with a space between.
        lines: more of the file.
    """

    def __init__(self, folder: Path, master: str, *lines: str) -> None:
        super().__init__(folder)
        self._file = folder / "sentinel.conf"
        self._file.write_text(
            f"port {self.port}\nunixsocket {self.socket}\ndir {folder}\nlogfile {self.log}\n"
            + "".join(f"{line}\n" for line in lines)
            + f"sentinel monitor mymaster {master} 2\n"
            f"sentinel down-after-milliseconds mymaster {DOWN_AFTER_MS}\n"
            "sentinel failover-timeout mymaster 3000\n"
        )

    def arguments(self) -> list[str]:
        return [str(self._file), "--sentinel"]


class Guarded:
    """A master, a replica, and three sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        self.master = Node(folder / "m", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
        self.replica = Node(
            folder / "r", "--appendonly", "no", "--replicaof", "127.0.0.1", str(self.master.port)
        )
        at = f"127.0.0.1 {self.master.port}"
        self.sentinels = [Sentinel(folder / f"s{i}", at) for i in range(3)]
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
        return self.holder(slot_of(key))

    async def move_whole(self, slot: int, wait_until: Any) -> None:
        """Move a slot to the next node as Valkey 9 does it."""
        source, target = self._ends(slot)
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.node_id(target))
        await wait_until(lambda: self.holder(slot) is target, "the slot has moved")

    async def move_key_by_key(self, slot: int) -> int:
        """Move a slot to the next node as older servers do it, slowly; how many keys."""
        source, target = self._ends(slot)
        ids = {node: self.node_id(node) for node in (source, target)}
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        moved = 0
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 5):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
            moved += len(keys)
            await asyncio.sleep(0.005)
        for node in (target, source, *self.nodes):
            with contextlib.suppress(redis_sync.ResponseError):  # a replica takes no such order
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        return moved

    @contextlib.contextmanager
    def moving(self, slot: int) -> Iterator[None]:
        """Let a slot be on its way, with no key moved; it stays after all."""
        source, target = self._ends(slot)
        try:
            target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.node_id(source))
            source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.node_id(target))
            yield
        finally:
            target.ask("FLUSHALL")
            for node in (source, target):
                node.ask("CLUSTER", "SETSLOT", slot, "STABLE")

    def holder(self, slot: int) -> Node:
        living = next(node for node in self.nodes if node.process is not None and not node.is_paused)
        for begin, end, master, *_ in living.ask("CLUSTER", "SLOTS"):
            if begin <= slot <= end:
                return next(node for node in self.nodes if node.port == master[1])
        raise AssertionError(f"nobody serves slot {slot}")

    def _ends(self, slot: int) -> tuple[Node, Node]:
        source = self.holder(slot)
        return source, self.nodes[(self.nodes.index(source) + 1) % 3]

    def empty(self) -> None:
        for node in self.nodes:
            node.ask("FLUSHALL")

    def kill9(self) -> None:
        for node in self.nodes:
            node.kill9()


class Tunnel:
    """TLS in front of a server, which itself cannot speak it; in a thread with a loop of its own."""

    def __init__(self, node: Node, context: ssl.SSLContext) -> None:
        self._node = node
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        started = asyncio.start_server(self._serve, "localhost", 0, family=socket.AF_INET, ssl=self._context)
        self._server = asyncio.run_coroutine_threadsafe(started, self._loop).result(30)
        return self._server.sockets[0].getsockname()[1]

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_unix_connection(str(self._node.socket))
        try:
            await asyncio.gather(_pump(reader, behind[1]), _pump(behind[0], writer))
        finally:
            writer.close()
            behind[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _lines(reply: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in reply.decode().splitlines() if ":" in line)


def _pairs(reply: list[bytes]) -> dict[str, str]:
    texts = [part.decode() for part in reply]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _folder() -> Any:
    return tempfile.TemporaryDirectory(prefix="runner-tests-", dir="/tmp")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Sandbox]:
    folder = tmp_path / "gateway"
    folder.mkdir()
    started = Sandbox.start(folder)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def payments(gateway: Sandbox) -> dict[str, Any]:
    """Settings of payments at that gateway."""
    return {
        "url": gateway.url, "retry": [0.05] + [0.2] * 20, "proof": 0.5, "timeout": 1.0, "durable": "server",
    }  # fmt: skip


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
def cluster(session_cluster: Cluster) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while not session_cluster.is_ready():
        assert time.monotonic() < deadline, "the cluster does not serve"
        time.sleep(0.02)
    session_cluster.empty()
    return {"url": session_cluster.url, "cluster": True}


@pytest.fixture
def limited_user(nodes: Any, tmp_path: Path) -> dict[str, Any]:
    text = ACL.read_text(encoding="utf-8").replace("user default off", "user default on nopass ~* &* +@all")
    file = tmp_path / "users.acl"
    file.write_text(text)
    [node] = nodes(1, "--aclfile", str(file))
    password = tmp_path / "password"
    password.write_text("CHANGE-ME\n")
    return {"url": f"redis://runner@{node.place}", "password_file": str(password)}


@pytest.fixture
def admin(limited_user: dict[str, Any]) -> Iterator[Any]:
    """Sends a command to the server of `limited_user`, as somebody who may do everything."""
    with redis_sync.Redis.from_url(limited_user["url"].replace("runner@", "")) as client:
        yield client.execute_command


@pytest.fixture
def authority(tmp_path: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    """What a server that asks for certificates uses, and the settings of whoever has one."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ours = authority.issue_cert("runner@example.com")
    ours.cert_chain_pems[0].write_to_path(tmp_path / "ours.pem")
    ours.private_key_pem.write_to_path(tmp_path / "ours.key")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    files = {"ca_file": "ca.pem", "cert_file": "ours.pem", "key_file": "ours.key"}
    return context, {name: str(tmp_path / file) for name, file in files.items()}


@pytest.fixture
def tls(nodes: Any, authority: Any) -> Iterator[dict[str, Any]]:
    [node] = nodes(1)
    context, files = authority
    with Tunnel(node, context) as port:
        yield {"url": f"rediss://localhost:{port}", **files}


@pytest.fixture
def secret_sentinel(nodes: Any, authority: Any, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A sentinel and its master, each with a user and a password of its own, and behind TLS."""
    nobody = "default on nopass -@all +ping"
    [master] = nodes(1, *f"--user {nobody} --user runner on >masters ~* &* +@all".split())
    context, files = authority
    for name in ("masters", "sentinels"):
        (tmp_path / name).write_text(name)
    with Tunnel(master, context) as at, _folder() as folder:
        names = ("sentinel resolve-hostnames yes", "sentinel announce-hostnames yes")
        asker = "user asker on >sentinels -@all +sentinel|get-master-addr-by-name"
        sentinel = Sentinel(Path(folder) / "s", f"localhost {at}", *names, f"user {nobody}", asker)
        sentinel.start()
        with Tunnel(sentinel, context) as port:
            yield {
                "url": f"rediss+sentinel://runner@localhost:{port}/mymaster",
                "password_file": str(tmp_path / "masters"),
                "sentinel_user": "asker",
                "sentinel_password_file": str(tmp_path / "sentinels"),
                **files,
            }
        sentinel.kill9()


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
