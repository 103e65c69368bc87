"""The parent of worker processes: it starts and watches them, and never touches a job itself.

SIGTERM, SIGINT  every process drains within the grace; a second one hurries them
SIGHUP           a rolling restart: each is replaced by a new one before it retires
SIGTTIN, SIGTTOU one process more, one less
"""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ..clock import SYSTEM_CLOCK, Clock
from .notify import notify, watchdog_s
from .plan import Kill, Policy, Retire, Spawn, decide, overdue, pause_s
from .process import Process

logger = logging.getLogger("runner.fleet")

TICK_S = 1.0
NEVER_AGAIN = (2, 3)
"""Exit codes of a worker that cannot start: wrong settings, no server. Before any has served, all give up."""


class Supervisor:
    """Keeps so many worker processes.

    Args:
        command: of one worker process.
        policy: what is wanted.
        environment: of the processes.
        is_burst: processes end by themselves when the queues are empty, and are not replaced then.
        clock: reads the time.
    """

    def __init__(
        self,
        command: Sequence[str],
        policy: Policy,
        *,
        environment: Mapping[str, str],
        is_burst: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.policy = policy
        self.processes: dict[int, Process] = {}
        self._command = command
        self._environment = environment
        self._is_burst = is_burst
        self._clock = clock
        self._wake = asyncio.Event()
        self._is_stopping = False
        self._exit_code = 0
        self._failures = 0
        self._failed_at = 0.0
        self._has_served = self._is_announced = self._is_ready_told = False

    async def run(self) -> int:
        """Serve until told to stop, or until no process could start; gives the exit code."""
        loop = asyncio.get_running_loop()
        told = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD)
        for each in told:
            loop.add_signal_handler(each, self._hear, each)
        beat_s = min(TICK_S, watchdog_s() or TICK_S)
        try:
            while True:
                self._wake.clear()
                self._reap()
                if self._is_over():
                    return self._exit_code
                self._act()
                self._announce()
                with suppress(TimeoutError):
                    async with asyncio.timeout(beat_s):
                        await self._wake.wait()
        finally:
            for each in self.processes.values():
                each.kill()
            for signum in told:
                loop.remove_signal_handler(signum)

    def _is_over(self) -> bool:
        return not self.processes and (self._is_stopping or (self._is_burst and self.policy.processes == 0))

    def _hear(self, signum: signal.Signals) -> None:
        match signum:
            case signal.SIGTERM | signal.SIGINT:
                logger.info("%s: %d workers drain", signum.name, len(self.processes))
                self.stop(130 if signum is signal.SIGINT else 0)
            case signal.SIGHUP:
                logger.info("SIGHUP: the workers are replaced, one after another")
                self.policy = replace(self.policy, generation=self.policy.generation + 1)
            case signal.SIGTTIN:
                self._resize(self.policy.processes + 1)
            case signal.SIGTTOU:
                self._resize(max(1, self.policy.processes - 1))
            case _:
                pass
        self._wake.set()

    def stop(self, exit_code: int = 0) -> None:
        """Let every process drain, and exit with this code; once more, and they hurry."""
        notify("STOPPING=1")
        self._is_stopping, self._exit_code = True, exit_code
        for each in self.processes.values():
            each.retire()
        self._wake.set()

    def _resize(self, processes: int) -> None:
        logger.info("%d workers are wanted, not %d", processes, self.policy.processes)
        self.policy = replace(self.policy, processes=processes)

    def _reap(self) -> None:
        for pid, process in list(self.processes.items()):
            if (code := process.ended()) is not None:
                del self.processes[pid]
                self._note_end(process, code)
        if os.getpid() == 1:
            _reap_orphans(self.processes)

    def _note_end(self, process: Process, code: int) -> None:
        """Draw the conclusions from the end of a process."""
        self._has_served = self._has_served or process.is_ready
        if process.is_retiring or self._is_stopping:
            return
        if self._is_burst and code == 0:
            self.policy = replace(self.policy, processes=max(0, self.policy.processes - 1))
            return
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        if code in NEVER_AGAIN and not self._has_served:
            self.stop(code)
            return
        self._failures = 1 if process.is_ready else self._failures + 1
        self._failed_at = self._clock.monotonic()
        pause = pause_s(self._failures)
        logger.warning("worker %d ended (%s); another starts in %g s", process.pid, how, pause)

    def _act(self) -> None:
        known = [each.known() for each in self.processes.values()]
        if self._is_stopping:
            for each in known:
                if why := overdue(each, self.policy.grace_s):
                    self._kill(each.pid, why)
            return
        may_spawn = self._clock.monotonic() >= self._failed_at + pause_s(self._failures)
        for action in decide(known, self.policy, may_spawn=may_spawn):
            match action:
                case Spawn():
                    self._spawn()
                case Retire(pid, why):
                    logger.info("worker %d retires: %s", pid, why)
                    self.processes[pid].retire()
                case Kill(pid, why):
                    self._kill(pid, why)

    def _spawn(self) -> None:
        taken = {each.place for each in self.processes.values()}
        process = Process(
            self._command,
            self._environment,
            generation=self.policy.generation,
            place=next(place for place in range(1, len(taken) + 2) if place not in taken),
            now=self._clock.monotonic,
            on_change=self._wake.set,
        )
        self.processes[process.pid] = process

    def _kill(self, pid: int, why: str) -> None:
        logger.error("worker %d is killed: %s", pid, why)
        self.processes[pid].kill()

    def _announce(self) -> None:
        """Tell systemd when enough serve for the first time, and that the parent lives."""
        notify("WATCHDOG=1")
        ready = sum(each.is_ready for each in self.processes.values())
        if ready >= self.policy.processes and not self._is_announced:
            self._is_announced = self._has_served = True
            logger.info("%d workers serve: %s", ready, ", ".join(map(str, self.processes)))
        if self._is_announced and not self._is_ready_told:
            self._is_ready_told = notify("READY=1")


def _reap_orphans(ours: Mapping[int, Process]) -> None:
    """As process 1 of a container: collect what has ended and is nobody's child any more but ours."""
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if ended.si_pid in ours:
                return
            os.waitpid(ended.si_pid, 0)
