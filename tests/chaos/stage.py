"""Everything that a scenario plays on: server, proxies, receiver, gateway, workers, client, load."""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from jobs.payment import payment_state, reconcile_payments
from jobs.payment.sandbox import Sandbox
from runner import JobState, Runner
from runner.demo.watch import Watch
from runner.errors import RunnerError
from runner.settings import Settings

from .crew import Crew
from .load import Load, Size, order_of
from .proxy import Proxy
from .servers import Clocked, Cluster, Guarded, Node, SmallDisk, ready
from .tasks import Event, read_events, tick

MIX = ("charge_drop", "drop", "charge_500", "conflict", "throttle", "truncated")
GATEWAY = ("--latency", "0.05", "--share", "0.1", "--mix", *MIX)
RECEIVER_SHARE = 0.05
TICK_EVERY = "1s"
OPEN_STATES = ("in_progress", "pending", "needs_review")


@dataclass
class Stage:
    """What a scenario may use.

    Attributes:
        server: the node that clients reach through `proxy`; None behind sentinels and on a cluster.
        around: the guarded servers, or the cluster.
        disk: the small disk that the server writes to, where the scenario asked for one.
        done: what was done to them, counted; goes into the report.
        back_at: when the server was back after each outage.
        told: lines for the report.
    """

    folder: Path
    rng: Random
    lease_s: float
    runner: Runner
    crew: Crew
    load: Load
    gateway: Sandbox
    ledger: Path
    to_receiver: Proxy
    to_gateway: Proxy
    server: Node | None = None
    proxy: Proxy | None = None
    around: Guarded | Cluster | None = None
    disk: SmallDisk | None = None
    done: Counter[str] = field(default_factory=Counter)
    back_at: list[float] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    watch: Watch | None = None

    async def moments(self, count: int, until: float = 0.95, *, rest_s: float = 0.0) -> AsyncIterator[int]:
        """Come back so many times over the load's time, at moments drawn by the seed.

        Args:
            count: how often.
            until: the last share of the load's time.
            rest_s: at least so long after each, so that what comes back is seen before it goes again.
        """
        drawn = sorted(self.rng.uniform(0.08, until) for _ in range(count))
        for number, share in enumerate(drawn):
            while self.load.elapsed_share < share:
                await asyncio.sleep(0.01)
            yield number
            await asyncio.sleep(rest_s)

    def events(self) -> list[Event]:
        """Give the workers' word so far."""
        path = self.folder / "events"
        return read_events(path)[0] if path.exists() else []

    def ended(self) -> int:
        """Give how many ends of jobs the workers have noted."""
        return sum(event.what == "end" for event in self.events())

    async def restart(self, *, in_order: bool = False, dead_s: float = 0.3) -> None:
        """End the server, by SIGKILL or in order, and start it again on its data."""
        assert self.server is not None
        await asyncio.to_thread(self.server.stop if in_order else self.server.kill9)
        self.done["server stopped in order" if in_order else "server SIGKILL"] += 1
        await asyncio.sleep(dead_s)
        await self.start_server()

    async def start_server(self) -> None:
        assert self.server is not None
        await asyncio.to_thread(self.server.start)
        self.back_at.append(time.monotonic())

    async def settle(self, limit_s: float) -> None:
        """Wait until all that was acknowledged has ended, or is unknown by now: each kind up to a limit."""
        begun = time.monotonic()
        kinds = ("hooks", "works", "payments")
        self.watch = Watch(job for kind in kinds for job in self.load.jobs[kind].values())
        for end in (self._jobs_end, self._chords_end, self._payments_end):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limit_s):
                    await end()
        self.told.append(f"all had ended {time.monotonic() - begun:.1f} s after the load")

    async def _jobs_end(self) -> None:
        assert self.watch is not None
        while not self.watch.is_over:
            with contextlib.suppress(RunnerError):
                await self.watch.look()
            await asyncio.sleep(0.05)

    async def _chords_end(self) -> None:
        waiting = dict(self.load.jobs["chords"])
        while waiting:
            fired = {event.more for event in self.events() if event.what == "fired"}
            for number, flow in list(waiting.items()):
                if str(number) in fired or not await self._is_running(flow):
                    del waiting[number]
            await asyncio.sleep(0.1)

    async def _is_running(self, flow: Any) -> bool:
        try:
            return await flow.status() == "running"
        except RunnerError:
            return False

    async def _payments_end(self) -> None:
        """Read our word on each; what is open or unknown to us is left to the reconciliation first."""
        waiting = {order_of(number) for number in self.load.jobs["payments"]}
        asked = False
        while waiting:
            for order in sorted(waiting):
                state = self.states[order] = await payment_state(self.runner, order)
                if state is not None and state["status"] not in OPEN_STATES:
                    waiting.discard(order)
            if waiting and not asked:
                await (await self.runner.enqueue(reconcile_payments)).result(timeout=30)
                asked = True
            elif waiting and all(self.states[order] is None for order in waiting):
                return  # we do not know of them, and neither does the gateway: lost
            await asyncio.sleep(0.1)

    def state_of(self, kind: str, number: int) -> JobState:
        """Give the state in which a job was seen last."""
        assert self.watch is not None
        info = self.watch.infos.get(self.load.jobs[kind][number].id)
        return info.state if info is not None else JobState.UNKNOWN


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
