"""Setting a stage up: each scenario has servers, processes and ledgers of its own."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from jobs.payment import reconcile_payments
from jobs.payment.sandbox import Sandbox
from runner import Runner
from runner.settings import Settings

from .crew import Crew
from .load import Load, Size
from .proxy import Proxy
from .servers import Clocked, Cluster, Guarded, Node, SmallDisk, ready
from .stage import Stage
from .tasks import tick

MIX = ("charge_drop", "drop", "charge_500", "conflict", "throttle", "truncated")
GATEWAY = ("--latency", "0.05", "--share", "0.1", "--mix", *MIX)
RECEIVER_SHARE = 0.05
TICK_EVERY = "1s"


def settings_of(
    redis: Mapping[str, Any], gateway: str, secret: str, lease_s: float, keep_result: str
) -> dict[str, Any]:
    """Give the settings of workers and client: waits in seconds where the real ones have minutes."""
    return {
        "redis": {"timeout": 2, "connect_timeout": 2, "allow_unsafe_server": True, **redis},
        "tasks": ["jobs.payment", "jobs.webhook", "tests.chaos.tasks"],
        "worker": {"lease": lease_s, "grace": 2, "max_jobs": 50, "keep_result": keep_result, "poll": 1},
        "webhooks": {"allow": ["127.0.0.0/8"], "timeout": 2, "secrets": {"chaos": secret}},
        "payments": {
            "url": gateway,
            "retry": [0.2, 0.5] + [1.0] * 200,
            "proof": 3,
            "timeout": 2,
            "durable": "server",
        },
        "logs": {"level": "WARNING"},
    }


@contextlib.asynccontextmanager
async def opened(
    folder: Path,
    size: Size,
    rng: Random,
    *,
    server: str = "alone",
    options: tuple[str, ...] = (),
    lease_s: float = 3.0,
    workers: int = 4,
    soak: bool = False,
) -> AsyncIterator[Stage]:
    """Set everything up; all of it is gone at the end.

    Args:
        folder: of this scenario alone, with a short name: a socket lies in it.
        size: the load.
        rng: draws everything that is drawn.
        server: alone, clocked, disk, guarded or cluster.
        options: the server's.
        lease_s: the workers'.
        workers: how many.
        soak: whether they write down what they take, and nobody keeps what would grow with the load.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    async with contextlib.AsyncExitStack() as stack:
        node, disk, around = await _servers(stack, folder, server, options)
        proxy = await stack.enter_async_context(Proxy(node.port, rng)) if node is not None else None
        if around is not None:
            redis: dict[str, Any] = {"url": around.url, "cluster": isinstance(around, Cluster)}
        else:
            assert proxy is not None
            redis = {"url": f"redis://127.0.0.1:{proxy.port}"}
        ledger = folder / "receiver.jsonl"
        port = await stack.enter_async_context(_receiver(folder, ledger, secret, rng.randrange(10**6)))
        to_receiver = await stack.enter_async_context(Proxy(port, rng, b"POST "))
        with _stderr_into(folder / "gateway.log"):
            gateway = stack.enter_context(
                await asyncio.to_thread(Sandbox.start, folder / "gateway", *GATEWAY)
            )
        await asyncio.to_thread(gateway.switch, retry_after_s=0)
        till = urlsplit(gateway.url).port
        assert till is not None
        to_gateway = await stack.enter_async_context(Proxy(till, rng, b"POST "))
        settings = settings_of(
            redis, f"http://127.0.0.1:{to_gateway.port}", secret, lease_s, "10s" if soak else "1d"
        )
        crew = await stack.enter_async_context(Crew(settings, folder, rng, gauge=soak))
        runner = await stack.enter_async_context(Runner(Settings.model_validate(settings)))
        await runner.enqueue(reconcile_payments)
        await runner.schedules.upsert("chaos", task=tick, every=TICK_EVERY, args=[])
        await crew.start(workers)
        load = Load(runner, f"http://127.0.0.1:{to_receiver.port}/hooks", size, rng, kept=not soak)
        yield Stage(
            folder, rng, lease_s, runner, crew, load, gateway, ledger, to_receiver, to_gateway,
            server=node, proxy=proxy, around=around, disk=disk,
        )  # fmt: skip


async def _servers(
    stack: contextlib.AsyncExitStack, folder: Path, kind: str, options: tuple[str, ...]
) -> tuple[Node | None, SmallDisk | None, Guarded | Cluster | None]:
    disk = None
    if kind in ("guarded", "cluster"):
        return None, None, await _many(stack, folder, kind)
    if kind == "disk":
        disk = SmallDisk(folder / "disk")
        stack.callback(disk.remove)
    make = Clocked if kind == "clocked" else Node
    node = make((disk.folder if disk is not None else folder) / "server", *options)
    stack.callback(node.kill9)
    await asyncio.to_thread(node.start)
    return node, disk, None


async def _many(stack: contextlib.AsyncExitStack, folder: Path, kind: str) -> Guarded | Cluster:
    around: Guarded | Cluster
    if kind == "guarded":
        around = Guarded(folder)
        for each in around.servers:
            stack.callback(each.kill9)
            await asyncio.to_thread(each.start)
    else:
        around = Cluster(folder, replicas=3)
        stack.callback(around.kill9)
        await asyncio.to_thread(around.start)
        await ready(around.is_ready)
        for master, replica in zip(around.nodes[:3], around.nodes[3:], strict=True):
            replica.ask("CLUSTER", "REPLICATE", around.node_id(master))
        await ready(lambda: all(_is_linked(node) for node in around.nodes[3:]))
    await ready(around.is_ready)
    return around


def _is_linked(node: Node) -> bool:
    return node.ask("INFO", "replication").get("master_link_status") == "up"


@contextlib.contextmanager
def _stderr_into(path: Path) -> Iterator[None]:
    """Let what is started meanwhile complain into a file."""
    before = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@contextlib.asynccontextmanager
async def _receiver(folder: Path, ledger: Path, secret: str, seed: int) -> AsyncIterator[int]:
    """Start the demo's receiver: it checks signatures, fsyncs its ledger and errs on some requests."""
    ledger.touch()
    with (folder / "receiver.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runner.demo.receiver", str(ledger), str(RECEIVER_SHARE), str(seed)),
            env={**os.environ, "DEMO_SECRET": secret},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert process.stdout is not None
        yield json.loads(await process.stdout.readline())["receiver"]
    finally:
        process.kill()
        await process.wait()
