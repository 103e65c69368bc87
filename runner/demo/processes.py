"""The demo's processes: the receiver, and workers, started as all are: ``arq runner.WorkerSettings``."""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from ..errors import RunnerError

LOG_TAIL_LINES = 12
STOP_S = 15.0


class Processes:
    """Starts processes in a folder; ``stop`` ends them in order.

    They form a process group of their own: Ctrl-C reaches the demo alone, and when the demo itself is killed
    the receiver ends the group and the server. So the receiver comes first, and goes last.

    Args:
        folder: where they run and write their logs.
        server: the embedded server's folder.
    """

    def __init__(self, folder: Path, server: Path) -> None:
        self.log = folder / "worker.log"
        self._folder = folder
        self._environment = _environment()
        self._server = server
        self._group: int | None = None
        self._running: list[Process] = []

    async def start_receiver(self, ledger: Path, *, share: float, seed: int, secret: str) -> dict[str, int]:
        """Start the receiver and give its ports by name.

        Raises:
            RunnerError: it does not start.
        """
        with (self._folder / "receiver.log").open("ab") as log:
            receiver = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "runner.demo.receiver"),
                *(str(ledger), str(share), str(seed), str(self._server)),
                cwd=self._folder,
                env={**self._environment, "DEMO_SECRET": secret},
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                process_group=0,
            )
        self._running.append(receiver)
        self._group = receiver.pid
        line = await receiver.stdout.readline() if receiver.stdout is not None else b""
        if not line:
            msg = f"the receiver did not start:\n{_tail(self._folder / 'receiver.log')}"
            raise RunnerError(msg)
        return json.loads(line)

    async def start_worker(self, settings: Mapping[str, str]) -> Process:
        """Start one more worker, with these ``RUNNER_…`` variables; ours are not handed on."""
        with self.log.open("ab") as log:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "arq", "runner.WorkerSettings"),
                cwd=self._folder,
                env={**self._environment, **settings},
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self._group,
            )
        self._running.append(worker)
        return worker

    async def kill(self, process: Process) -> None:
        """End a process as a crash would: SIGKILL."""
        self._running.remove(process)
        process.kill()
        await process.wait()

    def check(self) -> None:
        """See that all that were started and not killed are alive.

        Raises:
            RunnerError: one has ended by itself; says the end of the worker's log.
        """
        if any(process.returncode is not None for process in self._running):
            msg = f"a process of the demo has ended by itself; the worker's log ends:\n{_tail(self.log)}"
            raise RunnerError(msg)

    async def stop(self, keep: int = 0) -> None:
        """End what runs with SIGTERM, the newest first; with SIGKILL what does not end in time.

        Args:
            keep: how many of the oldest go on.
        """
        while len(self._running) > keep:
            process = self._running.pop()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_S)
            except TimeoutError:
                process.kill()
                await process.wait()

    @contextlib.asynccontextmanager
    async def stopped_at_the_end(self, keep: int = 0) -> AsyncGenerator["Processes"]:
        """Stop everything when the block ends, however it does."""
        try:
            yield self
        finally:
            await asyncio.shield(self.stop(keep))


def _environment() -> dict[str, str]:
    """Give this process's variables without settings; where this is a checkout, with it on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}
    root = Path(__file__).parents[2]
    if (root / "pyproject.toml").exists():
        kept["PYTHONPATH"] = str(root)
    return kept


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
