"""Everything that a scenario plays on: server, proxies, receiver, gateway, workers, client, load."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from jobs.payment import payment_state, reconcile_payments, resolve_unknown
from jobs.payment.sandbox import Sandbox
from runner import JobState, Runner
from runner.dead_letters import Letter
from runner.demo.watch import Watch
from runner.errors import NotDead, RunnerError

from .crew import Crew
from .load import Load, order_of
from .proxy import Proxy
from .servers import Cluster, Guarded, Node, SmallDisk
from .tasks import Event, read_events

OPEN_STATES = ("in_progress", "pending", "needs_review")
RECONCILE_EVERY_S = 5.0
LATE_S = 1.0
"""Operations whose jobs a server has lost are taken up by `resolve_unknown`, to be run each minute."""


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
        letters: of the jobs that are dead at the end, by id.
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
    letters: dict[str, Letter] = field(default_factory=dict)

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
        for end in (self._jobs_end, self._chords_end, self._payments_end, self._read_letters):
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
        """Read our word on each; what is open or unknown to us is left to the reconciliation first.

        What is left to a person has ended as far as programs go.
        """
        waiting = {order_of(number) for number in self.load.jobs["payments"]}
        asked_at = 0.0
        while waiting:
            for order in sorted(waiting):
                state = self.states[order] = await payment_state(self.runner, order)
                if state is not None and state["status"] not in ("in_progress", "pending"):
                    waiting.discard(order)
            if waiting and time.monotonic() - asked_at > RECONCILE_EVERY_S:
                await (await self.runner.enqueue(resolve_unknown, LATE_S)).result(timeout=60)
                await (await self.runner.enqueue(reconcile_payments)).result(timeout=60)
                asked_at = time.monotonic()
            elif waiting and all(self.states[order] is None for order in waiting):
                return  # we do not know of them, and neither does the gateway: lost
            await asyncio.sleep(0.1)

    async def _read_letters(self) -> None:
        """Read why the dead are dead: nothing else tells of one that only took workers down with it."""
        assert self.watch is not None
        for info in self.watch.infos.values():
            if info.state is JobState.DEAD:
                with contextlib.suppress(NotDead):  # its letter went with the last writes of a server
                    self.letters[info.id] = await self.runner.dead.show(info.id, queue=info.queue)

    def state_of(self, kind: str, number: int) -> JobState:
        """Give the state in which a job was seen last."""
        assert self.watch is not None
        info = self.watch.infos.get(self.load.jobs[kind][number].id)
        return info.state if info is not None else JobState.UNKNOWN
