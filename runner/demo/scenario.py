"""The plot: enqueue, kill the worker half-way, start another, wait for every job to end, draw the balance."""

import asyncio
import base64
import contextlib
import random
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import Job, JobState, Runner, Settings
from . import payments
from .balance import Balance, balance_of
from .faults import lost_hosts
from .ledger import read_ledger
from .payments import Paid, Till
from .processes import Processes
from .show import Display, Moment
from .watch import Watch

LOOK_EVERY_S = 0.1
STALL_S = 30.0
"""When nothing has ended for so long, nothing will: the balance is drawn with what there is."""
ENQUEUE_AT_ONCE = 500
TASK_MODULES, TASK, SECRET = ("jobs.demo", payments.MODULE), "demo_webhook", "demo"


@dataclass(frozen=True, slots=True)
class Plot:
    """What is to be shown.

    Attributes:
        webhooks: how many.
        share: of the requests that the receiver answers 503; the other faults are rarer in proportion.
        seed: of the receiver's faults.
        kill: whether the worker is killed half-way.
        stay: whether everything stays up after the balance, until Ctrl-C.
        payments: how many, beside the webhooks.
    """

    webhooks: int = 300
    share: float = 0.2
    seed: int = 1
    kill: bool = True
    stay: bool = False
    payments: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of it."""

    balance: Balance
    seconds: float
    attempts: int
    p95_ms: int
    kills: int
    paid: Paid = field(default_factory=Paid)

    @property
    def is_even(self) -> bool:
        """Whether all is accounted for, webhooks and payments."""
        return self.balance.is_even and self.paid.is_even

    def as_json(self) -> dict[str, Any]:
        """Give it for machines."""
        figures = {"seconds": round(self.seconds, 2), "attempts": self.attempts, "p95_ms": self.p95_ms}
        whole = {"balanced": self.is_even, "payments": self.paid.as_json()}
        return {**self.balance.as_json(), **figures, "kills": self.kills, **whole}


async def play(plot: Plot, display: Display, tell: Callable[[Played], None]) -> Played:
    """Play it in a new folder, which is removed at the end unless the balance is wrong.

    Args:
        plot: what to show.
        display: where.
        tell: called with the balance, while everything still runs.

    Raises:
        RunnerError: the server or a process does not start, or ends by itself.
    """
    folder = Path(tempfile.mkdtemp(prefix="runner-demo-"))
    try:
        async with _Stage.set_up(folder, plot, display) as stage:
            played = await stage.play()
            tell(played)
            if plot.stay:
                await stage.stay()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if played.is_even:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        display.note(f"ledger and logs are kept in {folder}")
    return played


class _Stage:
    def __init__(
        self,
        plot: Plot,
        display: Display,
        runner: Runner,
        processes: Processes,
        ports: dict[str, int],
        ledger: Path,
        till: Till | None,
        worker: Mapping[str, str],
    ) -> None:
        self._plot = plot
        self._display = display
        self._runner = runner
        self._processes = processes
        self._ports = ports
        self._ledger = ledger
        self._till = till
        self._worker = worker
        self._kills = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def set_up(cls, folder: Path, plot: Plot, display: Display) -> AsyncGenerator["_Stage"]:
        """Start receiver, server and gateway."""
        server, ledger = folder / "server", folder / "ledger.jsonl"
        ledger.touch()
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        settings = Settings.model_validate(
            {"tasks": TASK_MODULES, "redis": {"url": "embedded", "folder": server}}
        )
        runner = Runner(settings)
        async with Processes(folder, server).stopped_at_the_end() as processes:
            ports = await processes.start_receiver(ledger, share=plot.share, seed=plot.seed, secret=secret)
            display.note(f"receiver 127.0.0.1:{ports['receiver']}, its ledger is {ledger}")
            async with (
                runner,
                Till.opened(folder / "gateway", runner, count=plot.payments, share=plot.share) as till,
                processes.stopped_at_the_end(keep=1),
            ):
                display.note(f"server   Valkey, {runner.server_url()}")
                worker = _worker_settings(server, secret, till)
                yield cls(plot, display, runner, processes, ports, ledger, till, worker)

    async def play(self) -> Played:
        """Go from the first enqueue to the balance."""
        worker = await self._processes.start_worker(self._worker)
        self._display.note(f"worker   process {worker.pid}, arq runner.WorkerSettings")
        began = time.monotonic()
        with self._display.open():
            jobs = await self._enqueue()
            watch = Watch(jobs)
            moved, ended = began, 0
            while not (is_over := self._is_over(watch)) and time.monotonic() - moved < STALL_S:
                await self._look(watch)
                if (now_ended := self._ended(watch)) > ended:
                    moved, ended = time.monotonic(), now_ended
                moment = Moment.of(watch, enqueued=len(jobs), elapsed_s=time.monotonic() - began)
                self._display.update(moment)
                if self._plot.kill and not self._kills and self._is_half_way(watch, len(jobs)):
                    await self._kill(worker, watch)
                await asyncio.sleep(0 if is_over else LOOK_EVERY_S)
        balance = balance_of((job.id for job in jobs), watch.infos, read_ledger(self._ledger))
        paid = await self._till.balance() if self._till is not None else Paid()
        seconds = time.monotonic() - began
        return Played(balance, seconds, watch.attempts(), watch.p95_ms(), self._kills, paid)

    def _is_over(self, watch: Watch) -> bool:
        return watch.is_over and (self._till is None or self._till.is_over)

    def _ended(self, watch: Watch) -> int:
        return watch.ended + (self._till.ended if self._till is not None else 0)

    def _is_half_way(self, watch: Watch, webhooks: int) -> bool:
        return watch.ended >= webhooks / 2 if self._till is None else self._till.is_half_way

    async def _look(self, watch: Watch) -> None:
        """Look at what has not ended; the payments come when a third of the webhooks has."""
        await watch.look()
        self._processes.check()
        if self._till is None:
            return
        if self._till.watch is None and watch.ended >= self._plot.webhooks / 3:
            await self._till.enqueue()
            self._display.note(f"client   {self._till.count} payments enqueued")
        await self._till.look()

    async def stay(self) -> None:
        """Keep everything up until Ctrl-C or SIGTERM."""
        self._display.note(
            f"still up: join with RUNNER_REDIS__URL='{self._runner.server_url()}'; Ctrl-C ends"
        )
        told = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signum, told.set)
        await told.wait()

    async def _enqueue(self) -> list[Job[Any]]:
        task = self._runner.registry.get(TASK)
        if task is None:
            raise LookupError(TASK)
        hosts = lost_hosts(self._plot.seed, self._plot.share, self._plot.webhooks)
        jobs: list[Job[Any]] = []
        for start in range(0, self._plot.webhooks, ENQUEUE_AT_ONCE):
            numbers = range(start, min(start + ENQUEUE_AT_ONCE, self._plot.webhooks))
            calls = (
                self._runner.enqueue(
                    task,
                    f"http://127.0.0.1:{self._ports[hosts.get(number, 'receiver')]}/hooks",
                    {"number": number, "amount": random.Random(number).randrange(10_000)},
                    event="order.paid",
                    secret=SECRET,
                )
                for number in numbers
            )
            jobs += await asyncio.gather(*calls)
        self._display.note(f"client   {len(jobs)} signed webhooks enqueued")
        return jobs

    async def _kill(self, worker: Any, watch: Watch) -> None:
        running = watch.states()[JobState.RUNNING]
        await self._processes.kill(worker)
        self._kills += 1
        fresh = await self._processes.start_worker(self._worker)
        at = f"{watch.ended} webhooks had ended, {running} were under way"
        self._display.note(f"kill -9  worker {worker.pid}: {at}; worker {fresh.pid} starts")


def _worker_settings(server: Path, secret: str, till: Till | None) -> dict[str, str]:
    """Give the variables of a worker; it joins the server in our folder, and the last one out stops it."""
    return {
        **(till.settings if till is not None else {}),
        "RUNNER_TASKS": ",".join(TASK_MODULES),
        "RUNNER_REDIS__URL": "embedded",
        "RUNNER_REDIS__FOLDER": str(server),
        "RUNNER_WORKER__LEASE": "2s",
        "RUNNER_WORKER__GRACE": "2s",
        "RUNNER_WORKER__MAX_JOBS": "30",
        "RUNNER_WEBHOOKS__ALLOW": "127.0.0.0/8",
        "RUNNER_WEBHOOKS__TIMEOUT": "2s",
        f"RUNNER_WEBHOOKS__SECRETS__{SECRET.upper()}": secret,
    }
